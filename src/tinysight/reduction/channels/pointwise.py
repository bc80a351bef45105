"""The rule of operators that join tensors element by element: sums of branches, gates, learned scales, masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tinysight.reduction.channels.flow import Flow, Value
from tinysight.reduction.channels.tags import STAYS, varies, without_repeats

__all__ = ["join", "pointwise"]


def pointwise(flow: Flow, *given: Any, **_settings: Any) -> Tensor:
    """Elements that meet go together."""
    return join(flow, [flow.tags_of(each) for each in given if isinstance(each, Value)])


def join(flow: Flow, tags: list[Tensor]) -> Tensor:
    """Tie tensors of tags as broadcasting joins their elements, and return the tags of the result.

    A tensor that has one element where another has channels, such as a map that all channels are multiplied by, has
    nothing to do with any of them; its own channel is the only one, and stays.
    """
    shape: torch.Size = torch.broadcast_shapes(*[each.shape for each in tags])  # type: ignore[no-untyped-call]
    tags = [each[(None,) * (len(shape) - each.dim())] for each in tags]
    channels = [axis for axis in range(len(shape)) if any(varies(each, axis) for each in tags)]
    meeting = []
    for each in tags:
        if any(each.shape[axis] < shape[axis] for axis in channels):
            flow.hold(f"{flow.where} spreads it over other channels", each)
        else:
            meeting.append(each.expand(shape))
    if not meeting:  # every tensor is spread along some axis: each channel meets all of another's
        return flow.stay(shape)
    for other in meeting[1:]:
        flow.tags.tie(other, meeting[0], flow.where)
    return next((each for each in meeting if bool((without_repeats(each)[0] != STAYS).any())), meeting[0])
