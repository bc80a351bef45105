"""Counts what networks cost and writes src/tinysight/models/catalogue.json, which 'tinysight list models' shows.

python benchmarks/catalogue.py
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from tinysight.files import write_json
from tinysight.measure.compute import count_macs
from tinysight.models.catalogue import CATALOGUE, Entry
from tinysight.models.liveness import parameter_counts
from tinysight.models.scores import Scores
from tinysight.models.zoo import ZOO, build

DECODERS = [name for name, row in ZOO.items() if row.task == "segmentation" and row.has_encoder]
CLASSIFIERS = {
    "resnet18": 224, "resnet50": 224, "densenet121": 224, "inception_v3": 299, "squeezenet1_0": 224,
    "squeezenet1_1": 224, "mobilenetv1_100": 224, "mobilenetv2_100": 224, "mobilenetv3_small_100": 224,
    "mobilenetv3_large_100": 224, "mobilenetv4_conv_small": 224, "efficientnet_b0": 224, "vgg16": 224,
}  # fmt: skip
TRANSFORMERS = {"dpt": "vit_tiny_patch16_224"}
"""Decoders that read a transformer's tokens, which a ResNet has none of."""
LIGHTER = ("mobilenet_v2", "mobilenetv4_conv_small", "resnet50")
OF_TORCHVISION = {"squeezenet1_0", "squeezenet1_1"}
LICENCES = {"smp": "MIT", "timm": "Apache-2.0", "torchvision": "BSD-3-Clause", "own": "Apache-2.0"}
SIZE, IMAGENET = 256, 1000


def rows() -> list[tuple[str, str | None, dict[str, Any], int, int, str]]:
    """Return (name, encoder, further arguments, size, classes, whose code)."""
    found: list[tuple[str, str | None, dict[str, Any], int, int, str]] = []
    found += [(name, "resnet18", {}, SIZE, 2, "smp") for name in DECODERS if name not in TRANSFORMERS]
    found += [(name, encoder, {}, 224, 2, "smp") for name, encoder in TRANSFORMERS.items()]
    found += [("pspnet", encoder, {}, SIZE, 2, "smp") for encoder in LIGHTER]
    found += [("fcn", "vgg16", {"stride": stride}, SIZE, 2, "own") for stride in (32, 16, 8)]
    found += [("enet", None, {}, SIZE, 12, "own"), ("unet_plain", None, {}, SIZE, 2, "own")]
    found += [("compact", None, {}, 224, IMAGENET, "own")]
    found += [
        ("classifier", encoder, {}, size, IMAGENET, "torchvision" if encoder in OF_TORCHVISION else "timm")
        for encoder, size in CLASSIFIERS.items()
    ]
    return found


def counted(name: str, encoder: str | None, more: dict[str, Any], size: int, classes: int, whose: str) -> Entry:
    """Build a network and count."""
    args = {"classes": classes, **({"encoder": encoder} if encoder else {}), **more}
    scores, example = Scores(build(name, args).eval(), None), torch.zeros(1, 3, size, size)
    total, used, _ = parameter_counts(scores, example)
    return Entry(
        name=name, encoder=encoder, args=more, task=ZOO[name].task, size=size, classes=classes,
        parameters=total, used=used, macs=count_macs(scores, example), licence=LICENCES[whose],
    )  # fmt: skip


def main() -> int:
    """Count every network."""
    entries = []
    for name, encoder, more, size, classes, whose in rows():
        entry = counted(name, encoder, more, size, classes, whose)
        entries.append(entry.model_dump(mode="json"))
        print(f"{name} {encoder or ''} {more or ''}: {entry.used:,} parameters, {entry.macs:,} MACs")
    write_json(CATALOGUE, entries)
    return 0


if __name__ == "__main__":
    sys.exit(main())
