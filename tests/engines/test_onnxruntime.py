"""What is particular to ONNX Runtime."""

import onnx
import pytest
from onnx import TensorProto, helper

from tinysight.engines import ENGINES
from tinysight.engines.onnxruntime import FLOAT_LAYERS, INTEGER_LAYERS, _heavy_layers

ENGINE = ENGINES["onnxruntime"]


def serialised(*operators: str) -> bytes:
    """A chain of operators, whatever they would compute."""
    names = [f"tensor {number}" for number in range(len(operators) + 1)]
    nodes = [helper.make_node(kind, [names[i]], [names[i + 1]]) for i, kind in enumerate(operators)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in (names[0], names[-1])]
    return helper.make_model(helper.make_graph(nodes, "chain", values[:1], values[1:])).SerializeToString()


def test_bf16_is_refused_on_every_processor():
    assert "no bf16 convolutions" in ENGINE.refuse("bf16")


@pytest.mark.parametrize("kind", INTEGER_LAYERS)
def test_an_integer_layer_is_counted(kind):
    assert _heavy_layers(serialised(kind, "Conv", "Relu", "Conv", "Conv")) == (1, 4)


@pytest.mark.parametrize("kind", FLOAT_LAYERS)
def test_a_float_layer_is_counted(kind):
    assert _heavy_layers(serialised("QLinearConv", kind)) == (1, 2)


def test_other_operators_do_not_count():
    assert _heavy_layers(serialised("Relu", "QuantizeLinear", "Add", "Resize")) == (0, 0)


def test_what_is_read_from_bytes_is_what_onnx_reads(tiny_int8):
    """The reading without the onnx package, against the onnx package."""
    kinds = [node.op_type for node in onnx.load(tiny_int8 / "model.onnx").graph.node]
    assert sum(kind in FLOAT_LAYERS for kind in kinds) == 3
    assert _heavy_layers((tiny_int8 / "model.onnx").read_bytes()) == (0, 3)


def test_compiling_leaves_nothing_in_the_artifact(tiny_artifact):
    before = sorted(path.name for path in tiny_artifact.iterdir())
    ENGINE.compile(tiny_artifact, threads=1)
    assert sorted(path.name for path in tiny_artifact.iterdir()) == before
