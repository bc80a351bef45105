"""Blame: how far each layer, rounded alone, moves the scores; and what rounds between the layers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tinysight.progress import Progress
from tinysight.reduction.precision.blame import Blame, worst
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.trial import CalibrationImages, compiled, drift

pytestmark = pytest.mark.filterwarnings("ignore")


class Sums(nn.Module):
    """Two layers, the second of which reads a channel a thousand times as large as the others, and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 2, 1)
        with torch.no_grad():
            self.first.weight[0] *= 1e3
            self.second.weight[:, 0] *= 1e-3

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.second(torch.relu(self.first(images))))
        return self.last(features + features.roll(1, 2))


@pytest.fixture
def network(make_network):
    torch.manual_seed(0)
    return make_network(Sums().eval())


@pytest.fixture
def rounded(network, make_context):
    """Return the export, what rounds it, images, and the context."""

    def make(**settings):
        context = make_context(network)
        exported = onnx.load(context.float_export(network))
        record = Int8(images=8, max_drift=None, correct_biases=False, **settings).reduce(network, context).precision
        return exported, record, CalibrationImages(network, context.train)[:4], context

    return make


def test_the_layer_that_reads_an_outlier_is_the_worst(rounded):
    exported, record, images, _ = rounded(ranges="min_max")
    drifts = Blame(exported, record, images).layers(Progress(quiet=True))
    assert max(drifts, key=lambda name: drifts[name]) == "second"
    assert worst(drifts, 1) == f"second ({drifts['second']:.2g})"


@pytest.mark.parametrize("ranges", ["nncf", "min_max"])
def test_all_together_they_drift_as_the_file_does(rounded, tmp_path, ranges: str):
    exported, record, images, context = rounded(ranges=ranges)
    engines = [
        compiled(exported, each, tmp_path / name, context) for name, each in (("f", type(record)()), ("i", record))
    ]
    exact, found = (np.concatenate([np.array(engine(image)) for image in images]) for engine in engines)
    assert Blame(exported, record, images).together == pytest.approx(drift(exact, found), rel=0.2)


def test_what_rounds_between_layers_is_told_apart_from_them(rounded):
    exported, record, images, _ = rounded(ranges="nncf")
    blame = Blame(exported, record, images)
    assert blame.between is not None
    assert 0 < blame.between < blame.together


def test_nothing_rounds_between_layers_where_they_alone_are_recorded(rounded):
    exported, record, images, _ = rounded(ranges="min_max")
    layers = {node.output[0] for node in exported.graph.node if node.op_type == "Conv"}
    alone = {
        name: each.model_copy(update={"consumers": tuple(one for one in each.consumers or layers if one in layers)})
        for name, each in record.tensors.items()
        if each.axis is not None
    }
    assert Blame(exported, record.model_copy(update={"tensors": alone}), images).between is None
