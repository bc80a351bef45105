"""The rules of convolutions and linear layers: what makes channels, and what reads them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tinysight.reduction.channels.flow import Flow, Value
from tinysight.reduction.channels.tags import varies

__all__ = ["convolution", "linear", "transposed_convolution"]


def convolution(
    flow: Flow,
    images: Value,
    weight: Value,
    bias: Value | None = None,
    _stride: Any = 1,
    _padding: Any = 0,
    _dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """A weight (outputs, inputs / groups, …)."""
    return _convolved(flow, images, weight, bias, groups, made=0, read=1)


def transposed_convolution(
    flow: Flow,
    images: Value,
    weight: Value,
    bias: Value | None = None,
    _stride: Any = 1,
    _padding: Any = 0,
    _more: Any = 0,
    groups: int = 1,
    _dilation: Any = 1,
) -> Tensor:
    """A weight (inputs, outputs / groups, …)."""
    return _convolved(flow, images, weight, bias, groups, made=1, read=0)


def linear(flow: Flow, inputs: Value, weight: Value, bias: Value | None = None) -> Tensor:
    """A weight (outputs, inputs); inputs along the last axis."""
    tags = flow.tags_of(inputs)
    if not weight.stored:
        return _refuse_computed(flow, tags)
    if not varies(tags, -1) and any(varies(tags, axis) for axis in range(tags.dim() - 1)):
        flow.hold(f"{flow.where} works along another axis than its channels", flow.rows(weight, 0))
        return tags.narrow(-1, 0, 1).expand(flow.result.shape)
    flow.read(weight, 1, flow.along(tags, -1))
    made = flow.rows(weight, 0)
    _biased(flow, bias, made)
    return made.expand(flow.result.shape)


def _convolved(
    flow: Flow, images: Value, weight: Value, bias: Value | None, groups: int, *, made: int, read: int
) -> Tensor:
    tags = flow.tags_of(images)
    if not weight.stored:
        return _refuse_computed(flow, tags)
    places = weight.tensor.dim() - 2
    channels = flow.along(tags, tags.dim() - places - 1)
    if groups == 1:
        flow.read(weight, read, channels)
        outputs = flow.rows(weight, made)
    else:
        outputs = _grouped(flow, weight, channels.view(groups, -1), made)
    _biased(flow, bias, outputs)
    return outputs.view(-1, *[1] * places).expand(flow.result.shape)


def _grouped(flow: Flow, weight: Value, inputs: Tensor, made: int) -> Tensor:
    """Cut whole groups where there are many, as in a depthwise convolution; else the same places in every group.

    Either way all groups stay equally large, which is what a grouped convolution can be.
    """
    groups, size = inputs.shape
    if groups >= size:
        flow.tags.tie(inputs, inputs[:, :1], flow.where)
        if made == 1:
            flow.read(weight, 0, inputs.reshape(-1))
            return inputs[:, :1].expand(groups, weight.tensor.shape[1]).reshape(-1)
        outputs = flow.rows(weight, 0)
        flow.tags.tie(outputs.view(groups, -1), inputs[:, :1], flow.where)
        return outputs
    flow.tags.tie(inputs, inputs[:1], flow.where)
    if made == 1:
        flow.read(weight, 0, inputs.reshape(-1))
        return flow.rows(weight, 1).repeat(groups)
    flow.read(weight, 1, inputs[0])
    outputs = flow.rows(weight, 0)
    flow.tags.tie(outputs.view(groups, -1), outputs.view(groups, -1)[:1], flow.where)
    return outputs


def _biased(flow: Flow, bias: Value | None, outputs: Tensor) -> None:
    if bias is not None:
        flow.tags.tie(flow.tags_of(bias), outputs, flow.where)


def _refuse_computed(flow: Flow, tags: Tensor) -> Tensor:
    flow.hold(f"the weight of {flow.where} is computed, not stored", tags)
    return flow.stay(flow.result.shape)
