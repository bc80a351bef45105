"""One rule for each operator: what it does to tags. An operator without a rule is refused by name.

A rule takes the flow and the operator's arguments, tensors as ``Value``, and returns the tags of the result. The
operators are those of ``torch.export``, before any is taken apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tinysight.reduction.channels.contraction import attention, einsum, matmul
from tinysight.reduction.channels.flow import Flow, Value
from tinysight.reduction.channels.matrices import convolution, linear, transposed_convolution
from tinysight.reduction.channels.pointwise import pointwise
from tinysight.reduction.channels.tags import varies

__all__ = ["RULES"]

Rule = Callable[..., Any]


def _same(flow: Flow, images: Value, *_settings: Any, **_more: Any) -> Any:
    """Every element by itself."""
    return flow.tags_of(images)


def _checked(_flow: Flow, *_settings: Any, **_more: Any) -> None:
    """The exporter's own checks give nothing."""


def _rearranged(flow: Flow, given: Any, *settings: Any, **more: Any) -> Any:
    """The same elements in another order or shape: what the operator does to numbers it does to tags."""
    target = flow.target
    tags = [flow.tags_of(each) for each in given] if isinstance(given, list | tuple) else flow.tags_of(given)
    moved = target(tags, *settings, **more)
    return list(moved) if isinstance(moved, tuple | list) else moved


def _shuffled_pixels(flow: Flow, images: Value, factor: int) -> Tensor:
    """Channels that become the places of one channel go together."""
    tags: Tensor = _rearranged(flow, images, factor)
    first = tags[..., :1, :1]
    flow.tags.tie(tags, first, flow.where)
    return first.expand(tags.shape)


def _viewed(flow: Flow, images: Value, shape: Sequence[int]) -> Tensor:
    """A view of memory: the tags lie in memory of their own, so theirs may be a copy."""
    return flow.tags_of(images).reshape(tuple(shape))


def _expanded(flow: Flow, images: Value, *_settings: Any, **_more: Any) -> Tensor:
    return flow.tags_of(images).expand(flow.result.shape)


def _parts(flow: Flow, images: Value, *settings: Any, **more: Any) -> list[Tensor]:
    """Equal parts along one axis: the code takes equal parts after a cut, too, so they lose the same places."""
    parts: list[Tensor] = _rearranged(flow, images, *settings, **more)
    if len({part.shape for part in parts}) > 1:
        flow.hold(f"{flow.where} takes unequal parts of it", *parts)
    for part in parts[1:]:
        flow.tags.tie(part, parts[0], flow.where)
    return parts


def _part(flow: Flow, images: Value, *settings: Any, **more: Any) -> Tensor:
    """Some places of an axis: which ones, is written in the code."""
    tags = flow.tags_of(images)
    part: Tensor = flow.target(tags, *settings, **more)
    if part.shape != tags.shape:
        _keep_places(flow, tags, (settings[0] if settings else more.get("dim", 0)) % tags.dim())
    return part


def _sliced(
    flow: Flow, images: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A piece of an axis; one of equal pieces may be counted from the shape, as the thirds of a bias for q, k and v.

    Equal pieces then lose the same places. Where the code has fixed numbers instead, ``proof`` tells.
    """
    tags = flow.tags_of(images)
    whole, size = tags.shape[dim], flow.result.shape[dim]
    if step != 1 or size in (0, 1, whole) or whole % size or (start or 0) % size or not varies(tags, dim % tags.dim()):
        return _part(flow, images, dim, start, end, step)
    pieces: Sequence[Tensor] = torch.split(tags, size, dim)
    for piece in pieces[1:]:
        flow.tags.tie(piece, pieces[0], flow.where)
    taken: Tensor = pieces[(start or 0) % whole // size]
    return taken


def _picked(flow: Flow, images: Value, places: Sequence[Value | None]) -> Tensor:
    tags = flow.tags_of(images)
    for axis, place in enumerate(places):
        if place is not None:
            _keep_places(flow, tags, axis)
    picked: Tensor = flow.target(tags, [None if place is None else place.tensor for place in places])
    return picked


def _keep_places(flow: Flow, tags: Tensor, axis: int, why: str = "takes certain channels out") -> None:
    """Let an axis keep all its places; what lies along another, as the heads of q, k and v, goes at all of them."""
    if not varies(tags, axis):
        return
    if any(varies(tags, other) for other in range(tags.dim()) if other != axis):
        flow.tags.tie(tags, tags.narrow(axis, 0, 1), flow.where)
    else:
        flow.hold(f"{flow.where} {why}", tags)


def _rescaled(flow: Flow, images: Value, *_settings: Any, **_more: Any) -> Any:
    """Pooling and interpolation: another height and width, the same channels."""
    tags = flow.tags_of(images)
    shown = flow.result[0] if isinstance(flow.result, tuple | list) else flow.result
    for axis in range(2, tags.dim()):
        if varies(tags, axis):
            flow.hold(f"{flow.where} mixes it with its neighbours", tags)
    tags = tags[(slice(None), slice(None), *[slice(0, 1)] * (tags.dim() - 2))].expand(shown.shape)
    return [tags, *[tags] * (len(flow.result) - 1)] if isinstance(flow.result, tuple | list) else tags


def _unpooled(flow: Flow, images: Value, places: Value, *_settings: Any) -> Tensor:
    flow.tags.tie(flow.tags_of(images), flow.tags_of(places), flow.where)
    tags: Tensor = _rescaled(flow, images)
    return tags


def _sampled(flow: Flow, images: Value, grid: Value, *_settings: Any) -> Tensor:
    flow.hold(f"{flow.where} looks up places by it", flow.tags_of(grid))
    tags: Tensor = _rescaled(flow, images)
    return tags


def _reduced(flow: Flow, images: Value, dim: Any = None, *_settings: Any, **_more: Any) -> Any:
    """A sum, mean or maximum: fine over places, but among channels what is cut would be missed."""
    tags = flow.tags_of(images)
    shown = flow.result[0] if isinstance(flow.result, tuple | list) else flow.result
    over = range(tags.dim()) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    axes = {axis % tags.dim() for axis in over}
    for axis in sorted(axes, reverse=True):
        _keep_places(flow, tags, axis, "sums it up with other channels")
        tags = tags.narrow(axis, 0, 1) if shown.dim() == images.tensor.dim() else tags.select(axis, 0)
    return [tags] * len(flow.result) if isinstance(flow.result, tuple | list) else tags


def _normed(flow: Flow, images: Value, _order: float = 2, dim: Any = None, *settings: Any, **more: Any) -> Any:
    return _reduced(flow, images, dim, *settings, **more)


def _normalised_along(flow: Flow, images: Value, dim: int, *_settings: Any, **_more: Any) -> Tensor:
    tags = flow.tags_of(images)
    if varies(tags, dim % tags.dim()):
        flow.hold(f"{flow.where} compares it with other channels", tags)
    return tags


def _gated_by_half(flow: Flow, images: Value, dim: int = -1) -> Tensor:
    """One half times the sigmoid of the other."""
    one, other = flow.tags_of(images).chunk(2, dim)
    flow.tags.tie(one, other, flow.where)
    return one


def _per_channel(flow: Flow, images: Value, *settings: Any, **_more: Any) -> Tensor:
    """Batch norm, instance norm and PReLU: each stored number belongs to one channel, axis 1."""
    tags = flow.tags_of(images)
    for stored in settings:
        if isinstance(stored, Value) and stored.tensor.numel() > 1:
            flow.tags.tie(flow.tags_of(stored), flow.along(tags, 1), flow.where)
    return tags


def _group_norm(flow: Flow, images: Value, groups: int, *settings: Any, **_more: Any) -> Tensor:
    """Channels that share statistics go together, so that those of the others stay as they are."""
    channels = flow.along(flow.tags_of(images), 1).view(groups, -1)
    flow.tags.tie(channels, channels[:, :1], flow.where)
    return _per_channel(flow, images, *settings)


def _layer_norm(
    flow: Flow, images: Value, shape: Sequence[int], weight: Value | None = None, bias: Value | None = None, *_eps: Any
) -> Tensor:
    """Cut channels leave the mean and the variance; ``proof`` knows."""
    tags = flow.tags_of(images)
    inner = tags[(0,) * (tags.dim() - len(shape))]
    flow.tags.tie(tags, inner, flow.where)
    if weight is None:
        flow.hold(f"{flow.where} has no weight by which to know its channels", tags)
    for stored in (weight, bias):
        if stored is not None:
            flow.tags.tie(flow.tags_of(stored), inner, flow.where)
    return tags


def _concatenated(flow: Flow, parts: Sequence[Value], dim: int = 0) -> Tensor:
    tags = [flow.tags_of(part) for part in parts]
    axis = dim % tags[0].dim()
    channels = any(varies(each, axis) for each in tags)
    elsewhere = any(varies(each, other) for each in tags for other in range(each.dim()) if other != axis)
    if channels or not elsewhere:
        return torch.cat(tags, axis)
    first = tags[0].narrow(axis, 0, 1)  # tokens, or places: the channels are those of another axis
    for each in tags[1:]:
        flow.tags.tie(each, first, flow.where)
    return first.expand(flow.result.shape)


def _stacked(flow: Flow, parts: Sequence[Value], dim: int = 0) -> Tensor:
    first = flow.tags_of(parts[0])
    for part in parts[1:]:
        flow.tags.tie(flow.tags_of(part), first, flow.where)
    shape = flow.result.shape
    return first.unsqueeze(dim % len(shape)).expand(shape)


def _padded(flow: Flow, images: Value, pad: Sequence[int], *_settings: Any, **_more: Any) -> Tensor:
    """Around places the same channels, around channels something that stays."""
    tags = flow.tags_of(images)
    for number in range(len(pad) // 2):
        axis = tags.dim() - 1 - number
        before, after = pad[2 * number : 2 * number + 2]
        if varies(tags, axis):
            edges = [list(tags.shape) for _ in range(2)]
            edges[0][axis], edges[1][axis] = max(0, before), max(0, after)
            inside = tags.narrow(axis, max(0, -before), tags.shape[axis] + min(0, before) + min(0, after))
            tags = torch.cat([flow.stay(edges[0]), inside, flow.stay(edges[1])], axis)
        else:
            size = list(tags.shape)
            size[axis] += before + after
            tags = tags.narrow(axis, 0, 1).expand(size)
    return tags


def _constant(flow: Flow, *_settings: Any, **_more: Any) -> Tensor:
    return flow.stay(flow.result.shape)


def _rows(rule: Rule, *names: str) -> dict[str, Rule]:
    """Write an operator and its kind that works in place."""
    return {name: rule for each in names for name in (each, f"{each}_")}


RULES: dict[str, Rule] = {
    **_rows(_same, "relu", "relu6", "gelu", "silu", "mish", "elu", "selu", "celu", "leaky_relu", "hardswish"),
    **_rows(_same, "hardsigmoid", "hardtanh", "sigmoid", "tanh", "softplus"),
    **_rows(_same, "abs", "neg", "exp", "log", "log1p", "sqrt", "rsqrt", "square", "reciprocal", "erf", "sin", "cos"),
    **_rows(_same, "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "round", "floor", "ceil"),
    **_rows(_same, "clone", "contiguous", "detach", "alias", "to", "_to_copy", "nan_to_num", "logical_not", "sign"),
    **_rows(_same, "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "empty_like", "fill", "zero"),
    **_rows(_same, "lift_fresh_copy", "type_as", "bernoulli", "softsign", "tanhshrink", "log_sigmoid", "logsigmoid"),
    **_rows(_checked, "_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range"),
    **_rows(pointwise, "add", "sub", "rsub", "mul", "div", "pow", "maximum", "minimum", "where", "atan2"),
    **_rows(pointwise, "clamp", "clamp_min", "clamp_max"),
    **_rows(pointwise, "multiply", "divide", "true_divide", "subtract", "addcmul", "lerp", "masked_fill"),
    **_rows(pointwise, "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "fmod", "remainder"),
    **_rows(_viewed, "view", "reshape", "_unsafe_view"),
    **_rows(_expanded, "expand", "expand_as"),
    **_rows(_rearranged, "flatten", "unflatten", "permute", "transpose", "t"),
    **_rows(_rearranged, "unsqueeze", "squeeze", "flip", "roll", "repeat", "movedim", "numpy_T", "mT"),
    "pixel_shuffle": _shuffled_pixels,
    **_rows(_rearranged, "pixel_unshuffle", "channel_shuffle", "rot90", "swapaxes", "adjoint"),
    **_rows(_parts, "chunk", "split", "split_with_sizes", "unbind", "tensor_split"),
    **_rows(_part, "select", "narrow"),
    "slice": _sliced,
    "index": _picked,
    **_rows(_rescaled, "max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "avg_pool1d", "avg_pool2d"),
    **_rows(_rescaled, "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool3d"),
    **_rows(_rescaled, "upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d"),
    **_rows(_rescaled, "upsample_bicubic2d", "upsample_linear1d", "upsample_trilinear3d", "_upsample_bilinear2d_aa"),
    "max_unpool2d": _unpooled,
    "grid_sampler": _sampled,
    **_rows(_reduced, "mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "prod"),
    **_rows(_reduced, "argmax", "argmin", "logsumexp", "any", "all"),
    "linalg_vector_norm": _normed,
    **_rows(_normalised_along, "softmax", "log_softmax", "cumsum"),
    "glu": _gated_by_half,
    **_rows(_per_channel, "batch_norm", "instance_norm", "prelu"),
    "group_norm": _group_norm,
    **_rows(_layer_norm, "layer_norm", "rms_norm"),
    **_rows(convolution, "conv1d", "conv2d", "conv3d"),
    **_rows(transposed_convolution, "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    "linear": linear,
    **_rows(matmul, "matmul", "bmm", "mm"),
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
    "cat": _concatenated,
    "concat": _concatenated,
    "stack": _stacked,
    **_rows(_padded, "pad", "constant_pad_nd"),
    **_rows(_constant, "new_zeros", "new_ones", "new_full", "new_empty"),
}
