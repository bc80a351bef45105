"""Every operator gives what ONNX Runtime gives for a file of that one node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tinysight.engines.quiet import import_onnxruntime
from tinysight.reduction.onnx_torch.graph import TorchGraph
from tinysight.reduction.onnx_torch.operators import OPERATORS

OPSET = 20
RANDOM = np.random.default_rng(0)
MAP = (1, 4, 6, 8)


def some(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


# Operator, inputs after the first (None: left out), attributes, and the first input's shape where it is not a map.
Case = tuple[str, list[Any], dict[str, Any], tuple[int, ...]]


def case(operator: str, *others: Any, shape: tuple[int, ...] = MAP, **attributes: Any) -> Case:
    return operator, list(others), attributes, shape


CASES = [
    case("Conv", some(6, 4, 3, 3), some(6), pads=[1, 1, 1, 1], strides=[2, 2]),
    case("Conv", some(6, 2, 3, 3), group=2, dilations=[2, 2], pads=[2, 0, 1, 3]),
    case("Conv", some(6, 4, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", some(6, 4, 3, 3), auto_pad="SAME_LOWER", strides=[2, 2]),
    case("Conv", some(3, 4, 3), shape=(1, 4, 9)),
    case("ConvTranspose", some(4, 3, 3, 3), some(3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    case("ConvTranspose", some(4, 2, 2, 2), group=2, strides=[2, 2], pads=[1, 0, 0, 1]),
    case("Gemm", some(5, 3), some(5), transB=1, shape=(1, 3)),
    case("Gemm", some(3, 5), alpha=0.5, shape=(1, 3)),
    case("MatMul", some(8, 5)),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1),
    case("GlobalAveragePool"),
    case("GlobalMaxPool"),
    case("BatchNormalization", some(4), some(4), some(4), abs(some(4)) + 0.5, epsilon=1e-3),
    case("InstanceNormalization", some(4), some(4)),
    case("LayerNormalization", some(8), some(8), axis=-1),
    case("LayerNormalization", some(6, 8), axis=2),
    case("Relu"),
    case("LeakyRelu", alpha=0.2),
    case("PRelu", some(4, 1, 1)),
    case("Elu", alpha=0.7),
    case("Selu"),
    case("Gelu"),
    case("Gelu", approximate="tanh"),
    case("Sigmoid"),
    case("HardSigmoid", alpha=0.3, beta=0.4),
    case("HardSwish"),
    case("Mish"),
    case("Softplus"),
    case("Tanh"),
    case("Softmax", axis=1),
    case("LogSoftmax", axis=-1),
    case("Clip", np.float32(-0.5), np.float32(0.5)),
    case("Clip", None, np.float32(0.5)),
    case("Erf"),
    case("Exp"),
    case("Reciprocal"),
    case("Abs"),
    case("Neg"),
    case("Floor"),
    case("Add", some(4, 1, 1)),
    case("Sub", some(8)),
    case("Mul", some(1, 4, 1, 1)),
    case("Div", some(4, 1, 1)),
    case("Pow", np.float32(2)),
    case("Sum", some(*MAP), some(*MAP)),
    case("Min", some(*MAP)),
    case("Max", some(*MAP), some(8)),
    case("ReduceMean", ints(2, 3), keepdims=0),
    case("ReduceSum", ints(1)),
    case("ReduceMax", ints(-1), keepdims=0),
    case("ReduceMin"),
    case("ReduceL2", ints(1)),
    case("Concat", some(*MAP), some(1, 2, 6, 8), axis=1),
    case("Slice", ints(1, 0), ints(5, 8), ints(2, 3), ints(1, 2)),
    case("Slice", ints(0), ints(-1), ints(1)),
    case("Gather", ints(2, 0, -1), axis=1),
    case("ScatterND", ints(0, 1).reshape(1, 2), some(1, 6, 8)),
    case("Resize", None, None, ints(1, 4, 13, 17), mode="linear", coordinate_transformation_mode="half_pixel"),
    case("Resize", None, None, ints(1, 4, 13, 17), mode="linear", coordinate_transformation_mode="align_corners"),
    case(
        "Resize", None, np.array([1, 1, 2, 2], np.float32), mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    ),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0), np.float32(0.3)),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0), mode="reflect"),
    case("Pad", ints(1, 2), None, ints(3), mode="constant"),
    case("Reshape", ints(0, 2, -1)),
    case("Flatten"),
    case("Expand", ints(3, 4, 6, 8)),
    case("Squeeze", ints(0)),
    case("Unsqueeze", ints(0, -1)),
    case("Transpose", perm=[0, 2, 3, 1]),
    case("DepthToSpace", blocksize=2),
    case("DepthToSpace", blocksize=2, mode="CRD"),
    case("Identity"),
    case("Dropout"),
    case("Split", ints(1, 3), axis=1),
]  # fmt: skip
WITHIN_OTHERS = {
    "And", "ArgMax", "Cast", "ConstantOfShape", "Equal", "Greater", "GreaterOrEqual", "GroupNormalization", "Less",
    "LessOrEqual", "Log", "Not", "Shape", "Sqrt", "Where",
}  # fmt: skip
"""Operators with other types in or out; tested in chains below."""


def ran(nodes: list[onnx.NodeProto], constants: list[TensorProto], given: np.ndarray, opset: int = OPSET) -> None:
    """Compare both on ``given``, which the first node reads as ``x``; the last one makes ``y``."""
    graph = helper.make_graph(
        nodes, "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, given.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    session = import_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": given})[0]
    with torch.no_grad():
        found = TorchGraph(model)(torch.from_numpy(given)).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "others", "attributes", "shape"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)]
)
def test_it_gives_what_onnx_runtime_gives(operator, others, attributes, shape):
    names = ["x", *("" if each is None else f"c{number}" for number, each in enumerate(others))]
    constants = [
        numpy_helper.from_array(np.asarray(each), f"c{number}")
        for number, each in enumerate(others)
        if each is not None
    ]
    outputs = ["y", "rest"] if operator == "Split" else ["y"]
    ran([helper.make_node(operator, names, outputs, **attributes)], constants, some(*shape))


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


@pytest.mark.parametrize("compared", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_comparisons_choose(compared: str):
    chosen = [node(compared, "x zero", "c"), node("Not", "c", "n"), node("And", "c n", "a")]
    nodes = [*chosen, node("Where", "c x zero", "w"), node("Where", "a x w", "y")]
    ran(nodes, [numpy_helper.from_array(np.zeros(1, np.float32), "zero")], some(*MAP))


def test_shapes_are_made_and_used():
    nodes = [node("Shape", "x", "s"), node("ConstantOfShape", "s", "o"), node("Add", "x o", "y")]
    ran(nodes, [], some(*MAP))


def test_places_are_found_and_cast():
    ran([node("ArgMax", "x", "a", axis=1), node("Cast", "a", "y", to=TensorProto.FLOAT)], [], some(*MAP))


def test_roots_and_logarithms_of_positive_numbers():
    ran([node("Abs", "x", "a"), node("Sqrt", "a", "r"), node("Log", "r", "y")], [], some(*MAP) + 3)


def test_groups_are_normalised():
    constants = [numpy_helper.from_array(some(4), name) for name in ("w", "b")]
    ran([node("GroupNormalization", "x w b", "y", num_groups=2)], constants, some(*MAP), opset=21)


def test_every_operator_is_tested():
    assert {one[0] for one in CASES} | WITHIN_OTHERS == set(OPERATORS)


@pytest.mark.parametrize(
    ("operator", "others", "attributes", "named"),
    [
        ("ConvTranspose", [some(4, 3, 3, 3)], {"auto_pad": "SAME_UPPER"}, "auto_pad"),
        ("AveragePool", [], {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}, "does not count"),
        ("Slice", [ints(5), ints(0), ints(2), ints(-1)], {}, "backwards"),
        ("Resize", [None, None, ints(1, 4, 3, 4)], {"mode": "nearest", "nearest_mode": "ceil",
         "coordinate_transformation_mode": "asymmetric"}, "nearest"),
        ("Cast", [], {"to": TensorProto.INT8}, "cast"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_it_says(operator, others, attributes, named):
    tensors = [None if each is None else torch.from_numpy(each) for each in others]
    with pytest.raises(NotImplementedError, match=named):
        OPERATORS[operator](torch.from_numpy(some(*MAP)), *tensors, attributes=attributes)
