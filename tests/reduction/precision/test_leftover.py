"""Weights a quantizer passed over: in 8 bits in the file, in float on the engine."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tinysight.engines import ENGINES
from tinysight.reduction.precision.leftover import store_leftover_weights
from tinysight.reduction.precision.placement import layers_of
from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.precision.writer import write


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


WEIGHTS = {
    "conv": values(6, 4, 1, 1),
    "depthwise": values(6, 1, 3, 3),
    "transposed": values(6, 4, 2, 2),
    "matmul": values(8, 5),
    "tiny": values(4, 1, 1, 1),
    "added": values(1, 4, 8, 5),
}


@pytest.fixture
def exported() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"]),
        helper.make_node("Conv", ["a", "depthwise"], ["b"], group=6, pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["b", "transposed"], ["c"], strides=[2, 2]),
        helper.make_node("Conv", ["c", "tiny"], ["d"], group=4),
        helper.make_node("MatMul", ["d", "matmul"], ["e"]),
        helper.make_node("Add", ["e", "added"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 5])],
        [numpy_helper.from_array(array, name) for name, array in WEIGHTS.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_convolutions_are_stored_by_their_output_channels(exported):
    stored = store_leftover_weights(PrecisionRecord(), exported).tensors
    assert {name: (len(one.scale), one.axis) for name, one in stored.items()} == {
        "conv": (6, 0), "depthwise": (6, 0), "transposed": (4, 1),
    }  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_compute_with_them_in_float(engine, exported, tmp_path):
    record = store_leftover_weights(PrecisionRecord(), exported)
    compiled = []
    for name, model in {"float": exported, "int8": write(exported, record)}.items():
        (tmp_path / name).mkdir()
        onnx.save(model, tmp_path / name / "model.onnx")
        compiled.append(ENGINES[engine].compile(tmp_path / name, threads=1))
    assert compiled[1].executed()["executed"] == "f32"
    exact, stored = (network(values(1, 4, 4, 4)) for network in compiled)
    assert 0 < np.abs(exact - stored).max() < 0.05 * np.abs(exact).max()


def test_what_the_quantizer_decided_stays(exported):
    decided = TensorPrecision(dtype="int8", scale=(0.5,))
    record = store_leftover_weights(PrecisionRecord(tensors={"conv": decided}), exported)
    assert record.tensors["conv"] == decided


def test_layers_that_shall_stay_in_float_do(exported):
    (layer,) = [each.name for each in layers_of(exported) if each.weight == "conv"]
    assert "conv" not in store_leftover_weights(PrecisionRecord(), exported, [layer]).tensors


def test_a_channel_of_zeros_stays_zero(exported):
    weight = next(one for one in exported.graph.initializer if one.name == "conv")
    weight.CopyFrom(
        numpy_helper.from_array(WEIGHTS["conv"] * np.arange(6, dtype=np.float32)[:, None, None, None], "conv")
    )
    written = write(exported, store_leftover_weights(PrecisionRecord(), exported))
    integers = next(numpy_helper.to_array(one) for one in written.graph.initializer if one.name == "conv/q")
    assert not integers[0].any() and np.abs(integers[1:]).max() == 127


def test_weights_that_are_no_numbers_are_left_alone(exported):
    weight = next(one for one in exported.graph.initializer if one.name == "conv")
    weight.CopyFrom(numpy_helper.from_array(np.full_like(WEIGHTS["conv"], np.inf), "conv"))
    assert "conv" not in store_leftover_weights(PrecisionRecord(), exported).tensors
