"""Room for biases: engines compute what is simulated, however small a weight or an activation is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx
from tinysight.progress import Progress
from tinysight.reduction.onnx_torch.graph import TorchGraph
from tinysight.reduction.precision.calibration import calibrated, ranges_at
from tinysight.reduction.precision.headroom import with_room_for_biases
from tinysight.reduction.precision.placement import places_for
from tinysight.reduction.precision.ranges import whole_range
from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.precision.simulation import simulated
from tinysight.reduction.precision.trial import compiled

pytestmark = pytest.mark.filterwarnings("ignore")


def two_convolutions(size: float) -> nn.Module:
    """Half of the first one's channels have weights of ``size``, and a bias; the second reads them."""
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)
    with torch.no_grad():
        first.weight[::2] *= size
        first.bias.copy_(torch.linspace(1, 3, 8))
    return nn.Sequential(first, nn.ReLU(), last)


def dead_activation(size: float) -> nn.Module:
    """Nothing but ``size`` reaches the second convolution, whose bias is all it gives."""
    module = two_convolutions(1.0)
    with torch.no_grad():
        module[0].weight.zero_()
        module[0].bias.fill_(size)
        module[2].bias.copy_(torch.tensor([-2.0, 3.0, 1.0, -1.0]))
    return module


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", [two_convolutions, dead_activation])
@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5])
def test_biases_are_not_cut_off(make, size: float, engine: str, make_network, make_context, tmp_path):
    network = make_network(make(size))
    export_onnx(network.scores, network.example(), tmp_path / "model.onnx")
    exported, images = onnx.load(tmp_path / "model.onnx"), [network.example(seed=seed).numpy() for seed in range(3)]
    graph = TorchGraph(exported).eval()
    ranges = ranges_at(graph, places_for(exported, engine), images, whole_range, Progress(quiet=True))
    record = with_room_for_biases(calibrated(graph, ranges).record(), exported)
    run = compiled(exported, record, tmp_path / "trial", make_context(network, engine=engine))
    with torch.no_grad():
        expected = np.concatenate([simulated(graph, record)(torch.from_numpy(image)).numpy() for image in images])
        exact = np.concatenate([network.scores(torch.from_numpy(image)).numpy() for image in images])
    found = np.concatenate([np.array(run(image)) for image in images])
    assert np.abs(found - expected).max() < 0.02 * np.abs(exact).max()
    assert np.abs(expected - exact).max() < 0.05 * np.abs(exact).max()


def test_scales_with_room_stay_as_they_are(tmp_path):
    export_onnx(two_convolutions(1.0).eval(), torch.zeros(1, 3, 8, 8), tmp_path / "model.onnx")
    exported = onnx.load(tmp_path / "model.onnx")
    weight = next(each.name for each in exported.graph.initializer if len(each.dims) == 4)
    precision = TensorPrecision(dtype="int8", scale=(0.01,) * 8, axis=0)
    image = TensorPrecision(dtype="uint8", scale=(0.02,), zero_point=(128,))
    record = PrecisionRecord(tensors={"image": image, weight: precision})
    assert with_room_for_biases(record, exported) == record


def test_what_reads_float_values_needs_no_room(tmp_path):
    export_onnx(two_convolutions(1.0).eval(), torch.zeros(1, 3, 8, 8), tmp_path / "model.onnx")
    exported = onnx.load(tmp_path / "model.onnx")
    weight = next(each.name for each in exported.graph.initializer if len(each.dims) == 4)
    record = PrecisionRecord(tensors={weight: TensorPrecision(dtype="int8", scale=(1e-12,) * 8, axis=0)})
    assert with_room_for_biases(record, exported) == record
