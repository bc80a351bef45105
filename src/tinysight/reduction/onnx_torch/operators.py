"""ONNX operators in PyTorch, as far as vision networks use them: what a gradient can flow through.

Each takes a node's inputs, tensors or None where one is left out, and its attributes. Opset 13 to 23; integers that
ONNX passes as tensors (shapes, axes, sizes) are read as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["OPERATORS", "Operator"]

Attributes = dict[str, Any]
Operator = Callable[..., Any]
"""(inputs…, attributes=) -> tensor, or a tuple of them."""

TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64}
"""Element types of ONNX."""


def _numbers(values: Tensor | None) -> list[int]:
    return [] if values is None else [int(value) for value in values.flatten().tolist()]


def _padded(x: Tensor, kernel: Sequence[int], attributes: Attributes, fill: float = 0.0) -> tuple[Tensor, list[int]]:
    """Pad what pads unequally, or as ``auto_pad`` says; return what remains to be padded equally on both sides."""
    dims = x.ndim - 2
    strides, dilations = attributes.get("strides", [1] * dims), attributes.get("dilations", [1] * dims)
    pads = list(attributes.get("pads", [0] * 2 * dims))
    auto = attributes.get("auto_pad", "NOTSET")
    if auto.startswith("SAME"):
        totals = []
        for side, size, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
            count = -(-side // stride)
            totals.append(max(0, (count - 1) * stride + (size - 1) * dilation + 1 - side))
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        pads = small + large if auto == "SAME_UPPER" else large + small
    before, after = pads[:dims], pads[dims:]
    if before == after:
        return x, before
    order = [pad for pair in reversed(list(zip(before, after, strict=True))) for pad in pair]
    return F.pad(x, order, value=fill), [0] * dims


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, attributes: Attributes) -> Tensor:
    dims = x.ndim - 2
    x, pads = _padded(x, weight.shape[2:], attributes)
    run = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    return run(
        x, weight, bias, attributes.get("strides", [1] * dims), pads, attributes.get("dilations", [1] * dims),
        attributes.get("group", 1),
    )  # fmt: skip


def _conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, attributes: Attributes) -> Tensor:
    dims = x.ndim - 2
    strides, dilations = attributes.get("strides", [1] * dims), attributes.get("dilations", [1] * dims)
    extra = attributes.get("output_padding", [0] * dims)
    pads = attributes.get("pads", [0] * 2 * dims)
    if attributes.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in attributes:
        raise NotImplementedError("a transposed convolution with auto_pad or output_shape")
    run = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dims - 1]
    whole: Tensor = run(x, weight, bias, strides, 0, extra, attributes.get("group", 1), dilations)
    for axis, (before, after) in enumerate(zip(pads[:dims], pads[dims:], strict=True), start=2):
        whole = whole.narrow(axis, before, whole.shape[axis] - before - after)
    return whole


def _gemm(a: Tensor, b: Tensor, c: Tensor | None = None, *, attributes: Attributes) -> Tensor:
    a = a.T if attributes.get("transA") else a
    b = b.T if attributes.get("transB") else b
    product: Tensor = attributes.get("alpha", 1.0) * (a @ b)
    return product if c is None else product + attributes.get("beta", 1.0) * c


def _max_pool(x: Tensor, *, attributes: Attributes) -> Tensor:
    dims = x.ndim - 2
    kernel = attributes["kernel_shape"]
    x, pads = _padded(x, kernel, attributes, fill=-torch.inf)
    run = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
    pooled: Tensor = run(
        x, kernel, attributes.get("strides", [1] * dims), pads, attributes.get("dilations", [1] * dims),
        bool(attributes.get("ceil_mode")),
    )  # fmt: skip
    return pooled


def _average_pool(x: Tensor, *, attributes: Attributes) -> Tensor:
    dims = x.ndim - 2
    kernel, counts_padding = attributes["kernel_shape"], bool(attributes.get("count_include_pad"))
    padded, pads = _padded(x, kernel, attributes)
    if padded.shape != x.shape and not counts_padding:
        raise NotImplementedError("average pooling with unequal padding that does not count")
    run = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[dims - 1]
    strides = attributes.get("strides", [1] * dims)
    pooled: Tensor = run(padded, kernel, strides, pads, bool(attributes.get("ceil_mode")), counts_padding)
    return pooled


def _batch_norm(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, *, attributes: Attributes
) -> Tensor:
    return F.batch_norm(x, mean, var, weight, bias, eps=attributes.get("epsilon", 1e-5))


def _instance_norm(x: Tensor, weight: Tensor, bias: Tensor, *, attributes: Attributes) -> Tensor:
    return F.instance_norm(x, weight=weight, bias=bias, eps=attributes.get("epsilon", 1e-5))


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", -1) % x.ndim
    normed = F.layer_norm(x, x.shape[axis:], eps=attributes.get("epsilon", 1e-5)) * weight
    return normed if bias is None else normed + bias


def _group_norm(x: Tensor, weight: Tensor, bias: Tensor, *, attributes: Attributes) -> Tensor:
    groups = attributes["num_groups"]
    if weight.numel() != x.shape[1]:  # opset 18 scales groups, not channels
        weight, bias = (values.repeat_interleave(x.shape[1] // groups) for values in (weight, bias))
    return F.group_norm(x, groups, weight, bias, eps=attributes.get("epsilon", 1e-5))


def _resize(
    x: Tensor, _roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None, *,
    attributes: Attributes,
) -> Tensor:  # fmt: skip
    mode, where = attributes.get("mode", "nearest"), attributes.get("coordinate_transformation_mode", "half_pixel")
    if sizes is not None and sizes.numel():
        size = _numbers(sizes)[-2:]
    else:
        assert scales is not None, "ONNX gives one of the two"
        size = [int(side * scale) for side, scale in zip(x.shape[-2:], scales.tolist()[-2:], strict=True)]
    if mode == "nearest":
        if where == "asymmetric" and attributes.get("nearest_mode", "round_prefer_floor") == "floor":
            return F.interpolate(x, size, mode="nearest")
        if where == "half_pixel":
            return F.interpolate(x, size, mode="nearest-exact")
        raise NotImplementedError(f"resizing to the nearest, {where}")
    if where not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise NotImplementedError(f"resizing, {where}")
    return F.interpolate(
        x, size, mode={"linear": "bilinear", "cubic": "bicubic"}[mode], align_corners=where == "align_corners",
        antialias=bool(attributes.get("antialias")),
    )  # fmt: skip


def _reduced(run: Callable[..., Tensor]) -> Operator:
    def operator(x: Tensor, axes: Tensor | None = None, *, attributes: Attributes) -> Tensor:
        dims = attributes.get("axes") or _numbers(axes) or list(range(x.ndim))
        return run(x, dims, bool(attributes.get("keepdims", 1)))

    return operator


def _reshape(x: Tensor, shape: Tensor, *, attributes: Attributes) -> Tensor:
    sizes = _numbers(shape)
    if not attributes.get("allowzero"):
        sizes = [size or x.shape[axis] for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _expand(x: Tensor, shape: Tensor, *, attributes: Attributes) -> Tensor:
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(_numbers(shape))))


def _flatten(x: Tensor, *, attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 1)
    return x.reshape(int(torch.tensor(x.shape[:axis]).prod()), -1)


def _squeeze(x: Tensor, axes: Tensor | None = None, *, attributes: Attributes) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(_numbers(axes))


def _unsqueeze(x: Tensor, axes: Tensor, *, attributes: Attributes) -> Tensor:
    for axis in sorted(axis % (x.ndim + axes.numel()) for axis in _numbers(axes)):
        x = x.unsqueeze(axis)
    return x


def _slice(
    x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None, *,
    attributes: Attributes,
) -> Tensor:  # fmt: skip
    places = [slice(None)] * x.ndim
    first, last = _numbers(starts), _numbers(ends)
    for start, end, axis, step in zip(
        first, last, _numbers(axes) or range(len(first)), _numbers(steps) or [1] * len(first), strict=True
    ):
        if step < 0:
            raise NotImplementedError("slicing backwards")
        places[axis] = slice(start, end, step)
    return x[tuple(places)]


def _split(x: Tensor, sizes: Tensor | None = None, *, attributes: Attributes) -> tuple[Tensor, ...]:
    axis = attributes.get("axis", 0)
    if sizes is not None:
        return torch.split(x, _numbers(sizes), axis)
    return torch.split(x, -(-x.shape[axis] // attributes["num_outputs"]), axis)


def _pad(
    x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None, *, attributes: Attributes
) -> Tensor:
    around = _numbers(pads)
    count = len(around) // 2
    sides = {axis % x.ndim: (0, 0) for axis in range(x.ndim)}
    for axis, before, after in zip(_numbers(axes) or range(count), around[:count], around[count:], strict=True):
        sides[axis % x.ndim] = before, after
    order = [pad for axis in reversed(range(x.ndim)) for pad in sides[axis]]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[attributes.get("mode", "constant")]
    if mode == "constant":
        return F.pad(x, order, value=0.0 if value is None else float(value))
    return F.pad(x, order[: 2 * (x.ndim - 2)], mode=mode)


def _gather(x: Tensor, places: Tensor, *, attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 0) % x.ndim
    picked = x.index_select(axis, places.flatten() % x.shape[axis])
    return picked.reshape([*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]])


def _scatter_nd(x: Tensor, places: Tensor, updates: Tensor, *, attributes: Attributes) -> Tensor:
    if attributes.get("reduction", "none") != "none":
        raise NotImplementedError("scattering that adds")
    return x.index_put(tuple(places.unbind(-1)), updates)


def _depth_to_space(x: Tensor, *, attributes: Attributes) -> Tensor:
    if attributes.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, attributes["blocksize"])
    block = attributes["blocksize"]
    batch, channels, height, width = x.shape
    parts = x.reshape(batch, block, block, channels // block**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, channels // block**2, height * block, width * block)


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None, *, attributes: Attributes) -> Tensor:
    return x if low is None and high is None else x.clamp(low, high)


def _cast(x: Tensor, *, attributes: Attributes) -> Tensor:
    kind = TYPES.get(attributes["to"])
    if kind is None:
        raise NotImplementedError(f"a cast to type {attributes['to']} of ONNX")
    return x.to(kind)


def _constant_of_shape(shape: Tensor, *, attributes: Attributes) -> Tensor:
    value = attributes.get("value")
    value = torch.zeros(1) if value is None else torch.from_numpy(value)
    return value.expand(_numbers(shape)).clone()


def _gelu(x: Tensor, *, attributes: Attributes) -> Tensor:
    return F.gelu(x, approximate=attributes.get("approximate", "none"))


def _folded(run: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def operator(first: Tensor, *others: Tensor, attributes: Attributes) -> Tensor:
        for other in others:
            first = run(first, other)
        return first

    return operator


def _plain(run: Callable[..., Any]) -> Operator:
    """Make an operator of a function that needs no attributes."""

    def operator(*inputs: Any, attributes: Attributes) -> Any:
        return run(*inputs)

    return operator


def _prelu(x: Tensor, slope: Tensor, *, attributes: Attributes) -> Tensor:
    return torch.where(x < 0, x * slope, x)


OPERATORS: dict[str, Operator] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _plain(torch.matmul),
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _plain(lambda x: x.mean(tuple(range(2, x.ndim)), keepdim=True)),
    "GlobalMaxPool": _plain(lambda x: x.amax(tuple(range(2, x.ndim)), keepdim=True)),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "Relu": _plain(F.relu),
    "LeakyRelu": lambda x, attributes: F.leaky_relu(x, attributes.get("alpha", 0.01)),
    "PRelu": _prelu,
    "Elu": lambda x, attributes: F.elu(x, attributes.get("alpha", 1.0)),
    "Selu": _plain(F.selu),
    "Gelu": _gelu,
    "Sigmoid": _plain(torch.sigmoid),
    "HardSigmoid": lambda x, attributes: (x * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": _plain(F.hardswish),
    "Mish": _plain(F.mish),
    "Softplus": _plain(F.softplus),
    "Tanh": _plain(torch.tanh),
    "Softmax": lambda x, attributes: x.softmax(attributes.get("axis", -1)),
    "LogSoftmax": lambda x, attributes: x.log_softmax(attributes.get("axis", -1)),
    "Clip": _clip,
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Sqrt": _plain(torch.sqrt),
    "Reciprocal": _plain(torch.reciprocal),
    "Abs": _plain(torch.abs),
    "Neg": _plain(torch.neg),
    "Floor": _plain(torch.floor),
    "Not": _plain(torch.logical_not),
    "And": _plain(torch.logical_and),
    "Add": _plain(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": _plain(lambda a, b: a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")),
    "Pow": _plain(torch.pow),
    "Sum": _folded(torch.add),
    "Min": _folded(torch.minimum),
    "Max": _folded(torch.maximum),
    "Equal": _plain(torch.eq),
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Where": _plain(torch.where),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMin": _reduced(torch.amin),
    "ReduceL2": _reduced(lambda x, dims, keep: torch.linalg.vector_norm(x, dim=dims, keepdim=keep)),
    "ArgMax": lambda x, attributes: x.argmax(attributes.get("axis", 0), bool(attributes.get("keepdims", 1))),
    "Concat": lambda *inputs, attributes: torch.cat(inputs, attributes["axis"]),
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "ScatterND": _scatter_nd,
    "Resize": _resize,
    "Pad": _pad,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Expand": _expand,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda x, attributes: x.permute(attributes.get("perm", list(reversed(range(x.ndim))))),
    "DepthToSpace": _depth_to_space,
    "Shape": lambda x, attributes: torch.tensor(x.shape[attributes.get("start", 0) : attributes.get("end")]),
    "ConstantOfShape": _constant_of_shape,
    "Cast": _cast,
    "Identity": _plain(lambda x: x),
    "Dropout": lambda x, *_rest, attributes: x,
}
"""By ONNX's name."""
