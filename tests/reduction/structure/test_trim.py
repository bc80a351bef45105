"""Trim: dead modules go, outputs stay equal to the last bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tinysight.models.liveness import live_parameters, parameter_counts
from tinysight.models.spec import ModelSpec
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.trim import Trim
from tinysight.reduction.verify import largest_difference, trains


@pytest.fixture(scope="module")
def pspnet(make_network) -> Network:
    spec = ModelSpec(builder="pspnet", args={"encoder": "mobilenet_v2", "classes": 2})
    torch.manual_seed(0)
    return make_network(spec.build(), spec=spec)


@pytest.fixture(scope="module")
def trimmed(pspnet, make_context) -> Network:
    return Trim().reduce(pspnet, make_context(pspnet))


def test_outputs_stay_equal_to_the_last_bit(pspnet, trimmed):
    images = pspnet.example(batch=3, seed=7)
    assert largest_difference(pspnet.scores, trimmed.scores, images) == 0


def test_what_is_left_is_what_was_used(pspnet, trimmed):
    used = parameter_counts(pspnet.scores, pspnet.example())[1]
    assert parameter_counts(trimmed.scores, trimmed.example())[:2] == (used, used) == (99_578, 99_578)


def test_live_parameters_keep_their_names(pspnet, trimmed):
    live = live_parameters(pspnet.scores, pspnet.example())
    assert {name for name, _ in trimmed.scores.named_parameters()} == live


def test_modules_become_fewer(pspnet, trimmed):
    convolutions = [
        sum(isinstance(module, nn.Conv2d) for module in network.module.modules()) for network in (pspnet, trimmed)
    ]
    assert convolutions[1] < convolutions[0] / 2


def test_training_still_runs(trimmed):
    assert trains(trimmed.scores, trimmed.example(batch=2))


def test_the_record_holds_no_part_of_a_dead_module_again(trimmed):
    dead = trimmed.steps[-1].record["dead"]
    assert not any(one.startswith(f"{other}.") for one in dead for other in dead)


def test_replay_on_a_fresh_network_gives_the_same_modules(pspnet, trimmed):
    fresh = Trim.replay(pspnet.spec.build(), trimmed.steps[-1].record)
    assert fresh.state_dict().keys() == trimmed.module.state_dict().keys()


def test_a_trimmed_network_has_nothing_to_trim(trimmed, make_context):
    with pytest.raises(NotApplicable, match="every parameter reaches the output"):
        Trim().reduce(trimmed, make_context(trimmed))


class _Auxiliary(nn.Module):
    """Two heads; ``looks`` makes the code look at an attribute of the second."""

    def __init__(self, *, looks: bool = False) -> None:
        super().__init__()
        self.stem, self.main = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
        self.aux = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
        self.looks = looks

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.stem(images)
        planes = self.aux[2].out_channels if self.looks else 0
        return {"out": self.main(features) + 0 * planes, "aux": self.aux(features)}


def _trim(network: Network, make_context) -> Network:
    return Trim().reduce(network, make_context(network))


def test_an_auxiliary_head_goes_when_only_the_main_output_is_used(make_network, make_context):
    network = _trim(make_network(_Auxiliary(), output="out"), make_context)
    assert network.steps[-1].record == {"dead": ["aux"]}


def test_the_head_that_is_used_stays(make_network, make_context):
    network = _trim(make_network(_Auxiliary(), output="aux"), make_context)
    assert network.steps[-1].record == {"dead": ["main"]}


def test_a_module_the_code_looks_at_is_put_back(make_network, make_context):
    network = _trim(make_network(_Auxiliary(looks=True), output="out"), make_context)
    assert network.steps[-1].record == {"dead": ["aux.0", "aux.1"]}
    assert network.module.aux[2].out_channels == 2


def test_the_given_network_is_left_as_it_was(make_network, make_context):
    network = make_network(_Auxiliary(looks=True), output="out")
    _trim(network, make_context)
    assert isinstance(network.module.aux[0], nn.Conv2d)


def test_a_network_with_nothing_dead_is_not_applicable(tiny_network, make_context):
    with pytest.raises(NotApplicable, match="every parameter reaches the output: there is nothing to trim"):
        _trim(tiny_network, make_context)


class _Untouchable(_Auxiliary):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        names = [name for name, _ in self.aux.named_parameters()]
        assert names == ["0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"]
        return super().forward(images)


def test_dead_modules_that_must_stay_are_not_called_alive(make_network, make_context):
    with pytest.raises(NotApplicable, match="does not run without"):
        _trim(make_network(_Untouchable(), output="out"), make_context)


class _AuxiliaryInTraining(_Auxiliary):
    """Returns a bare tensor in evaluation and a dict in training, which the output selection does not name."""

    def forward(self, images: Tensor) -> object:
        result = super().forward(images)
        return result if self.training else result["out"]


def test_a_network_whose_training_mode_does_not_fit_anyway_is_trimmed(make_network, make_context):
    network = _trim(make_network(_AuxiliaryInTraining()), make_context)
    assert network.steps[-1].record == {"dead": ["aux"]}


class _NeededInTraining(_Auxiliary):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if self.training:
            assert self.aux[0].out_channels == 4
        return super().forward(images)


def test_a_module_only_training_needs_is_put_back(make_network, make_context):
    network = _trim(make_network(_NeededInTraining(), output="out"), make_context)
    assert network.steps[-1].record == {"dead": ["aux.1", "aux.2"]}


def test_a_dead_module_with_two_names_goes_under_both(make_network, make_context):
    module = _Auxiliary()
    module.spare = module.aux
    network = _trim(make_network(module, output="out"), make_context)
    assert {name for name, _ in network.module.named_parameters()} == {
        "stem.weight", "stem.bias", "main.weight", "main.bias",
    }  # fmt: skip


def test_a_dead_branch_with_a_live_buffer_stays(make_network, make_context):
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.norm = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(images) + self.norm.running_mean.view(1, -1, 1, 1)

    with pytest.raises(NotApplicable):
        _trim(make_network(Shifted()), make_context)
