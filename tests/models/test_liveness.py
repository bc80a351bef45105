"""Which parameters reach the output."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tinysight.models.liveness import live_parameters, parameter_counts
from tinysight.models.scores import Scores
from tinysight.models.zoo import build

IMAGE = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class _TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
        self.main, self.aux = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.stem(images)
        return {"out": self.main(features), "aux": self.aux(features)}


@pytest.mark.parametrize(
    ("encoder", "total", "used"), [("resnet50", 24_305_602, 2_242_498), ("mobilenet_v2", 2_267_962, 99_578)]
)
def test_most_of_a_pspnet_is_dead(encoder: str, total: int, used: int):
    network = build("pspnet", {"encoder": encoder, "classes": 2})
    assert parameter_counts(network, IMAGE)[:2] == (total, used)


def test_the_head_that_is_not_selected_is_dead():
    live = live_parameters(Scores(_TwoHeads(), "out"), IMAGE)
    assert live == {f"network.{name}" for name in ("stem.0.weight", "stem.0.bias", "main.weight", "main.bias")}


def test_tied_weights_live_under_both_names():
    network = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.Conv2d(3, 3, 1, bias=False))
    network[2].weight = network[0].weight
    assert live_parameters(network, IMAGE) == {"0.weight", "2.weight"}


def test_tied_weights_are_counted_once():
    network = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.Conv2d(3, 3, 1, bias=False))
    network[2].weight = network[0].weight
    assert parameter_counts(network, IMAGE)[:2] == (9, 9)


def test_a_weight_tied_to_a_dead_module_lives():
    network = _TwoHeads()
    network.aux.weight = network.main.weight
    live = live_parameters(Scores(network, "out"), IMAGE)
    assert "network.aux.weight" in live
    assert "network.aux.bias" not in live


def test_zeros_are_not_counted_as_nonzero():
    network = nn.Conv2d(3, 2, 1)
    nn.init.ones_(network.weight)
    nn.init.zeros_(network.bias)
    assert parameter_counts(network, IMAGE) == (8, 8, 6)


def test_frozen_parameters_are_seen_too():
    network = nn.Conv2d(3, 2, 1).requires_grad_(False)
    assert live_parameters(network, IMAGE) == {"weight", "bias"}


def test_a_network_that_cuts_the_graph_counts_as_dead():
    class Cut(nn.Conv2d):
        def forward(self, images: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(images)

    assert live_parameters(Cut(3, 2, 1), IMAGE) == set()


def test_a_network_without_parameters_has_none_alive():
    assert live_parameters(nn.AvgPool2d(2), IMAGE) == set()


def test_the_network_is_left_as_it_was():
    network = Scores(_TwoHeads(), "out").train()
    live_parameters(network, IMAGE)
    assert network.training
    assert network.network.stem[1].inplace
    assert all(parameter.grad is None for parameter in network.parameters())


def test_where_nothing_can_be_differentiated_all_are_live():
    class ForwardOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(3, 8, 1)

        def forward(self, images: Tensor) -> Tensor:
            seen: Tensor = self.one(images)
            seen.sigmoid_()
            seen[:, :4] *= 2
            return seen

    assert live_parameters(ForwardOnly(), IMAGE) == {"one.weight", "one.bias"}
