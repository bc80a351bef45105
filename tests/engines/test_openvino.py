"""What is particular to OpenVINO."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tinysight.engines import ENGINES
from tinysight.engines.hardware import processor
from tinysight.errors import UserError

ENGINE = ENGINES["openvino"]
OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)]


def saved(folder, nodes, constants, shape=(1, 8, 16, 16)):
    """Save nodes that make ``y`` of ``x`` as ``model.onnx``; returns the folder."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=OPSETS, ir_version=10), folder / "model.onnx")
    return folder


@pytest.fixture
def joined(tmp_path):
    """Two branches, quantized each in its own way, joined and convolved: the end of a pyramid, in small."""
    nodes, constants = [], {}
    for branch, (scale, zero) in enumerate([(0.01, -20), (0.02, -128)]):
        names = [f"x{branch}", f"scale{branch}", f"zero{branch}"]
        constants |= {names[1]: np.float32(scale), names[2]: np.int8(zero)}
        nodes += [
            helper.make_node("Tanh" if branch == 0 else "Relu", ["x"], names[:1]),
            helper.make_node("QuantizeLinear", names, [f"q{branch}"]),
            helper.make_node("DequantizeLinear", [f"q{branch}", *names[1:]], [f"d{branch}"]),
        ]
    integers = np.random.default_rng(0).integers(-127, 128, (8, 16, 1, 1)).astype(np.int8)
    constants |= {"w": integers, "scale": np.full(8, 0.01, np.float32), "zero": np.zeros(8, np.int8)}
    nodes += [
        helper.make_node("Concat", ["d0", "d1"], ["both"], axis=1),
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["weight"], axis=0),
        helper.make_node("Conv", ["both", "weight"], ["y"]),
    ]
    return saved(tmp_path, nodes, constants)


def test_float16_weights_are_computed_with_in_float32(tmp_path):
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((16, 16)).astype(np.float16)
    image = generator.standard_normal((1, 8, 16, 16)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ]
    compiled = ENGINE.compile(saved(tmp_path, nodes, {"w": matrix}), threads=1)
    assert compiled.executed()["executed"] == "f32"
    np.testing.assert_allclose(compiled(image), image @ matrix.astype(np.float32), atol=1e-5)


def test_joined_int8_tensors_are_computed_as_the_file_says(joined):
    """Without the converter the CPU plugin is off by half the range here."""
    image = np.random.default_rng(1).standard_normal((1, 8, 16, 16)).astype(np.float32)
    compiled = ENGINE.compile(joined, threads=1)
    expected = ENGINES["onnxruntime"].compile(joined, threads=1)(image)
    assert compiled.executed()["integer_share"] == 1.0
    assert np.abs(compiled(image) - expected).max() < 0.05 * np.abs(expected).max()


def test_float32_is_not_silently_run_in_bf16(tiny_artifact):
    assert ENGINE.compile(tiny_artifact, threads=2).executed()["executed"] == "f32"


@pytest.mark.skipif(not processor().has_bf16, reason="this processor has no bf16 instructions")
def test_bf16_is_really_executed(tiny_artifact):
    assert "bf16" in ENGINE.compile(tiny_artifact, threads=2, execute="bf16").executed()["executed"]


def test_refusing_bf16_names_the_processor(monkeypatch):
    from tinysight.engines.hardware import Processor

    monkeypatch.setattr("tinysight.engines.openvino.processor", lambda: Processor("a toaster", 1, 1, None, frozenset()))
    assert ENGINE.refuse("bf16").startswith("a toaster has no BF16 instructions")


def test_bf16_is_accepted_where_there_are_instructions(monkeypatch):
    from tinysight.engines.hardware import Processor

    modern = Processor("a server", 1, 1, None, frozenset({"avx512_bf16"}))
    monkeypatch.setattr("tinysight.engines.openvino.processor", lambda: modern)
    assert ENGINE.refuse("bf16") is None


def test_an_operator_it_lacks_is_named(tmp_path):
    saved(tmp_path, [helper.make_node("Quark", ["x"], ["y"], domain="mine")], {})
    with pytest.raises(UserError, match=r"OpenVINO cannot load .*model\.onnx \(.*mine\.Quark.*\): export it again"):
        ENGINE.compile(tmp_path, threads=1)
