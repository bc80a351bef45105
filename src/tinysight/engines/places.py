"""Max-pooling that also says where each value came from, as ONNX that engines run fast. Needs torch.

ONNX's own MaxPool can say it too, but OpenVINO then falls back on its reference code: in an ENet at 360 x 480 four such
nodes took five sixths of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from onnx import numpy_helper
from onnxscript import opset18 as op

__all__ = ["TRANSLATIONS"]

SPATIAL = np.array([-2, -1])


def _max_pool2d_with_indices(
    features: Any,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[Any, Any]:
    """Pool ``features`` (…, height, width), of known shape; called by the exporter.

    The largest value of each window is looked for place by place, the first of equals, as PyTorch does; a place is its
    number in the plane, row by row.
    """
    kernel, padding, dilation = _pair(kernel_size), _pair(padding), _pair(dilation)
    stride = _pair(stride) if len(stride) else kernel
    sides = [int(side) for side in features.shape[-2:]]
    counts = [_windows(*each, ceil_mode) for each in zip(sides, kernel, stride, padding, dilation, strict=True)]
    reach = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(counts, stride, dilation, kernel, strict=True)]
    after = [max(0, end - side - before) for end, side, before in zip(reach, sides, padding, strict=True)]
    pads = [*padding, *after]
    values, _ = op.MaxPool(features, kernel_shape=kernel, strides=stride, pads=pads, dilations=dilation)
    # The search has a path of its own, of operators that no quantizer looks at: what fills the padding has no place
    # in anybody's range of values.
    if any(pads):
        lowest = np.array(np.finfo(features.dtype.numpy()).min, features.dtype.numpy())
        features = op.Pad(features, _constant(pads), _constant(lowest), _constant(SPATIAL))
    best = offset = None
    for place in product(*(range(side) for side in kernel)):
        first = [d * at for d, at in zip(dilation, place, strict=True)]
        last = [start + (n - 1) * s + 1 for start, n, s in zip(first, counts, stride, strict=True)]
        seen = op.Slice(features, _constant(first), _constant(last), _constant(SPATIAL), _constant(stride))
        here = _constant(first[0] * sides[1] + first[1])
        if best is None:
            best, offset = seen, here
        else:
            larger = op.Greater(seen, best)
            best, offset = op.Where(larger, seen, best), op.Where(larger, here, offset)
    rows, columns = (np.arange(n) * s - p for n, s, p in zip(counts, stride, padding, strict=True))
    # One after the other: their sum would be folded into a constant as large as a map.
    found = op.Add(op.Add(offset, _constant(rows[:, None] * sides[1])), _constant(columns[None, :]))
    # Windows of a single place have the same offset everywhere, which has no shape of its own.
    return values, op.Expand(found, op.Shape(values)) if best is seen else found


def _pair(values: Sequence[int]) -> list[int]:
    return [*values, *values][:2]


def _windows(side: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Return how many windows lie along a side; none begins in the padding behind it."""
    room = side + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= side + padding else count


def _constant(values: Any) -> Any:
    return op.Constant(value=numpy_helper.from_array(np.asarray(values)))


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.max_pool2d_with_indices.default: _max_pool2d_with_indices,
}
