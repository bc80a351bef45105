"""Lottery: rounds of training, zeros and rewinding; what remains starts where it was, or anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.reduction.channels.networks import conv
from tinysight.progress import Progress
from tinysight.reduction.network import Network
from tinysight.reduction.sparsity.masks import sparsity_of, weights_of
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.verify import largest_difference
from tinysight.reduction.weights.lottery import Lottery
from tinysight.training.history import training_time

FEW = {"epochs": 2, "batch_size": 2, "learning_rate": 0.01, "rounds": 2}


@pytest.fixture
def network(make_network) -> Network:
    torch.manual_seed(0)
    return make_network(nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 2)))


@pytest.fixture
def starts(monkeypatch) -> list[dict[str, torch.Tensor]]:
    """Remember the weights that every round starts from."""
    seen: list[dict[str, torch.Tensor]] = []
    whole = Lottery._round

    def watched(self, start, masks, number, layers, context):
        seen.append({name: weight.detach().clone() for name, weight in weights_of(start.module).items()})
        return whole(self, start, masks, number, layers, context)

    monkeypatch.setattr(Lottery, "_round", watched)
    return seen


def test_the_share_asked_for_is_gone(network: Network, make_context):
    ticket = Lottery(sparsity=0.75, **FEW).reduce(network, make_context(network))
    assert sparsity_of(weights_of(ticket.module)) == pytest.approx(0.75, abs=0.01)
    summary = ticket.steps[-1].summary
    assert summary
    assert summary.reached == pytest.approx(0.25, abs=0.01)


def test_every_round_goes_back_to_where_it_began(network: Network, make_context, starts):
    Lottery(sparsity=0.75, **FEW).reduce(network, make_context(network))
    assert len(starts) == 3
    for start in starts:
        assert all(torch.equal(weight, start[name]) for name, weight in weights_of(network.module).items())


def test_weights_go_back_to_a_step_of_the_first_training(network: Network, make_context, starts):
    Lottery(sparsity=0.75, rewind=2, **FEW).reduce(network, make_context(network))
    first, second, third = starts
    assert not torch.equal(first["0.weight"], second["0.weight"])
    assert torch.equal(second["0.weight"], third["0.weight"])


def test_the_control_keeps_the_places_and_draws_the_weights_anew(network: Network, make_context, starts):
    context = make_context(network)
    ticket, control = (
        Lottery(sparsity=0.75, restart=restart, **FEW).reduce(
            network, replace(context, folder=context.folder / restart)
        )
        for restart in ("rewind", "random")
    )
    assert not torch.equal(starts[-1]["0.weight"], starts[0]["0.weight"])
    for name, weight in weights_of(ticket.module).items():
        assert torch.equal(weight != 0, weights_of(control.module)[name] != 0)


def test_a_step_beyond_the_training_is_refused(network: Network, make_context):
    with pytest.raises(NotApplicable, match="cannot go back to step 9999"):
        Lottery(rewind=9999, **FEW).reduce(network, make_context(network))


def test_a_shared_trunk_is_refused():
    with pytest.raises(ValidationError, match="every round starts elsewhere"):
        Lottery(schedule="constant")


class _StopError(Exception):
    pass


class _Stopping(Progress):
    """Stops the work when it says that a round is over."""

    def say(self, text: str) -> None:
        if "after round 1" in text:
            raise _StopError


def test_an_interrupted_search_ends_with_the_same_ticket(network: Network, make_context):
    method, context = Lottery(sparsity=0.75, rewind=1, **FEW), make_context(network)
    whole = method.reduce(network, context)
    broken = replace(context, folder=context.folder / "broken", progress=_Stopping(quiet=True))
    with pytest.raises(_StopError):
        method.reduce(network, broken)
    resumed = method.reduce(network, replace(broken, progress=context.progress))
    assert largest_difference(resumed.scores, whole.scores, network.example()) == 0


def test_the_time_of_all_rounds_is_counted(network: Network, make_context):
    context = make_context(network)
    Lottery(sparsity=0.75, **FEW).reduce(network, context)
    taken = training_time(context.folder)
    assert taken
    assert taken.epochs == 6
