"""What is particular to OpenVINO."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tinysight.engines import ENGINES
from tinysight.engines.hardware import processor
from tinysight.engines.openvino import convert_to_ir
from tinysight.errors import UserError

ENGINE = ENGINES["openvino"]
OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)]


def saved(path, nodes, weights):
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=OPSETS, ir_version=10), path)
    return path


def weights(path) -> int:
    return path.with_name("model.bin").stat().st_size


def test_float_weights_stay_float32(tmp_path):
    matrix = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    source = saved(tmp_path / "model.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": matrix})
    convert_to_ir(source, tmp_path, keep_float16=False)
    assert weights(source) >= matrix.nbytes


def test_float16_weights_stay_float16(tmp_path):
    matrix = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float16)
    cast = helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT)
    source = saved(tmp_path / "model.onnx", [cast, helper.make_node("MatMul", ["x", "wide"], ["y"])], {"w": matrix})
    convert_to_ir(source, tmp_path, keep_float16=True)
    assert matrix.nbytes <= weights(source) < 1.5 * matrix.nbytes


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


@pytest.mark.parametrize("keep_float16", [False, True])
def test_an_operator_it_lacks_is_named(tmp_path, keep_float16):
    source = saved(tmp_path / "model.onnx", [helper.make_node("Quark", ["x"], ["y"], domain="mine")], {})
    with pytest.raises(UserError, match=r"OpenVINO cannot convert .*model\.onnx: .*mine\.Quark"):
        convert_to_ir(source, tmp_path, keep_float16=keep_float16)


def test_an_int8_file_is_smaller_than_its_float_original(tiny_artifact, tiny_int8):
    assert (tiny_int8 / "model.bin").stat().st_size < (tiny_artifact / "model.bin").stat().st_size / 2
