"""The guard: a collapse is refused with the layers to blame, on a DenseNet and on a network of embeddings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import DenseNet

from tinysight.engines.hardware import Processor
from tinysight.errors import UserError
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.trial import drift
from tinysight.reduction.step import NotApplicable

pytestmark = pytest.mark.filterwarnings("ignore")


class Embedder(nn.Module):
    """Faces to unit vectors, as recognition uses them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.embed = nn.Linear(16, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.second(torch.relu(self.first(images)))).mean((2, 3))
        return nn.functional.normalize(self.embed(features))


def densenet() -> nn.Module:
    return DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=2, num_classes=2)


def outlier(layer: nn.Conv2d) -> None:
    """Let one channel of a layer be ten thousand times as large as the others, as badly trained networks do."""
    with torch.no_grad():
        layer.weight[0] *= 1e4


NETWORKS = {"densenet": (densenet, "features.conv0"), "embedder": (Embedder, "first")}


@pytest.fixture(params=NETWORKS)
def named(request) -> str:
    return request.param


@pytest.fixture
def network(named, make_network):
    torch.manual_seed(0)
    return make_network(NETWORKS[named][0]().eval())


@pytest.fixture
def broken(named, make_network):
    torch.manual_seed(0)
    module = NETWORKS[named][0]().eval()
    layer = module.get_submodule(NETWORKS[named][1])
    outlier(layer)
    with torch.no_grad():  # what the outlier gives is nothing to the network, only to the range
        reader = module.second if named == "embedder" else module.features.norm0
        (reader.weight[:, 0] if reader.weight.ndim == 4 else reader.weight[:1]).mul_(1e-4)
    return make_network(module)


def test_a_healthy_network_passes(network, make_context):
    quantized = Int8(images=8, ranges="mse", max_drift=0.7).reduce(network, make_context(network))
    assert quantized.precision.stored == "int8"
    assert "of their own spread" in quantized.steps[-1].remark


@pytest.mark.parametrize("ranges", ["nncf", "min_max"])
def test_a_collapse_is_refused_and_blamed(broken, make_context, ranges: str):
    with pytest.raises(UserError, match=r"drifts too far: .* rounded alone, these layers drift most: .*with ignored"):
        Int8(images=8, ranges=ranges, max_drift=0.05).reduce(broken, make_context(broken))


@pytest.mark.parametrize("features", [(), ("avx512_vnni",)])
def test_a_processor_that_cuts_sums_off_is_blamed_first(broken, make_context, monkeypatch, features):
    old = Processor("a processor", 2, 2, None, frozenset(features))
    monkeypatch.setattr("tinysight.reduction.precision.guard.processor", lambda: old)
    blamed = "drift most" if features else "has no VNNI .* take reduce_range: true"
    with pytest.raises(UserError, match=blamed):
        Int8(images=8, reduce_range=False, max_drift=0.05).reduce(broken, make_context(broken))


def test_without_a_bound_nothing_is_refused(broken, make_context):
    assert Int8(images=8, ranges="min_max", max_drift=None).reduce(broken, make_context(broken)).precision.tensors


def test_what_only_shall_be_fast_is_not_checked(broken, make_context):
    assert Int8(images=8, ranges="min_max", max_drift=0.01).unchecked.reduce(broken, make_context(broken)).precision


class TestDrift:
    def test_nothing_moved(self):
        scores = np.random.default_rng(0).normal(size=(4, 3, 5, 5)).astype(np.float32)
        assert drift(scores, scores) == 0

    def test_a_constant_answer_counts_as_one(self):
        scores = np.random.default_rng(0).normal(size=(4, 3, 50, 50)).astype(np.float32)
        means = np.broadcast_to(scores.mean((0, 2, 3), keepdims=True), scores.shape)
        assert drift(scores, means) == pytest.approx(1, rel=1e-3)

    def test_of_one_image_without_places_the_spread_is_that_over_classes(self):
        scores = np.random.default_rng(0).normal(size=(1, 100)).astype(np.float32)
        assert drift(scores, scores + 0.01) == pytest.approx(0.01, rel=0.2)

    def test_a_shift_counts_by_the_spread(self):
        scores = np.random.default_rng(0).normal(scale=2, size=(4, 3, 50, 50)).astype(np.float32)
        assert drift(scores, scores + 1) == pytest.approx(0.5, rel=0.02)


class TestWithin:
    def test_layers_go_back_to_float_until_quality_holds(self, tiny_network, make_context, monkeypatch):
        from tinysight.reduction.precision import trial

        scores = iter([0.9, 0.5, 0.895])  # the float network's, int8 whole, int8 but for the worst layer
        monkeypatch.setattr(trial, "quality", lambda *_: next(scores))
        free = Int8(images=4, ranges="min_max").reduce(tiny_network, make_context(tiny_network))
        bound = Int8(images=4, ranges="min_max", within=1.0).reduce(tiny_network, make_context(tiny_network))
        assert _rounded(bound) == _rounded(free) - 1
        back = bound.steps[-1].remark.partition("back in float: ")[2].partition(";")[0]
        named = Int8(images=4, ranges="min_max", ignored=(back,)).reduce(tiny_network, make_context(tiny_network))
        assert bound.precision == named.precision

    def test_where_no_rounding_is_good_enough_it_says_so(self, tiny_network, make_context, monkeypatch):
        from tinysight.reduction.precision import trial

        scores = iter([0.9])  # the float network's, and nothing like it afterwards
        monkeypatch.setattr(trial, "quality", lambda *_: next(scores, 0.1))
        with pytest.raises(NotApplicable, match=r"int8 loses 80\.00 points of 90\.00 on 4 .* no layer in float"):
            Int8(images=4, ranges="min_max", within=1.0).reduce(tiny_network, make_context(tiny_network))

    def test_a_wide_floor_changes_nothing(self, tiny_network, make_context):
        one = Int8(images=4, ranges="min_max", within=100.0).reduce(tiny_network, make_context(tiny_network))
        two = Int8(images=4, ranges="min_max").reduce(tiny_network, make_context(tiny_network))
        assert one.precision == two.precision


def _rounded(network) -> int:
    return sum(each.is_integer and each.axis is None for each in network.precision.tensors.values())
