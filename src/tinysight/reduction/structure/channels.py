"""Channels: cutting them out of a module's tensors, and comparing with the original that ignores what was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.reduction.network import Network

__all__ = ["cut_channels", "difference_ignoring"]


def cut_channels(module: nn.Module, axes: Mapping[str, int], kept: Sequence[int], **sizes: int) -> None:
    """Keep the channels ``kept`` of each named tensor along its axis, and set the attributes that count them."""
    import torch
    from torch import nn

    for name, axis in axes.items():
        tensor = getattr(module, name, None)
        if tensor is None:
            continue
        smaller = tensor.detach().index_select(axis, torch.tensor(kept, device=tensor.device)).clone()
        is_parameter = isinstance(tensor, nn.Parameter)
        setattr(module, name, nn.Parameter(smaller, tensor.requires_grad) if is_parameter else smaller)
    for name, size in sizes.items():
        setattr(module, name, size)


def difference_ignoring(original: Network, reduced: Network, cut: Mapping[str, Sequence[int]]) -> float:
    """Return the largest difference between ``reduced`` and the original whose readers ignore the channels ``cut``.

    Computed in float64, so that only rounding far below 1e-9 is left where nothing else changed.

    Args:
        original: the network before.
        reduced: the network after.
        cut: the input channels that went, by the path of the convolution that read them.

    Raises:
        Exception: whatever the reduced network raises where it does not run.
    """
    import torch

    from tinysight.reduction.verify import largest_difference

    ignoring = original.copy()
    with torch.no_grad():
        for path, channels in cut.items():
            weight: Tensor = ignoring.module.get_submodule(path).weight  # type: ignore[assignment]
            weight[:, list(channels)] = 0
    images = original.example(batch=2).double()
    return largest_difference(ignoring.scores.double(), reduced.copy().scores.double(), images)
