"""The writer, on graphs small enough to quantize by hand."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tinysight.errors import UserError
from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.precision.writer import quantized_values, write

WEIGHT = np.array([[1.0, -0.5, 0.26], [4.0, 3.0, -9.0]], np.float32)
PER_ROW = TensorPrecision(dtype="int8", scale=(0.5, 0.25), axis=0)


def _model(nodes, constants, outputs=("y",), opset=20):
    """A graph over a 1x3 input ``x``; ``constants`` maps names to float arrays."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", "columns"]) for name in outputs],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def _linear(opset=20):
    """One linear layer whose weight is ``w``, 2x3, and whose bias is ``b``."""
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    return _model([node], {"w": WEIGHT, "b": [1.0, 2.0]}, opset=opset)


def _two_readers():
    """``x`` is read by two nodes, one of them twice, and is a graph output too."""
    nodes = [helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    return _model([*nodes, helper.make_node("Identity", ["y"], ["out"])], {}, ("out", "z", "y"))


def _write(model, record):
    written = write(model, record)
    onnx.checker.check_model(written, full_check=True)
    return written


def _run(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.asarray([x], np.float32)})


def _constants(model):
    return {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}


def test_weight_is_stored_as_integers_with_a_scale_for_each_channel():
    written = _write(_linear(), PrecisionRecord(tensors={"w": PER_ROW}))
    constants = _constants(written)
    # 1/.5, -.5/.5, .26/.5 = .52 -> 1; 4/.25, 3/.25, -9/.25. Nothing saturates.
    assert constants["w/q"].dtype == np.int8
    assert constants["w/q"].tolist() == [[2, -1, 1], [16, 12, -36]]
    assert sorted(constants) == ["b", "w/q", "w/scale", "w/zero_point"]
    # Weights as stored: [1, -.5, .5] and [4, 3, -9], plus the bias.
    assert _run(written, [1, 2, 4])[0].tolist() == [[1 - 1 + 2 + 1, 4 + 6 - 36 + 2]]


def test_halves_round_to_even_and_the_ends_saturate():
    precision = TensorPrecision(dtype="uint8", scale=(1.0,), zero_point=(10,))
    values = np.array([-11.0, -0.5, 0.5, 1.5, 2.5, 300.0], np.float32)
    assert quantized_values(values, precision).tolist() == [0, 10, 10, 12, 12, 255]


def test_a_negative_axis_counts_from_the_end():
    precision = TensorPrecision(dtype="int8", scale=(1.0, 0.5, 0.26), axis=-1)
    assert quantized_values(WEIGHT, precision).tolist() == [[1, -1, 1], [4, 6, -35]]


def test_activation_passes_a_quantize_dequantize_pair():
    record = PrecisionRecord(tensors={"x": TensorPrecision(dtype="uint8", scale=(0.5,), zero_point=(4,))})
    written = _write(_linear(), record)
    assert [node.op_type for node in written.graph.node] == ["QuantizeLinear", "DequantizeLinear", "Gemm"]
    assert [node.name for node in written.graph.node][:2] == ["x/q", "x/dq"]
    # 0.6 -> 0.5; -9 saturates at level 0 = (0 - 4) * 0.5 = -2; 1 stays.
    assert _run(written, [0.6, -9, 1])[0] == pytest.approx(np.array([[0.5 + 1 + 0.26 + 1, 2 - 6 - 9 + 2]]))


def test_activation_may_have_a_scale_for_each_channel():
    precision = TensorPrecision(dtype="int8", scale=(1.0, 2.0, 4.0), zero_point=(0, 1, 2), axis=1)
    model = _model([helper.make_node("Identity", ["x"], ["y"])], {})
    assert _run(_write(model, PrecisionRecord(tensors={"x": precision})), [1.2, 1.2, 7])[0].tolist() == [[1, 2, 8]]


def test_float16_is_stored_and_computed_in_float32():
    record = PrecisionRecord(tensors={"w": TensorPrecision(dtype="float16")})
    written = _write(_linear(), record)
    assert _constants(written)["w/f16"].dtype == np.float16
    assert "w" not in _constants(written)
    rounded = WEIGHT.astype(np.float16).astype(np.float32)
    assert _run(written, [0, 0, 1])[0].tolist() == (rounded[:, 2] + np.array([1, 2], np.float32))[None].tolist()


def test_corrected_biases_replace_the_old_ones():
    written = _write(_linear(), PrecisionRecord(tensors={"w": PER_ROW}, biases={"b": (0.1, -3.0)}))
    assert np.array_equal(_constants(written)["b"], np.array([0.1, -3.0], np.float32))


def test_only_the_named_consumers_see_the_reduced_tensor():
    precision = TensorPrecision(dtype="int8", scale=(1.0,), consumers=("y",))
    outputs = _run(_write(_two_readers(), PrecisionRecord(tensors={"x": precision})), [0.6, 0.4, 2])
    assert outputs[0].tolist() == [[2, 0, 4]]
    assert outputs[1] == pytest.approx(np.array([[-0.6, -0.4, -2]]))


def test_consumers_may_see_different_precisions():
    coarse, fine = (
        TensorPrecision(dtype="int8", scale=(scale,), consumers=(one,)) for scale, one in ((2.0, "y"), (0.5, "z"))
    )
    written = _write(_two_readers(), PrecisionRecord(tensors={"x": coarse}, branches={"x": (fine,)}))
    assert {node.name for node in written.graph.node} >= {"x/q", "x/dq", "x/2/q", "x/2/dq"}
    outputs = _run(written, [1.4, 1.4, 0.4])
    assert [one.tolist() for one in outputs[:2]] == [[[4, 4, 0]], [[-1.5, -1.5, -0.5]]]


def test_a_shared_weight_stays_in_float_where_it_is_still_read():
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"]), helper.make_node("Add", ["x", "w"], ["z"])]
    model = _model(nodes, {"w": [1.2, 2.2, 3.2]}, ("y", "z"))
    precision = TensorPrecision(dtype="int8", scale=(1.0,), consumers=("y",))
    written = _write(model, PrecisionRecord(tensors={"w": precision}))
    assert "w" in _constants(written)
    assert _run(written, [1, 1, 1])[0].tolist() == [[1, 2, 3]]


def test_graph_outputs_give_the_tensor_as_computed():
    record = PrecisionRecord(tensors={"y": TensorPrecision(dtype="int8", scale=(1.0,))})
    out, _, y = _run(_write(_two_readers(), record), [0.3, 0.3, 0.3])
    assert out.tolist() == [[1, 1, 1]]
    assert y == pytest.approx(np.array([[0.6, 0.6, 0.6]]))


def test_a_weight_listed_as_graph_input_is_removed_there_too():
    model = _linear()
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 3]))
    written = _write(model, PrecisionRecord(tensors={"w": PER_ROW}))
    assert [value.name for value in written.graph.input] == ["x"]


def test_the_argument_stays_as_it_is_and_the_bytes_are_the_same_each_time():
    model = _linear()
    before = model.SerializeToString(deterministic=True)
    record = PrecisionRecord(
        tensors={"w": PER_ROW, "x": TensorPrecision(dtype="int8", scale=(0.1,))}, biases={"b": (0, 1)}
    )
    first = write(model, record).SerializeToString()
    assert model.SerializeToString(deterministic=True) == before
    assert write(_linear(), PrecisionRecord.model_validate_json(record.model_dump_json())).SerializeToString() == first


def test_an_empty_record_changes_nothing():
    assert write(_linear(), PrecisionRecord(execute="bf16")) == _linear()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"tensors": {"ww": PER_ROW}}, "another export: it names tensor 'ww'.*nearest name is 'w'"),
        ({"tensors": {"y": TensorPrecision(dtype="int8", scale=(1.0,))}}, "no node reads tensor 'y'"),
        ({"tensors": {"w": PER_ROW.model_copy(update={"consumers": ("gone",)})}}, "consumers of tensor 'w'.*'gone'"),
        ({"tensors": {"w": PER_ROW.model_copy(update={"axis": 1})}}, "2 scales along axis 1 of 'w', which is 2x3"),
        ({"tensors": {"x": TensorPrecision(dtype="float16")}}, "tensor 'x' is computed"),
        ({"biases": {"c": (1.0,)}}, "it names the constant 'c'"),
        ({"biases": {"b": (1.0,)}}, "1 values for 'b', which has 2"),
    ],
)
def test_a_record_of_another_export_is_refused_by_name(record, message):
    with pytest.raises(UserError, match=message):
        write(_linear(), PrecisionRecord(**record))


def test_a_weight_beyond_float16_is_refused():
    model = _model([helper.make_node("Mul", ["x", "w"], ["y"])], {"w": [7e4]})
    with pytest.raises(UserError, match="'w' reaches 70000"):
        write(model, PrecisionRecord(tensors={"w": TensorPrecision(dtype="float16")}))


def test_an_old_opset_is_refused():
    with pytest.raises(UserError, match="opset 13 or higher and the model has 12"):
        write(_linear(opset=12), PrecisionRecord(tensors={"w": PER_ROW}))


def test_a_model_that_was_written_before_is_refused():
    record = PrecisionRecord(tensors={"x": TensorPrecision(dtype="int8", scale=(1.0,))})
    written = write(_linear(), record)
    with pytest.raises(UserError, match="already holds a tensor 'x/dq'"):
        write(written, record)


def test_control_flow_is_refused_by_name():
    body = helper.make_graph([helper.make_node("Neg", ["x"], ["n"])], "body", [], [onnx.ValueInfoProto(name="n")])
    model = _model([helper.make_node("If", ["c"], ["y"], name="gate", then_branch=body, else_branch=body)], {})
    with pytest.raises(UserError, match=r"'gate' \(If\) holds a subgraph"):
        write(model, PrecisionRecord())
