"""FCN (Long et al. 2015, "Fully Convolutional Networks for Semantic Segmentation") on a VGG made convolutional."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models import vgg

from tinysight.errors import UserError, unknown_name

__all__ = ["FCN", "VGGS", "bilinear_kernel", "from_vgg"]

VGGS = {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}
"""Torchvision's letters for the configurations of Simonyan and Zisserman (2014)."""

STRIDES = (8, 16, 32)


class FCN(nn.Module):
    """VGG features, its fully connected layers as convolutions, and learned upsampling with skip fusion.

    ``stride`` is 32, 16 or 8: scores of the last layer alone, fused with those of pool4, or of pool4 and pool3. Pools
    round sizes up and what is too much is cropped, so pictures may have any size. ``hidden`` is the width of the two
    converted layers, 4096 in the paper.
    """

    def __init__(
        self, classes: int = 21, stride: int = 8, encoder: str = "vgg16", hidden: int = 4096, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if encoder.removesuffix("_bn") not in VGGS:
            raise unknown_name("VGG", encoder, [*VGGS, *(f"{name}_bn" for name in VGGS)])
        if stride not in STRIDES:
            raise UserError(f"FCN has a stride of {', '.join(map(str, STRIDES))}, not {stride}")
        configuration = vgg.cfgs[VGGS[encoder.removesuffix("_bn")]]
        self.features = vgg.make_layers(configuration, batch_norm=encoder.endswith("_bn"))
        self.pools = [place for place, layer in enumerate(self.features) if isinstance(layer, nn.MaxPool2d)]
        for place in self.pools:
            self.features[place].ceil_mode = True
        self.head = nn.Sequential(
            *(nn.Conv2d(512, hidden, 7, padding=3), nn.ReLU(inplace=True), nn.Dropout2d(dropout)),
            *(nn.Conv2d(hidden, hidden, 1), nn.ReLU(inplace=True), nn.Dropout2d(dropout)),
            _scoring(hidden, classes),
        )
        skipped = {32: [], 16: [512], 8: [512, 256]}[stride]
        self.skips = nn.ModuleList(_scoring(channels, classes) for channels in skipped)
        self.upsamplings = nn.ModuleList(_upsampling(classes, 2) for _ in skipped)
        self.last = _upsampling(classes, stride)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, 3, h, w) to scores (batch, classes, h, w)."""
        pooled = self._pooled(images)
        scores = self.head(pooled[-1])
        # pool4 is fused first, then pool3.
        for skip, upsample, finer in zip(self.skips, self.upsamplings, pooled[-2::-1], strict=False):
            scores = _cropped(upsample(scores), finer) + skip(finer)
        return _cropped(self.last(scores), images)

    def _pooled(self, images: Tensor) -> list[Tensor]:
        """Return what each of the five pools gives, strides 2 to 32."""
        results, maps = [], images
        for start, end in pairwise([0, *(place + 1 for place in self.pools)]):
            maps = self.features[start:end](maps)
            results.append(maps)
        return results


def _cropped(maps: Tensor, like: Tensor) -> Tensor:
    return maps[..., : like.shape[-2], : like.shape[-1]]


def _scoring(channels: int, classes: int) -> nn.Conv2d:
    """A 1×1 convolution that starts at zero, so that a new skip changes nothing at first (section 4.2)."""
    convolution = nn.Conv2d(channels, classes, 1)
    nn.init.zeros_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def _upsampling(classes: int, factor: int) -> nn.ConvTranspose2d:
    """A transposed convolution that starts as bilinear interpolation and is learned from there."""
    transposed = nn.ConvTranspose2d(classes, classes, 2 * factor, stride=factor, padding=factor // 2, bias=False)
    with torch.no_grad():
        transposed.weight.zero_()
        transposed.weight[range(classes), range(classes)] = bilinear_kernel(factor)
    return transposed


def bilinear_kernel(factor: int) -> Tensor:
    """Return the kernel (2·factor, 2·factor) with which a transposed convolution of even ``factor`` interpolates."""
    distance = (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    ramp = 1 - distance
    return ramp[:, None] * ramp[None, :]


def from_vgg(state: Mapping[str, Tensor], _network: FCN) -> dict[str, Tensor]:
    """Make the tensors of torchvision's VGG convolutional.

    The first fully connected layer sees 7 × 7 maps of 512 channels, so it is a 7×7 convolution. The classifier of
    1000 classes is left out.
    """
    features = {name: tensor for name, tensor in state.items() if name.startswith("features.")}
    return features | {
        "head.0.weight": state["classifier.0.weight"].reshape(-1, 512, 7, 7),
        "head.0.bias": state["classifier.0.bias"],
        "head.3.weight": state["classifier.3.weight"][:, :, None, None],
        "head.3.bias": state["classifier.3.bias"],
    }
