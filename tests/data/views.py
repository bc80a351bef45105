"""Score maps as if a network had seen all views of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinysight.data import InputPolicy
from tinysight.data.windows import Seen
from tinysight.tasks import Task

__all__ = ["predicted", "seen"]


def seen(policy: InputPolicy, size: tuple[int, int], *maps: np.ndarray) -> list[Seen]:
    """Return the views of a picture of ``size``, each with its scores."""
    return list(zip(policy.views(size), maps, strict=True))


def predicted(task: Task, policy: InputPolicy, size: tuple[int, int], *maps: np.ndarray) -> Any:
    """Return what a task makes of the scores of a picture of ``size``."""
    return task.predict(seen(policy, size, *maps), policy, size)
