"""Draws the networks that no library keeps, and one that a library does, and writes docs/networks.md.

python benchmarks/networks.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tinysight.drawing import PICTURE, draw_network
from tinysight.files import write_text

DOCS = Path(__file__).parent.parent / "docs"
NETWORKS = {
    "enet": (
        "ENet (Paszke et al. 2016)",
        "Bottlenecks, plain, dilated and asymmetric in turn; the decoder unpools with the encoder's indices. "
        "`model: {name: enet}`; `weights` takes those of PyTorch-ENet.",
    ),
    "fcn": (
        "FCN-8s (Long et al. 2015)",
        "VGG-16 made convolutional, its scores fused with those of pool4 and pool3. `args: {stride: 16}` or `32` for "
        "the coarser ones, `encoder: vgg11_bn` and `args: {hidden: 512}` for one that two cores can train.",
    ),
    "unet_plain": (
        "U-Net (after Ronneberger et al. 2015)",
        "Widths of 64, 128 and 256, nearest upsampling, 1,883,137 parameters with one sigmoid plane.",
    ),
    "compact": (
        "A small classifier of our own",
        "Depthwise and pointwise convolutions with residuals, and ReLU alone, which engines fold into int8.",
    ),
    "pspnet": (
        "PSPNet (Zhao et al. 2017)",
        "On a ResNet-18, as segmentation-models-pytorch builds it; the encoder's deeper stages never run.",
    ),
}


def main() -> int:
    """Draw every network and write the page."""
    (DOCS / "networks").mkdir(exist_ok=True)
    lines = [
        "# Networks, drawn", "",
        "Each layer is a bar, taller where its map is larger, wider where it has more channels; arcs are skips. "
        "`tinysight draw NAME` draws any network and lists its layers; of a reduced one, before and after.", "",
    ]  # fmt: skip
    for name, (title, about) in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            draw_network(name, [], Path(folder))
            shutil.copyfile(Path(folder) / PICTURE, DOCS / "networks" / f"{name}.svg")
        lines += [f"## {title}", "", about, "", f"![layers of {name}](networks/{name}.svg)", ""]
    write_text(DOCS / "networks.md", "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
