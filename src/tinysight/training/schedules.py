"""Learning-rate schedules: the share of the full rate at every step."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinysight.training.settings import Training

__all__ = ["rate_of"]

WARM_UP_SHARE = 0.05
RESTART = 400
"""Steps of one fall where the cosine begins anew."""


def rate_of(settings: Training, steps: int) -> Callable[[int], float]:
    """Return the schedule of a training of ``steps`` steps an epoch: step -> share of the learning rate.

    A linear warm-up, then a cosine or polynomial fall to zero over the whole training; or a constant rate with a linear
    fall over the last ``cool_down`` epochs (Hägele et al. 2024), whose course up to the fall does not depend on the
    number of epochs; or, without a warm-up, a cosine that begins anew every ``RESTART`` steps.
    """
    total = settings.epochs * steps
    if settings.schedule == "restarts":
        return lambda step: 0.5 * (1 + math.cos(math.pi * (step % RESTART) / RESTART))
    if settings.schedule == "constant":
        return _constant(warm_up=steps, branch=settings.branch * steps, total=total)
    warm_up = max(1, round(total * WARM_UP_SHARE))

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = (step - warm_up) / max(1, total - warm_up)
        return 0.5 * (1 + math.cos(math.pi * done)) if settings.schedule == "cosine" else max(0.0, 1 - done) ** 0.9

    return rate


def _constant(*, warm_up: int, branch: int, total: int) -> Callable[[int], float]:
    def rate(step: int) -> float:
        rising = min(1.0, (step + 1) / warm_up)
        return rising if step < branch else rising * max(0.0, (total - step) / max(1, total - branch))

    return rate
