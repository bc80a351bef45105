"""Prune: a share of the network is cut for good, with what hangs on it."""

from __future__ import annotations

import copy

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from tests.reduction.channels.networks import Refusing, Residual, conv
from tinysight.errors import UserError
from tinysight.measure.layers import exported_bytes
from tinysight.progress import Progress
from tinysight.reduction.channels import criteria
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.prune import CRITERIA, Prune
from tinysight.reduction.verify import largest_difference


def pruned(network: Network, make_context, **settings) -> Network:
    return Prune(**settings).reduce(network, make_context(network))


def test_half_of_every_layer_goes(make_network, make_context):
    module = pruned(make_network(Residual()), make_context).module
    assert (module.stem.out_channels, module.one.out_channels, module.norm.num_features) == (4, 6, 4)


def test_the_record_says_what_was_asked_and_reached(make_network, make_context):
    step = pruned(make_network(Residual()), make_context, keep=0.5, of="macs").steps[-1]
    assert step.summary
    assert (step.summary.asked, step.summary.of, step.summary.unit) == (0.5, "macs", "channels")
    assert step.summary.reached == pytest.approx(0.4, abs=0.1)
    assert step.summary.layers["one"] == (12, 8)
    assert step.summary.left == {"head": "it reaches the output"}


def test_replay_gives_the_same_network(make_network, make_context):
    network = make_network(Residual())
    smaller = pruned(network, make_context)
    replayed = Prune.replay(copy.deepcopy(network.module), smaller.steps[-1].record)
    assert largest_difference(replayed, smaller.module, network.example()) == 0


def test_an_attention_of_torch_is_cut_and_comes_back_from_the_record(make_network, make_context):
    network = make_network(Tokens())
    smaller = pruned(network, make_context)
    assert smaller.module.attention.in_proj_weight.shape == (3 * 2 * 3, 6)  # two of four heads, half of twelve channels
    replayed = Prune.replay(copy.deepcopy(network.module), smaller.steps[-1].record)
    replayed.load_state_dict(smaller.module.state_dict())
    assert largest_difference(replayed, smaller.module, network.example()) == 0
    assert isinstance(network.module.attention, nn.MultiheadAttention)


def test_the_given_network_is_left_as_it_was(make_network, make_context):
    network = make_network(Residual())
    before = copy.deepcopy(network.module.state_dict())
    pruned(network, make_context, criterion="taylor", images=4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.module.state_dict().items())
    assert all(parameter.grad is None for parameter in network.module.parameters())


def test_protected_layers_keep_everything_and_others_are_chosen(make_network, make_context):
    network = make_network(Residual())
    assert pruned(network, make_context, protect=["one"]).module.one.out_channels == 12
    only = pruned(network, make_context, layers=["one"]).module
    assert (only.one.out_channels, only.stem.out_channels) == (6, 8)


def test_a_layer_name_that_is_wrong_suggests_the_nearest(make_network, make_context):
    with pytest.raises(UserError, match="no layer 'onee': did you mean 'one'"):
        pruned(make_network(Residual()), make_context, protect=["onee"])


def test_what_cannot_be_cut_is_refused_with_the_reason(make_network, make_context):
    with pytest.raises(NotApplicable, match="one: softmax compares it with other channels"):
        pruned(make_network(Refusing("softmax")), make_context)


class Tokens(nn.Module):
    """Every fourth place of a picture is a token; tokens look at each other."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 12, 4, stride=4), nn.Linear(12, 2)
        self.attention = nn.MultiheadAttention(12, 4, batch_first=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.stem(images)
        tokens = patches.flatten(2).transpose(1, 2)
        seen, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        scores = self.head(tokens + seen).transpose(1, 2).unflatten(2, patches.shape[2:])
        return functional.interpolate(scores, scale_factor=4)


@pytest.mark.parametrize("criterion", ["l1", *(name for name in CRITERIA if name != "norm_scale")])
def test_every_criterion_judges_heads_and_channels(make_network, make_context, criterion: str):
    module = pruned(make_network(Tokens()), make_context, criterion=criterion, images=4).module
    assert module.attention.num_heads == (4 if criterion == "activation" else 2)  # no output shows the heads
    assert module.stem.out_channels == 6


def test_every_criterion_has_a_row():
    assert set(CRITERIA) == set(criteria.CRITERIA)


@pytest.mark.parametrize(("name", "near"), [("taylr", "taylor"), ("lnf", "linf")])
def test_an_unknown_criterion_suggests_the_nearest(name: str, near: str):
    with pytest.raises(ValidationError, match=f"did you mean '{near}"):
        Prune(criterion=name)


def test_bytes_are_those_of_the_exported_file(make_network, make_context):
    network = make_network(Residual())
    smaller = pruned(network, make_context, keep=0.6, of="bytes")
    whole, left = (exported_bytes(each.scores, network.example()) for each in (network, smaller))
    summary = smaller.steps[-1].summary
    assert summary
    assert summary.reached == pytest.approx(left / whole)
    assert 0.45 < left / whole <= 0.6


def test_latency_is_timed_on_the_engine(make_network, make_context):
    def times_as_fast(before: nn.Module, after: nn.Module, _images: torch.Tensor) -> float:
        counts = [sum(each.numel() for each in one.parameters()) for one in (before, after)]
        return counts[0] / counts[1]

    network = make_network(Residual())
    context = make_context(network, times_as_fast=times_as_fast)
    step = Prune(keep=0.5, of="latency").reduce(network, context).steps[-1]
    assert step.summary
    assert 0.35 < (step.summary.reached or 0) <= 0.5


def test_a_layer_keeps_the_share_that_its_limit_says(make_network, make_context):
    module = pruned(make_network(Residual()), make_context, keep=0.25, limits={"one": 0.75}).module
    assert module.one.out_channels == 9
    assert module.stem.out_channels < 4


def test_rounds_end_where_one_cut_does_and_replay(make_network, make_context):
    network = make_network(Residual())
    smaller = pruned(network, make_context, keep=0.25, rounds=2, criterion="fpgm")
    assert len(smaller.steps[-1].record["cuts"]) == 2
    assert (smaller.module.one.out_channels, smaller.module.stem.out_channels) == (3, 2)
    replayed = Prune.replay(copy.deepcopy(network.module), smaller.steps[-1].record)
    assert largest_difference(replayed, smaller.module, network.example()) == 0
    assert smaller.steps[-1].summary
    assert smaller.steps[-1].summary.layers["one"] == (12, 3)


def test_channel_counts_are_those_the_engine_likes(make_network, make_context):
    def in_fours(before: nn.Module, after: nn.Module, _images: torch.Tensor) -> float:
        blocks = [-(-one[1].out_channels // 4) for one in (before, after)]
        return blocks[0] / blocks[1]

    network = make_network(Residual())
    smaller = Prune(keep=0.6, round_to="measured").reduce(network, make_context(network, times_as_fast=in_fours))
    assert smaller.steps[-1].record["round_to"] == 4
    assert (smaller.module.one.out_channels, smaller.module.stem.out_channels) == (8, 4)


class _Half(nn.Module):
    """Of three layers the second's channels are compared with each other and stay."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = conv(3, 8), conv(8, 16), conv(16, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.two(self.one(images)).softmax(1))


def test_what_stays_is_recorded_and_a_share_far_from_the_asked_is_said(make_network, make_context, capsys):
    network = make_network(_Half())
    context = make_context(network, progress=Progress())
    step = Prune(keep=0.2, of="parameters").reduce(network, context).steps[-1]
    assert step.summary
    assert "softmax" in step.summary.left["two"]
    assert (step.summary.reached or 0) > 0.25
    said = capsys.readouterr()
    assert "of the parameters remain, 20 % were asked" in said.out + said.err


def test_a_network_without_norms_has_no_scales_to_judge_by(make_network, make_context):
    network = make_network(nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 2)))
    with pytest.raises(NotApplicable, match="norm_scale can judge"):
        pruned(network, make_context, criterion="norm_scale")


class WithDead(nn.Module):
    """A chain, beside a layer twenty times as large that no output sees."""

    def __init__(self):
        super().__init__()
        self.dead = nn.Conv2d(3, 200, 3)
        self.live = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 12), nn.ReLU(), conv(12, 2))

    def forward(self, images):
        return self.live(images)


def test_parameters_are_those_that_reach_the_output(make_network, make_context):
    network = make_network(WithDead())
    smaller = pruned(network, make_context, keep=0.7, of="parameters")
    counts = [sum(each.numel() for each in one.module.live.parameters()) for one in (smaller, network)]
    assert counts[0] / counts[1] == pytest.approx(0.7, abs=0.1)
    assert smaller.steps[-1].summary.reached == pytest.approx(counts[0] / counts[1], abs=1e-3)


@pytest.mark.parametrize("settings", [{"protect": ["live.1"]}, {"limits": {"live.1": 1.0}}])
def test_channels_are_also_called_by_the_norm_they_pass_through(make_network, make_context, settings: dict):
    module = pruned(make_network(WithDead()), make_context, **settings).module
    assert module.live[0].out_channels == 8
    assert module.live[3].out_channels < 12


class TwoNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = conv(3, 8), conv(8, 8), conv(8, 2)
        self.alias = self.two

    def forward(self, images):
        return self.head(self.alias(self.two(self.one(images)).relu()).relu())


def test_a_module_under_two_names_is_cut_once(make_network, make_context):
    network = make_network(TwoNames())
    smaller = pruned(network, make_context)
    assert smaller.module.two is smaller.module.alias
    assert smaller.module.two.weight.shape == (4, 4, 3, 3)
    replayed = Prune.replay(copy.deepcopy(network.module), smaller.steps[-1].record)
    assert largest_difference(replayed, smaller.module, network.example()) == 0


class Casts(nn.Module):
    """Code that asks for float32 whatever it is given."""

    def __init__(self):
        super().__init__()
        self.one, self.two = conv(3, 8), conv(8, 2)

    def forward(self, images):
        return self.two(self.one(images.float()).relu().float())


def test_a_network_that_casts_is_proven_all_the_same(make_network, make_context):
    assert pruned(make_network(Casts()), make_context).module.one.out_channels == 4


class Swapped(nn.Module):
    """Literal channel numbers that no cut may touch, and a class that a mask makes hugely unlikely."""

    def __init__(self):
        super().__init__()
        self.one, self.two = conv(3, 8), conv(8, 3)

    def forward(self, images):
        seen = self.one(images)
        scores = self.two(torch.cat([seen[:, 4:8], seen[:, 0:4]], 1))
        least = torch.finfo(torch.float32).min
        return torch.cat([scores[:, :2], scores[:, 2:] * 0 + least], 1)


def test_a_huge_score_hides_no_wrong_cut(make_network, make_context):
    with pytest.raises(NotApplicable, match="the outputs differ by"):
        pruned(make_network(Swapped()), make_context)


class ForwardOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = conv(3, 8), conv(8, 2)

    def forward(self, images):
        seen = self.one(images)
        seen.sigmoid_()
        seen[:, :4] *= 2
        return self.two(seen)


@pytest.mark.parametrize("criterion", ["taylor", "obd"])
def test_criteria_that_need_gradients_say_so_where_there_are_none(make_network, make_context, criterion: str):
    with pytest.raises(NotApplicable, match="cannot be differentiated"):
        pruned(make_network(ForwardOnly()), make_context, criterion=criterion)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"least": 0.6}, "leaves more channels than keep"),
        ({"layers": ["a"], "limits": {"b": 0.5}}, "limits names 'b'"),
        ({"round_to": "measurd"}, "must be a whole number from 1 on, or 'measured'"),
        ({"round_to": 0}, "must be a whole number from 1 on, or 'measured'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict, told: str):
    with pytest.raises(ValidationError, match=told) as raised:
        Prune(**settings)
    assert raised.value.error_count() == 1


def test_limits_that_leave_every_layer_whole_are_named(make_network, make_context):
    with pytest.raises(NotApplicable, match="multiples of 1000 channels leave every layer whole"):
        pruned(make_network(WithDead()), make_context, round_to=1000)
