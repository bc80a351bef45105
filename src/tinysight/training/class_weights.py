"""Weights of classes that are not equally frequent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tinysight.data import Sample
from tinysight.tasks import Task

__all__ = ["class_weights"]

DAMPED_BY = 1.02
"""Bounds the weights to [1.4, 50.5] (Paszke et al. 2016, section 5.2)."""


def class_weights(samples: Sequence[Sample], task: Task) -> Tensor:
    """Return 1 / ln(1.02 + share) of each class, by its share of the labels that count: (classes,).

    ENet's class weighting (Paszke et al. 2016). Every label is read once.

    Raises:
        UserError: a label names no class.
    """
    counts = np.zeros(len(task.classes), np.int64)
    for sample in samples:
        counts += task.counts_in(sample)
    shares = counts / max(counts.sum(), 1)
    return torch.from_numpy(1 / np.log(DAMPED_BY + shares)).float()
