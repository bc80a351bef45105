"""The visible table of methods: add a file, add a row."""

from __future__ import annotations

from collections.abc import Iterable

from tinysight.reduction.architecture.decoder import Decoder
from tinysight.reduction.architecture.encoder import Encoder
from tinysight.reduction.architecture.fresh import Fresh
from tinysight.reduction.distillation.born_again import BornAgain
from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.input.resize import Resize
from tinysight.reduction.precision.bf16 import Bf16
from tinysight.reduction.precision.fat import Fat
from tinysight.reduction.precision.fp16 import Fp16
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.int16 import Int16
from tinysight.reduction.precision.qat import Qat
from tinysight.reduction.step import Reduction
from tinysight.reduction.structure.activations import Activations
from tinysight.reduction.structure.bins import Bins
from tinysight.reduction.structure.factorize import Factorize
from tinysight.reduction.structure.prune import Prune
from tinysight.reduction.structure.stem import Stem
from tinysight.reduction.structure.trim import Trim
from tinysight.reduction.weights.equalize import Equalize
from tinysight.reduction.weights.finetune import Finetune
from tinysight.reduction.weights.lottery import Lottery
from tinysight.reduction.weights.recalibrate import Recalibrate
from tinysight.reduction.weights.sparsify import Sparsify

__all__ = ["METHODS", "is_untrained"]

METHODS: dict[str, type[Reduction]] = {
    method.name: method
    for method in (
        Trim,
        Encoder,
        Decoder,
        Fresh,
        Prune,
        Factorize,
        Stem,
        Activations,
        Bins,
        Resize,
        Sparsify,
        Lottery,
        Recalibrate,
        Equalize,
        Finetune,
        Distil,
        BornAgain,
        Bf16,
        Fp16,
        Int16,
        Int8,
        Fat,
        Qat,
    )
}


def is_untrained(methods: Iterable[str]) -> bool:
    """Say whether these methods, one after the other, leave a network whose weights are still random."""
    untrained = False
    for method in (METHODS[name] for name in methods):
        if method.changes == "architecture":
            untrained = True
        elif method.trains:
            untrained = False
    return untrained
