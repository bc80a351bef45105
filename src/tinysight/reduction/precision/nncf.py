"""NNCF's post-training quantization of an ONNX file, read back into our record."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Collection
from typing import Any

import onnx

from tinysight.engines.quiet import import_nncf
from tinysight.reduction.precision.calibration import Images
from tinysight.reduction.precision.placement import layers_named
from tinysight.reduction.precision.reading import read_quantized
from tinysight.reduction.precision.record import PrecisionRecord

__all__ = ["calibrated_by_nncf"]

COMPARISONS = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]
"""What they compare stays exact: rounded, it costs the answer, and no engine computes them in integers."""


def calibrated_by_nncf(
    exported: onnx.ModelProto,
    images: Images,
    ignored: Collection[str],
    *,
    symmetric: bool,
    correct_biases: bool,
    reduce_range: bool,
) -> PrecisionRecord:
    """Return what NNCF decides about ``exported``, calibrated on ``images``; the layers ``ignored`` stay in float.

    ``reduce_range`` gives all weights 7 bits; without it NNCF gives them to the first layer's alone.
    """
    nncf = import_nncf()
    nncf.set_log_level(logging.ERROR)
    name = exported.graph.input[0].name
    preset = nncf.QuantizationPreset.PERFORMANCE if symmetric else nncf.QuantizationPreset.MIXED
    exported, nodes = _with_names(exported, ignored)
    with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars of its own
        quantized = nncf.quantize(
            exported, nncf.Dataset([{name: image} for image in images]), subset_size=len(images), preset=preset,
            advanced_parameters=_parameters(nncf, correct_biases=correct_biases, reduce_range=reduce_range),
            ignored_scope=nncf.IgnoredScope(names=nodes, types=COMPARISONS, validate=False),
        )  # fmt: skip
    return read_quantized(quantized, exported)


def _with_names(exported: onnx.ModelProto, ignored: Collection[str]) -> tuple[onnx.ModelProto, list[str]]:
    """Return the names of the nodes of the layers ``ignored``, in a copy of ``exported`` in which they have some."""
    if not ignored:
        return exported, []
    wanted = {layer.node for layer in layers_named(exported, ignored)}
    named = onnx.ModelProto()
    named.CopyFrom(exported)
    for number, node in enumerate(named.graph.node):
        node.name = node.name or f"node {number}"
    return named, [node.name for node in named.graph.node if node.output[0] in wanted]


def _parameters(nncf: Any, *, correct_biases: bool, reduce_range: bool) -> Any:
    """Keep activations per tensor: ONNX Runtime cannot run the scales per channel that NNCF gives depthwise inputs."""
    parameters = nncf.quantization.advanced_parameters
    return parameters.AdvancedQuantizationParameters(
        activations_quantization_params=parameters.QuantizationParameters(per_channel=False),
        disable_bias_correction=not correct_biases,
        overflow_fix=parameters.OverflowFix.ENABLE if reduce_range else parameters.OverflowFix.FIRST_LAYER,
    )
