"""The artifact: the model file, the checkpoint and the description, made from one float export."""

from __future__ import annotations

import onnx
import pytest

from tinysight.engines import ENGINES
from tinysight.engines.bundle import Bundle
from tinysight.reduction.artifact import CHECKPOINT, make_artifact
from tinysight.reduction.network import load_network
from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.step import Step
from tinysight.reduction.verify import largest_difference


@pytest.fixture(scope="module")
def bf16(tiny_network):
    record = PrecisionRecord(execute="bf16").model_dump(mode="json")
    return tiny_network.with_step(Step(kind="precision", method="bf16", version=1, record=record))


def test_it_holds_one_model_file_for_every_engine(tiny_artifact):
    assert {path.name for path in tiny_artifact.iterdir()} == {"model.onnx", "bundle.json", CHECKPOINT}
    assert {path.name for engine in ENGINES.values() for path in engine.files(tiny_artifact)} == {"model.onnx"}


def test_its_checkpoint_is_the_network(tiny_artifact, tiny_network):
    loaded = load_network(tiny_artifact / CHECKPOINT, into=tiny_network.module)
    assert largest_difference(loaded.scores, tiny_network.scores, tiny_network.example()) == 0


def test_the_description_says_what_was_exported(tiny_artifact, tiny_network, tiny_task):
    bundle = Bundle.open(tiny_artifact)
    assert (bundle.task, bundle.classes, bundle.input) == ("segmentation", tiny_task.classes, tiny_network.input)


def test_the_description_names_every_step(bf16, tiny_task, tiny_artifact, tmp_path):
    make_artifact(bf16, tiny_task, tmp_path / "bf16", tiny_artifact / "model.onnx")
    bundle = Bundle.open(tmp_path / "bf16")
    assert bundle.lineage["steps"] == [{"kind": "precision", "method": "bf16", "version": 1}]
    assert (bundle.stored, bundle.execute) == ("float32", "bf16")


def test_a_given_float_export_is_used(bf16, tiny_task, tiny_artifact, tmp_path):
    make_artifact(bf16, tiny_task, tmp_path / "bf16", tiny_artifact / "model.onnx")
    assert (tmp_path / "bf16/model.onnx").read_bytes() == (tiny_artifact / "model.onnx").read_bytes()


def test_an_int8_file_is_smaller_than_its_float_original(tiny_artifact, tiny_int8):
    def weights(folder):
        return sum(len(weight.raw_data) for weight in onnx.load(folder / "model.onnx").graph.initializer)

    assert weights(tiny_int8) < weights(tiny_artifact) / 2


def test_nothing_of_an_interrupted_attempt_is_kept(bf16, tiny_task, tiny_artifact, tmp_path):
    (tmp_path / "old").write_text("half")
    make_artifact(bf16, tiny_task, tmp_path, tiny_artifact / "model.onnx")
    assert not (tmp_path / "old").exists()
