"""Proving a change: outputs of two networks compared on the same inputs."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tinysight.errors import one_line

__all__ = ["largest_difference", "refuses_batches", "run", "trains"]


def run(scores: nn.Module, images: Tensor) -> Tensor:
    """Return the output in evaluation mode, without gradients; the modules' modes are put back.

    Not in inference mode: a network that keeps tensors from its first run could not be trained afterwards.
    """
    modes = {module: module.training for module in scores.modules()}
    try:
        with torch.no_grad():
            output: Tensor = scores.eval()(images)
            return output
    finally:
        for module, training in modes.items():
            module.training = training


def largest_difference(one: nn.Module, other: nn.Module, images: Tensor) -> float:
    """Return the largest absolute difference of outputs; infinity where shapes differ or one is not a number."""
    first, second = run(one, images), run(other, images)
    if first.shape != second.shape:
        return float("inf")
    return float((first - second).abs().nan_to_num(nan=float("inf")).max())


def refuses_batches(scores: nn.Module, images: Tensor) -> str:
    """Say why a network does not take several images at once, which training needs; empty where it does."""
    try:
        run(scores, images)
    except Exception as error:  # whatever a network raises that was made for one image
        return f"does not take {len(images)} images at once ({one_line(error, 160)})"
    return ""


def trains(scores: nn.Module, images: Tensor) -> bool:
    """Whether a forward pass in training mode works too; tried on a copy, since it moves batch-norm statistics."""
    try:
        with torch.no_grad():
            copy.deepcopy(scores).train()(images)
    except Exception:  # any failure of the network's own code means the same: not usable
        return False
    return True
