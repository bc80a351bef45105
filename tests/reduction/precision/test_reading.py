"""Reading a quantizer's model back: on hand-made graphs, and once on NNCF's own."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tinysight.engines.quiet import import_nncf
from tinysight.errors import UserError
from tinysight.reduction.precision.reading import read_quantized
from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.precision.writer import write

RNG = np.random.default_rng(0)
CONSTANTS = {
    "w1": RNG.normal(size=(8, 3, 3, 3)),
    "b1": RNG.normal(size=8),
    "w2": RNG.normal(size=(8, 1, 3, 3)),
    "b2": RNG.normal(size=8),
    "w3": RNG.normal(size=(4, 8, 1, 1)),
    "b3": RNG.normal(size=4),
}


def _float_model():
    """Convolution, depthwise convolution with a skip, and a cast that changes nothing before the last convolution."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="conv2", pads=[1] * 4, group=8),
        helper.make_node("Add", ["c2", "r1"], ["s"], name="add"),
        helper.make_node("Cast", ["s"], ["k"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Conv", ["k", "w3", "b3"], ["y"], name="conv3"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 12, 12])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in CONSTANTS.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _record():
    return PrecisionRecord(
        tensors={
            "x": TensorPrecision(dtype="int8", scale=(0.03,), zero_point=(-5,)),
            "w1": TensorPrecision(dtype="int8", scale=tuple(np.linspace(0.01, 0.02, 8)), axis=0),
            "r1": TensorPrecision(dtype="uint8", scale=(0.05,), consumers=("c2",)),
            "k": TensorPrecision(dtype="uint8", scale=tuple(np.linspace(0.1, 0.2, 8)), axis=1),
        },
        branches={"r1": (TensorPrecision(dtype="int8", scale=(0.1,), zero_point=(-128,), consumers=("s",)),)},
        biases={"b1": tuple(CONSTANTS["b1"] + 0.01)},
    )


def _run(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def _node(model, name):
    return next(node for node in model.graph.node if node.name == name)


def test_reading_what_was_written_gives_the_record_back():
    assert read_quantized(write(_float_model(), _record()), _float_model()) == _record()


def test_a_float_model_reads_as_an_empty_record():
    assert read_quantized(_float_model(), _float_model()) == PrecisionRecord()


def test_a_removed_cast_is_seen_through():
    without = _float_model()
    without.graph.node.remove(_node(without, "cast"))
    _node(without, "conv3").input[0] = "s"
    precision = TensorPrecision(dtype="uint8", scale=(0.1,), zero_point=(9,))
    quantized = write(without, PrecisionRecord(tensors={"s": precision}))
    assert read_quantized(quantized, _float_model()).tensors == {"k": precision}


def test_a_missing_zero_point_means_zero():
    quantized = write(_float_model(), PrecisionRecord(tensors={"w1": _record().tensors["w1"]}))
    del _node(quantized, "w1/dq").input[2]
    assert read_quantized(quantized, _float_model()).tensors == {"w1": _record().tensors["w1"]}


def _add_node(model):
    model.graph.node.append(helper.make_node("Neg", ["y"], ["minus"]))


def _change_attribute(model):
    next(one for one in _node(model, "conv2").attribute if one.name == "group").i = 4


def _read_other_tensor(model):
    _node(model, "relu1").input[0] = "x"


def _change_integers(model):
    weight = next(one for one in model.graph.initializer if one.name == "w1/q")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) // 2, weight.name))


def _change_shape(model):
    bias = next(one for one in model.graph.initializer if one.name == "b2")
    bias.CopyFrom(numpy_helper.from_array(np.zeros(4, np.float32), bias.name))


def _scale_apart(model):
    model.graph.initializer.append(numpy_helper.from_array(np.float32(2), "apart"))
    _node(model, "x/dq").input[1] = "apart"


def _quantize_twice(model):
    _node(model, "r1/q").input[0] = "x/dq"


def _quantize_output(model):
    model.graph.output.append(helper.make_tensor_value_info("x/dq", TensorProto.FLOAT, None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_add_node, "added a Neg node that makes 'minus'"),
        (_change_attribute, "changed or removed the Conv node that makes 'c2'"),
        (_read_other_tensor, "a node that reads 'c1' now reads 'x'"),
        (_change_integers, "integers of weight 'w1'"),
        (_change_shape, "changed the constant 'b2' in type or shape"),
        (_scale_apart, "'x' is quantized and dequantized with different scales"),
        (_quantize_twice, "'x/dq' is quantized twice in a row"),
        (_quantize_output, "quantized the graph output 'x/dq' itself"),
    ],
)
def test_what_a_record_cannot_say_is_refused_by_name(change, message):
    quantized = write(_float_model(), _record())
    change(quantized)
    with pytest.raises(UserError, match=message):
        read_quantized(quantized, _float_model())


@pytest.mark.filterwarnings("ignore")  # NNCF's own warnings, for 8 images and for a batch of one
def test_nncf_model_is_reproduced_to_the_last_bit():
    nncf = import_nncf()
    images = [RNG.normal(size=(1, 3, 12, 12)).astype(np.float32) for _ in range(8)]
    quantized = nncf.quantize(_float_model(), nncf.Dataset(images, lambda image: {"x": image}), subset_size=8)
    record = read_quantized(quantized, _float_model())
    assert {"w1", "w2", "w3", "x", "r1"} <= set(record.tensors)
    assert record.biases, "the test means to cover corrected biases"
    written = write(_float_model(), PrecisionRecord.model_validate_json(record.model_dump_json()))
    onnx.checker.check_model(written, full_check=True)
    assert np.array_equal(_run(written, images[0]), _run(quantized, images[0]))
    assert len(written.SerializeToString()) <= len(quantized.SerializeToString())
