"""Proving a change: outputs of two networks compared on the same inputs."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from tinysight.errors import one_line

__all__ = [
    "EXACT", "InDouble", "largest_difference", "refuses_batches", "refuses_gradients", "relative_difference", "run",
    "trains",
]  # fmt: skip

EXACT = 1e-9
"""Rounding in float64, relative to the largest output, stays far below."""


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


class InDouble(TorchFunctionMode):
    """Within it, a network's own code that asks for float32 gets float64: proofs are exact whatever it casts."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call ``func`` with float64 in place of float32."""
        if func is Tensor.float:
            return args[0].double()
        named = {name: _wider(value) for name, value in (kwargs or {}).items()}
        return func(*map(_wider, args), **named)


def _wider(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


def largest_difference(one: nn.Module, other: nn.Module, images: Tensor) -> float:
    """Return the largest absolute difference of outputs; infinity where shapes differ or one is not a number."""
    first, second = run(one, images), run(other, images)
    if first.shape != second.shape:
        return float("inf")
    return float((first - second).abs().nan_to_num(nan=float("inf")).max())


def relative_difference(expected: Any, found: Any) -> float:
    """Return the largest difference of two networks' outputs, relative to the largest number expected there or to 1.

    Every channel, the second axis, is held against its own largest number: one that a mask made huge hides nothing in
    the others. Outputs may be tensors in lists and dictionaries; infinity where their shapes differ, or where one is
    not a number or infinite and the other is not the same.
    """
    ones, others = tree_leaves(expected), tree_leaves(found)
    if len(ones) != len(others):
        return float("inf")
    return max((_relative(one, other) for one, other in zip(ones, others, strict=True)), default=0.0)


def _relative(one: Any, other: Any) -> float:
    if not isinstance(one, Tensor):
        return 0.0 if one == other else float("inf")
    if one.shape != other.shape:
        return float("inf")
    if not one.numel():
        return 0.0
    apart = (one - other).abs().masked_fill(one == other, 0).nan_to_num(nan=float("inf"))
    others = [axis for axis in range(one.dim()) if axis != 1]
    finite = one.abs().masked_fill(~one.isfinite(), 0)
    if not others:
        return float((apart / finite.max().clamp(min=1)).max())
    return float((apart.amax(others) / finite.amax(others).clamp(min=1)).max())


def refuses_batches(scores: nn.Module, images: Tensor) -> str:
    """Say why a network does not take several images at once, which training needs; empty where it does."""
    try:
        run(scores, images)
    except Exception as error:  # whatever a network raises that was made for one image
        return f"does not take {len(images)} images at once ({one_line(error, 160)})"
    return ""


def refuses_gradients(scores: nn.Module, images: Tensor) -> str:
    """Say why a network's weights get no gradients, which training needs; empty where they do; tried on a copy."""
    try:
        copy.deepcopy(scores).train()(images).sum().backward()
    except Exception as error:  # whatever its code does that autograd does not allow
        return f"cannot be differentiated ({one_line(error, 160)})"
    return ""


def trains(scores: nn.Module, images: Tensor) -> bool:
    """Whether a forward pass in training mode works too; tried on a copy, since it moves batch-norm statistics."""
    try:
        with torch.no_grad():
            copy.deepcopy(scores).train()(images)
    except Exception:  # any failure of the network's own code means the same: not usable
        return False
    return True
