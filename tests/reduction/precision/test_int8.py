"""int8: calibrated once by NNCF, kept in our record, written by our writer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.network import Network
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.record import PrecisionRecord

# NNCF's own: it advises against few images, and uses what torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def quantized(tiny_network, tiny_artifact, make_context) -> Network:
    context = make_context(tiny_network, float_export=lambda _network: tiny_artifact / "model.onnx")
    return Int8(images=8, ranges="nncf").reduce(tiny_network, context)


@pytest.fixture(scope="session")
def artifact(quantized, tiny_task, tiny_artifact, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8") / "artifact"
    make_artifact(quantized, tiny_task, folder, tiny_artifact / "model.onnx")
    return folder


def test_weights_are_quantized_per_channel(quantized):
    weights = [kept for kept in quantized.precision.tensors.values() if kept.axis is not None]
    assert sorted(len(kept.scale) for kept in weights) == [2, 8, 8]


def test_activations_are_quantized_per_tensor(quantized):
    activations = [kept for kept in quantized.precision.tensors.values() if kept.axis is None]
    assert activations
    assert all(len(kept.scale) == 1 for kept in activations)


def test_the_record_survives_json(quantized):
    stored = json.loads(json.dumps(quantized.steps[-1].record))
    assert PrecisionRecord.model_validate(stored) == quantized.precision


def test_the_file_stores_int8(quantized):
    assert quantized.precision.stored == "int8"


def test_the_float_network_stays(quantized, tiny_network):
    assert quantized.module is tiny_network.module


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_stays_close_to_the_float_network(artifact, tiny_artifact, tiny_network, engine: str):
    images = tiny_network.input.apply(np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8))
    exact = ENGINES[engine].compile(tiny_artifact, threads=2)(images)
    rounded = ENGINES[engine].compile(artifact, threads=2)(images)
    assert np.abs(exact - rounded).mean() < 0.05 * np.abs(exact).max()


def test_openvino_computes_in_integers(artifact):
    assert ENGINES["openvino"].compile(artifact, threads=2).executed()["integer_share"] > 0.5


def test_replaying_the_record_needs_no_calibration(quantized, artifact, tiny_task, tiny_artifact, tmp_path):
    make_artifact(quantized, tiny_task, tmp_path / "again", tiny_artifact / "model.onnx")
    assert (tmp_path / "again/model.onnx").read_bytes() == (artifact / "model.onnx").read_bytes()


def test_no_calibration_sees_what_pools_are_filled_up_with(make_network, make_context, tmp_path, recwarn):
    """Means over it are infinite, and what is corrected by them is lost."""
    torch.manual_seed(0)
    network = make_network(PooledAndUnpooled().eval())
    export_onnx(network.scores, network.example(), tmp_path / "model.onnx")
    Int8(images=4, ranges="nncf").reduce(
        network, make_context(network, float_export=lambda _network: tmp_path / "model.onnx")
    )
    assert not [str(warning.message) for warning in recwarn if "overflow" in str(warning.message)]


class PooledAndUnpooled(nn.Module):
    """An encoder that remembers where its pool's values came from, and a decoder that puts them back."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.norm, self.act = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.PReLU(8)
        self.pool, self.unpool = nn.MaxPool2d(3, stride=2, padding=1, return_indices=True), nn.MaxUnpool2d(2)
        self.inner, self.after = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled, places = self.pool(self.act(self.norm(self.before(images))))
        return self.after(self.unpool(self.inner(pooled), places))
