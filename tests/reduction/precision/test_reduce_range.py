"""Every way to int8 keeps weights to levels of which no processor cuts sums of products off."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from tinysight.engines import ENGINES
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.onnx_torch.graph import TorchGraph
from tinysight.reduction.precision.fat import Fat
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.qat import Qat
from tinysight.reduction.precision.simulation import simulated

pytestmark = pytest.mark.filterwarnings("ignore")  # NNCF advises against few images
QUICK = {"images": 4, "epochs": 1, "batch_size": 4, "max_drift": None}
WAYS = [
    Int8(images=4, ranges="nncf"), Int8(images=4), Fat(**QUICK, learning_rate=0.1),
    Qat(**QUICK), Qat(**QUICK, steps="learned", learning_rate=0.01),
]  # fmt: skip


def levels_of(artifact) -> list[int]:
    """Return the largest level of every weight that is stored in 8 bits, but for depthwise ones."""
    stored = [numpy_helper.to_array(each) for each in onnx.load(artifact / "model.onnx").graph.initializer]
    weights = [each for each in stored if each.dtype == np.int8 and each.ndim > 1 and each.shape[1] > 1]
    return [int(np.abs(each.astype(int)).max()) for each in weights]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.label)
@pytest.mark.parametrize("reduce_range", [True, False])
def test_weights_take_7_bits_unless_all_8_are_asked_for(
    way, reduce_range, tiny_network, make_context, tiny_task, tmp_path
):
    torch.manual_seed(0)
    reduced = way.model_copy(update={"reduce_range": reduce_range}).reduce(tiny_network, make_context(tiny_network))
    make_artifact(reduced, tiny_task, tmp_path / "artifact", None)
    found = levels_of(tmp_path / "artifact")
    assert len(found) == 3
    assert (max(found) <= 64) == reduce_range


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ranges", ["nncf", "min_max"])
def test_the_largest_sums_are_the_same_on_every_processor(
    engine, ranges, make_network, make_context, tiny_task, tmp_path
):
    """Weights and pixels at their largest: with 8 bits, a processor without VNNI gives half of the sum."""
    network = make_network(Adds())
    context = make_context(network, engine=engine)
    reduced = Int8(images=4, ranges=ranges, correct_biases=False, max_drift=None).reduce(network, context)
    make_artifact(reduced, tiny_task, tmp_path / "artifact", context.float_export(network))
    compiled = ENGINES[engine].compile(tmp_path / "artifact", threads=1)
    assert compiled.executed()["integer_layers"] > 0
    bright = np.full(network.input.shape, 100, np.float32)  # beyond every range: all activations take the last level
    graph = TorchGraph(onnx.load(context.float_export(network))).eval()
    with torch.no_grad():
        exact = simulated(graph, reduced.precision)(torch.from_numpy(bright)).numpy()
    np.testing.assert_allclose(compiled(bright), exact, rtol=0.01)


class Adds(nn.Sequential):
    """Every weight is the largest of its channel, so that every product of a bright pixel is as large as it can be."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 2, 3, padding=1))
        with torch.no_grad():
            for layer in (self[0], self[2]):
                layer.weight.fill_(1 / layer.weight[0].numel())
                layer.bias.zero_()


@pytest.mark.parametrize("way", [WAYS[1], WAYS[2], WAYS[3]], ids=lambda way: way.label)
def test_what_processors_may_cut_off_is_remarked(way, tiny_network, make_context):
    full = way.model_copy(update={"reduce_range": False})
    assert "without VNNI" in full.reduce(tiny_network, make_context(tiny_network)).steps[-1].remark
    assert "without VNNI" not in way.reduce(tiny_network, make_context(tiny_network)).steps[-1].remark
