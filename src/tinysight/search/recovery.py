"""Recovery by default: what was cut learns again, although the recipe does not say so."""

from __future__ import annotations

from collections.abc import Sequence

from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.weights.recalibrate import Recalibrate
from tinysight.search.walk import Stage

__all__ = ["RECOVERY", "with_recovery"]

RECOVERY = Stage("recovery", (Recalibrate(), Distil(epochs=10)), heals=True)
"""Batch norms see the images again; then the network learns from the original."""


def with_recovery(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return ``stages`` with a recovery behind the last one that cuts, where none after it trains.

    Stages that say ``recover: false`` ask for none.
    """
    cutting = [
        number
        for number, stage in enumerate(stages)
        if stage.recover and any(variant.damages for variant in stage.variants)
    ]
    if not cutting or any(stage.trains for stage in stages[cutting[-1] + 1 :]):
        return tuple(stages)
    return (*stages[: cutting[-1] + 1], RECOVERY, *stages[cutting[-1] + 1 :])
