"""What every engine must do. A new engine is a row in ENGINES and a subclass of one line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
import torch

from tinysight.engines import ENGINES
from tinysight.engines.torch import Eager
from tinysight.errors import UserError
from tinysight.reduction.network import load_network
from tinysight.reduction.verify import run

THREADS_OF = {
    "openvino": lambda compiled: compiled._compiled.get_property("INFERENCE_NUM_THREADS"),
    "onnxruntime": lambda compiled: compiled._session.get_session_options().intra_op_num_threads,
}


def test_every_engine_is_held_to_the_contract():
    assert {contract.name for contract in EngineContract.__subclasses__()} == ENGINES.keys() == THREADS_OF.keys()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 3, 32, 48)).astype(np.float32)


class CompiledContract:
    """What holds of a network ready to run, wherever it came from."""

    name: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def compiled(cls, tiny_artifact):
        return ENGINES[cls.name].compile(tiny_artifact, threads=2)

    def test_equals_torch(self, compiled, image, tiny_network):
        expected = run(tiny_network.scores, torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(compiled(image), expected, atol=1e-4)

    def test_gives_one_plane_a_class(self, compiled, image):
        assert (compiled(image).shape, compiled(image).dtype) == ((1, 2, 32, 48), np.float32)

    def test_repeats_itself(self, compiled, image):
        np.testing.assert_array_equal(compiled(image), compiled(image))

    def test_a_result_outlives_the_next_run(self, compiled, image):
        first = compiled(image)
        kept = first.copy()
        compiled(-image)
        np.testing.assert_array_equal(first, kept)

    def test_leaves_the_image_as_it_was(self, compiled, image):
        before = image.copy()
        compiled(image)
        np.testing.assert_array_equal(image, before)

    def test_takes_a_view_that_is_not_contiguous(self, compiled, image):
        channels_last = np.ascontiguousarray(image.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(compiled(channels_last), compiled(image), atol=1e-6)

    def test_says_that_a_float_file_runs_in_float(self, compiled):
        found = compiled.executed()
        assert (found["executed"], found["integer_share"], found["integer_layers"]) == ("f32", 0.0, 0)


class EngineContract(CompiledContract):
    @pytest.fixture
    def copied(self, tiny_artifact, tmp_path) -> Path:
        return Path(shutil.copytree(tiny_artifact, tmp_path / "copied"))

    def test_has_its_name(self):
        assert ENGINES[self.name].name == self.name

    def test_says_its_version_in_numbers(self):
        assert all(part.isdigit() for part in ENGINES[self.name].version().split("."))

    def test_lists_files_that_are_all_it_needs(self, tiny_artifact, tmp_path, image, compiled):
        for file in ENGINES[self.name].files(tiny_artifact):
            shutil.copy(file, tmp_path)
        alone = ENGINES[self.name].compile(tmp_path, threads=2)
        np.testing.assert_array_equal(alone(image), compiled(image))

    def test_needs_every_file_it_lists(self, copied):
        for file in ENGINES[self.name].files(copied):
            hidden = file.rename(file.with_name("hidden"))
            with pytest.raises(UserError, match=f"{file} does not exist"):
                ENGINES[self.name].compile(copied, threads=2)
            hidden.rename(file)

    @pytest.mark.parametrize("share", [0.0, 0.5])
    def test_refuses_a_file_that_is_cut_off(self, copied, share):
        for file in ENGINES[self.name].files(copied):
            whole = file.read_bytes()
            file.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(UserError, match=str(copied)) as caught:
                ENGINES[self.name].compile(copied, threads=2)
            assert "\n" not in str(caught.value)
            file.write_bytes(whole)

    def test_refuses_a_file_with_two_inputs(self, copied):
        model = onnx.load(copied / "model.onnx")
        other = onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, [1])
        model.graph.input.append(other)
        model.graph.output.append(other)
        onnx.save(model, copied / "model.onnx")
        with pytest.raises(UserError, match=r"has [23] inputs"):
            ENGINES[self.name].compile(copied, threads=2)

    def test_a_file_that_takes_any_size_has_no_input_shape(self, copied):
        model = onnx.load(copied / "model.onnx")
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
        onnx.save(model, copied / "model.onnx")
        assert ENGINES[self.name].compile(copied, threads=2).input_shape is None

    @pytest.mark.parametrize("threads", [1, 2])
    def test_uses_the_threads_it_is_given(self, tiny_artifact, threads):
        compiled = ENGINES[self.name].compile(tiny_artifact, threads=threads)
        assert THREADS_OF[self.name](compiled) == threads

    def test_never_refuses_f32(self):
        assert ENGINES[self.name].refuse("f32") is None

    def test_refuses_bf16_without_the_instructions(self, tiny_artifact, monkeypatch):
        from tinysight.engines.hardware import Processor

        plain = Processor("an old processor", 2, 2, None, frozenset())
        monkeypatch.setattr("tinysight.engines.openvino.processor", lambda: plain)
        with pytest.raises(UserError, match="cannot run in bf16 here"):
            ENGINES[self.name].compile(tiny_artifact, threads=2, execute="bf16")

    def test_runs_an_int8_file_in_integers(self, tiny_int8):
        compiled = ENGINES[self.name].compile(tiny_int8, threads=2)
        found = compiled.executed()
        assert (found["executed"], found["integer_share"]) == ("int8", 1.0)
        assert found["integer_layers"] == found["layers"] > 0

    def test_an_int8_file_stays_close_to_its_float_original(self, tiny_int8, image, compiled):
        quantized = ENGINES[self.name].compile(tiny_int8, threads=2)(image)
        assert np.abs(quantized - compiled(image)).max() < 0.15


class TestOpenVino(EngineContract):
    name = "openvino"


class TestOnnxRuntime(EngineContract):
    name = "onnxruntime"


class TestEager(CompiledContract):
    name = "torch"

    @pytest.fixture(scope="class")
    @classmethod
    def compiled(cls, tiny_artifact, tiny_network):
        return Eager(load_network(tiny_artifact / "network", into=tiny_network.module).scores, threads=2)
