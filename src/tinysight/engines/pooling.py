"""Adaptive average pooling as ONNX, in at most five nodes where the exporter would write hundreds.

At a fixed input size it is an exact linear map along each side. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxscript import opset18 as op

__all__ = ["TRANSLATIONS", "averaging_matrix"]


def averaging_matrix(size: int, cells: int) -> NDArray[np.float32]:
    """Return the matrix (size, cells) that averages ``size`` values into ``cells`` windows, as PyTorch places them.

    Window i spans floor(i * size / cells) to ceil((i + 1) * size / cells): windows overlap where cells do not divide
    size. A column holds zeros and one other value, so int8 with a scale for each column holds it exactly.
    """
    matrix = np.zeros((size, cells), np.float32)
    for cell in range(cells):
        start, stop = cell * size // cells, -(-(cell + 1) * size // cells)
        matrix[start:stop, cell] = 1 / (stop - start)
    return matrix


def _adaptive_avg_pool2d(features: Any, output_size: Sequence[int]) -> Any:
    """Pool ``features`` (…, height, width), of known shape, to ``output_size``; called by the exporter."""
    axes = list(range(len(features.shape)))
    sides, cells = [int(side) for side in features.shape[-2:]], list(output_size)
    kind = features.dtype.numpy()
    if sides == cells:
        return op.Identity(features)  # the exporter names what it is given, and the input has a name
    # ONNX pools the last two of four axes; a picture without a batch is left to the matrices.
    if len(axes) == 4:
        if cells == [1, 1]:
            return op.GlobalAveragePool(features)
        strides = [side // cell if side % cell == 0 else 1 for side, cell in zip(sides, cells, strict=True)]
        if max(strides) > 1:
            features = op.AveragePool(features, kernel_shape=strides, strides=strides)
            sides = [side // stride for side, stride in zip(sides, strides, strict=True)]
    if sides[1] != cells[1]:
        features = op.MatMul(features, _constant(averaging_matrix(sides[1], cells[1]).astype(kind)))
    if sides[0] != cells[0]:
        # From the right again, between transpositions: OpenVINO multiplies in integers only by constants on the right.
        swap = [*axes[:-2], axes[-1], axes[-2]]
        turned = op.Transpose(features, perm=swap)
        turned = op.MatMul(turned, _constant(averaging_matrix(sides[0], cells[0]).astype(kind)))
        features = op.Transpose(turned, perm=swap)
    return features


def _constant(values: NDArray[Any]) -> Any:
    return op.Constant(value=numpy_helper.from_array(values))


# The second is what the first becomes in a program whose maker took it apart. nn.AdaptiveAvgPool1d and
# F.interpolate(mode="area") arrive as the first.
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.adaptive_avg_pool2d.default: _adaptive_avg_pool2d,
    torch.ops.aten._adaptive_avg_pool2d.default: _adaptive_avg_pool2d,
}
