"""int16: every weight of the export stored in half the bytes, closer to float32 than fp16."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from pydantic import ValidationError
from torch import nn

from tinysight.engines import ENGINES
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.precision.fp16 import Fp16
from tinysight.reduction.precision.int16 import Int16
from tinysight.reduction.precision.record import TensorPrecision


@pytest.fixture(scope="module")
def artifacts(tiny_network, tiny_artifact, tiny_task, make_context, tmp_path_factory):
    folder = tmp_path_factory.mktemp("halved")
    context = make_context(tiny_network, float_export=lambda _network: tiny_artifact / "model.onnx")
    for method in (Fp16(), Int16()):
        network = method.reduce(tiny_network, context)
        make_artifact(network, tiny_task, folder / method.name, tiny_artifact / "model.onnx")
    return folder


def test_weights_are_stored_as_int16(artifacts):
    stored = [numpy_helper.to_array(each) for each in onnx.load(artifacts / "int16/model.onnx").graph.initializer]
    assert sum(values.dtype == np.int16 for values in stored) == 3
    assert not [values for values in stored if values.dtype == np.float32 and values.ndim == 4 and values.size > 16]


def test_it_is_called_int16(tiny_network, make_context):
    assert Int16().reduce(tiny_network, make_context(tiny_network)).precision.stored == "int16"


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_closer_to_float_than_fp16(artifacts, tiny_artifact, tiny_network, engine: str):
    image = tiny_network.example().numpy()
    exact = ENGINES[engine].compile(tiny_artifact, threads=2)(image)
    errors = [
        np.abs(ENGINES[engine].compile(artifacts / name, threads=2)(image) - exact).max() for name in ("int16", "fp16")
    ]
    assert errors[0] < errors[1]


class PointwiseBehindTransposition(nn.Module):
    """What pooling to a grid becomes in an export, and the convolution behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.grid, self.mix = nn.Parameter(torch.randn(48, 3)), nn.Conv2d(3, 16, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.mix((images @ self.grid).transpose(2, 3))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pointwise_convolution_behind_a_transposition_loads(make_network, make_context, tiny_task, tmp_path, engine):
    network = make_network(PointwiseBehindTransposition().eval())
    context = make_context(network)
    make_artifact(Int16().reduce(network, context), tiny_task, tmp_path / "half", context.float_export(network))
    found = ENGINES[engine].compile(tmp_path / "half", threads=2)(network.example().numpy())
    with torch.no_grad():
        np.testing.assert_allclose(found, network.scores(network.example()).numpy(), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_layer_runs_in_integers(artifacts, engine: str):
    assert ENGINES[engine].compile(artifacts / "int16", threads=2).executed()["integer_layers"] == 0


def test_a_zero_point_is_refused():
    with pytest.raises(ValidationError, match="int16 is stored around 0"):
        TensorPrecision(dtype="int16", scale=(0.1,), zero_point=(3,))
