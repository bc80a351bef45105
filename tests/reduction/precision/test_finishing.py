"""The last touch before a written model ships: the same numbers, fewer bytes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tinysight.reduction.precision.finishing import finish
from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.precision.writer import write


@pytest.fixture
def written() -> onnx.ModelProto:
    """Two convolutions by long names; the activations signed, one of them for each channel."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "network.first.weight"], ["first"], name="node_first"),
            helper.make_node("Relu", ["first"], ["relu"], name="node_relu"),
            helper.make_node("Conv", ["relu", "network.last.weight", "0"], ["y"], name="node_last"),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 4, 4])],
        [
            numpy_helper.from_array(np.array([[[[2.0]], [[-1.0]]], [[[0.5]], [[1.0]]]], np.float32), name)
            for name in ("network.first.weight", "network.last.weight")
        ]
        + [numpy_helper.from_array(np.array([0.5, -0.5], np.float32), "0")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    weight = TensorPrecision(dtype="int8", scale=(2 / 127, 1 / 127), axis=0)
    tensors = {
        "x": TensorPrecision(dtype="int8", scale=(0.03,), zero_point=(-7,)),
        "relu": TensorPrecision(dtype="int8", scale=(0.02, 0.04), zero_point=(-128, 5), axis=1),
        "network.first.weight": weight,
        "network.last.weight": weight,
    }
    return write(model, PrecisionRecord(tensors=tensors))


def finished(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    finish(copy)
    onnx.checker.check_model(copy, full_check=True)
    return copy


def scores(model: onnx.ModelProto) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    image = 3 * np.random.default_rng(0).standard_normal((1, 2, 4, 4)).astype(np.float32)
    return session.run(None, {"x": image})[0]


def test_every_number_stays(written):
    np.testing.assert_array_equal(scores(finished(written)), scores(written))


def test_activations_are_unsigned_and_weights_are_not(written):
    model = finished(written)
    kinds = {constant.name: constant.data_type for constant in model.graph.initializer}
    quantizers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert {kinds[node.input[2]] for node in quantizers} == {TensorProto.UINT8}
    assert kinds["network.first.weight/q"] == TensorProto.INT8


def test_weights_keep_their_names_and_nothing_else_is_long(written):
    model = finished(written)
    names = {name for node in model.graph.node for name in (*node.input, *node.output)}
    assert {name for name in names if len(name) > 2} == {"network.first.weight/q", "network.last.weight/q"}
    assert not any(node.name for node in model.graph.node)


def test_a_constant_named_like_a_number_is_left_alone(written):
    model = finished(written)
    assert [constant.name for constant in model.graph.initializer].count("0") == 1
    assert "0" not in {name for node in model.graph.node for name in node.output}


def test_it_repeats_itself_to_the_byte(written):
    assert finished(written).SerializeToString() == finished(written).SerializeToString()


def test_finishing_twice_does_no_harm(written):
    once = finished(written)
    np.testing.assert_array_equal(scores(finished(once)), scores(once))


def test_float16_files_keep_their_numbers(written):
    model = onnx.ModelProto()
    model.CopyFrom(written)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.append(helper.make_node("Conv", ["x", "w"], ["y"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32) / 3, "w"))
    stored = write(model, PrecisionRecord(tensors={"w": TensorPrecision(dtype="float16")}))
    np.testing.assert_array_equal(scores(finished(stored)), scores(stored))


def test_types_by_names_that_are_gone_are_taken_out(written):
    """Brought files often tell of inner tensors, by numbers that short names take as well."""
    written.graph.value_info.append(helper.make_tensor_value_info("1", TensorProto.FLOAT, [1]))
    scores(finished(written))
