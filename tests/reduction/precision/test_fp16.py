"""fp16: every weight of the export stored in half the bytes, settings of operators left alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.network import Network
from tinysight.reduction.precision.fp16 import Fp16
from tinysight.reduction.step import NotApplicable


@pytest.fixture(scope="module")
def halved(tiny_network, tiny_artifact, make_context) -> Network:
    context = make_context(tiny_network, float_export=lambda _network: tiny_artifact / "model.onnx")
    return Fp16().reduce(tiny_network, context)


def _weights(path) -> dict[str, np.ndarray]:
    return {stored.name: numpy_helper.to_array(stored) for stored in onnx.load(path).graph.initializer}


def test_the_weights_of_every_convolution_are_recorded(halved, tiny_artifact):
    convolutions = [node for node in onnx.load(tiny_artifact / "model.onnx").graph.node if node.op_type == "Conv"]
    assert {node.input[1] for node in convolutions} <= set(halved.precision.tensors)


def test_small_constants_stay_exact(halved, tiny_artifact):
    small = {name for name, values in _weights(tiny_artifact / "model.onnx").items() if values.size < 16}
    assert small
    assert not small & set(halved.precision.tensors)


def test_nothing_is_called_integer(halved):
    assert halved.precision.stored == "float16"


def test_the_written_weights_are_the_rounded_ones(halved, tiny_artifact, tiny_task, tmp_path):
    make_artifact(halved, tiny_task, tmp_path / "half", tiny_artifact / "model.onnx")
    before, after = _weights(tiny_artifact / "model.onnx"), _weights(tmp_path / "half/model.onnx")
    rounded = [values for values in after.values() if values.dtype == np.float16]
    expected = [before[name].astype(np.float16) for name in halved.precision.tensors]
    assert sorted(values.tobytes() for values in rounded) == sorted(values.tobytes() for values in expected)


def test_values_beyond_float16_are_not_applicable(tiny_network, tiny_artifact, make_context, tmp_path):
    model = onnx.load(tiny_artifact / "model.onnx")
    weight = next(stored for stored in model.graph.initializer if np.prod(stored.dims) >= 16)
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = 1e6
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, tmp_path / "large.onnx")
    context = make_context(tiny_network, float_export=lambda _network: tmp_path / "large.onnx")
    with pytest.raises(NotApplicable, match=f"the weight {weight.name} holds values beyond the range of float16"):
        Fp16().reduce(tiny_network, context)
