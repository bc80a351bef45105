"""Sparsify: the share of zeros equals the schedule at every step, and the zeros stay zero."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.reduction.channels.networks import conv
from tinysight.errors import UserError
from tinysight.progress import Progress
from tinysight.reduction.network import Network
from tinysight.reduction.sparsity.masks import sparsity_of, weights_of
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.verify import largest_difference
from tinysight.reduction.weights.finetune import Finetune
from tinysight.reduction.weights.sparsify import Sparsify

FEW = {"epochs": 3, "batch_size": 2, "learning_rate": 0.01}


@pytest.fixture
def network(make_network) -> Network:
    torch.manual_seed(0)
    return make_network(nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 2)))


def zeros_of(network: Network) -> float:
    return sparsity_of(weights_of(network.module))


@pytest.mark.parametrize("criterion", ["magnitude", "random", "obd", "synflow"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_share_asked_for_is_reached(network: Network, make_context, criterion: str, scope: str):
    method = Sparsify(sparsity=0.75, criterion=criterion, scope=scope, frequency=2, images=4, **FEW)
    sparse = method.reduce(network, make_context(network))
    assert zeros_of(sparse) == pytest.approx(0.75, abs=0.01)
    summary = sparse.steps[-1].summary
    assert summary
    assert summary.reached == 1 - zeros_of(sparse)
    assert summary.layers["0"][0] == 8 * 3 * 9


def test_the_share_equals_the_schedule_at_every_step(network: Network, make_context, monkeypatch):
    method = Sparsify(sparsity=0.8, initial=0.2, begin_step=2, end_step=8, frequency=3, **FEW)
    seen: list[tuple[int, float]] = []
    growing = Sparsify._growing

    def watched(self, student, schedule, layers, context):
        after_step = growing(self, student, schedule, layers, context)

        def noted(step: int) -> None:
            after_step(step)
            seen.append((zeros_of(student), schedule.at(step)))

        return noted

    monkeypatch.setattr(Sparsify, "_growing", watched)
    method.reduce(network, make_context(network))
    assert len(seen) > 8
    assert all(found == pytest.approx(asked, abs=0.01) for found, asked in seen)
    assert {round(asked, 3) for _, asked in seen} > {0.0, 0.2, 0.8}


class _Stop(Exception):  # noqa: N818 - it stands for Ctrl-C
    pass


class _Interrupting(Progress):
    """Stops in the middle of the second epoch."""

    def track(self, what: str, total: int, done: int = 0):
        from contextlib import contextmanager

        @contextmanager
        def counted():
            left = [total // 3 + 1 - done]

            def tick(done: int) -> None:
                left[0] -= done
                if what == "sparsify" and left[0] < 0:
                    raise _Stop

            yield tick

        return counted()


def test_an_interrupted_training_ends_with_the_same_weights(network: Network, make_context, tmp_path):
    method = Sparsify(sparsity=0.8, frequency=1, end_step=4, optimizer="adam", **FEW)
    context = make_context(network)
    whole = method.reduce(network, replace(context, folder=tmp_path / "whole"))
    broken = replace(context, folder=tmp_path / "broken", progress=_Interrupting(quiet=True))
    with pytest.raises(_Stop):
        method.reduce(network, broken)
    resumed = method.reduce(network, replace(broken, progress=context.progress))
    assert largest_difference(resumed.scores, whole.scores, network.example()) == 0
    assert zeros_of(resumed) == zeros_of(whole)


def test_protected_layers_keep_their_weights(network: Network, make_context):
    sparse = Sparsify(sparsity=0.8, frequency=1, protect=["3"], **FEW).reduce(network, make_context(network))
    assert int(sparse.module[3].weight.count_nonzero()) == sparse.module[3].weight.numel()
    assert sparse.steps[-1].summary
    assert set(sparse.steps[-1].summary.layers) == {"0"}


def test_a_later_training_holds_the_zeros(network: Network, make_context):
    sparse = Sparsify(sparsity=0.8, frequency=1, **FEW).reduce(network, make_context(network))
    trained = Finetune(**FEW).reduce(sparse, make_context(sparse))
    assert zeros_of(trained) == zeros_of(sparse)
    assert largest_difference(trained.scores, sparse.scores, network.example()) > 0


def test_nothing_is_left_behind(network: Network, make_context):
    sparse = Sparsify(sparsity=0.5, **FEW).reduce(network, make_context(network))
    assert set(sparse.module.state_dict()) == set(network.module.state_dict())
    assert all(isinstance(parameter, nn.Parameter) for parameter in sparse.module.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in sparse.module.modules())


def test_a_schedule_longer_than_the_training_is_refused(network: Network, make_context):
    with pytest.raises(NotApplicable, match=r"zeros grow until step 9999, and the training has \d+: give a smaller"):
        Sparsify(end_step=9999, **FEW).reduce(network, make_context(network))


def test_a_layer_name_that_is_wrong_suggests_the_nearest(network: Network, make_context):
    with pytest.raises(UserError, match="sparsify: there is no layer '00'"):
        Sparsify(layers=["00"], **FEW).reduce(network, make_context(network))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sparsity": 0.5, "initial": 0.6}, "more than the sparsity of 0.5"),
        ({"begin_step": 5, "end_step": 4}, r"end_step \(4\) lies before begin_step \(5\)"),
        ({"schedule": "constant", "epochs": 5, "cool_down": 1}, "say end_step"),
        ({"sparsity": 1.0}, "less than or equal to 0.9999"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, said: str):
    with pytest.raises(ValidationError, match=said):
        Sparsify(**settings)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_zeros_are_only_where_the_output_sees_them(make_network, make_context, scope: str):
    """Weights that reach no output are in no file."""
    network = make_network(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1), nn.Identity()))
    network.module[3].dead = nn.Conv2d(3, 500, 3)
    with torch.no_grad():
        network.module[3].dead.weight.mul_(1e-3)
    sparse = Sparsify(sparsity=0.5, epochs=1, batch_size=4, scope=scope).reduce(network, make_context(network))
    live = torch.cat([sparse.module[0].weight.flatten(), sparse.module[2].weight.flatten()])
    assert float((live == 0).float().mean()) == pytest.approx(0.5, abs=0.01)
    assert sparse.steps[-1].summary.layers.keys() == {"0", "2"}


def test_a_network_that_only_runs_forward_is_not_trained(make_network, make_context):
    class ForwardOnly(nn.Sequential):
        def forward(self, images):
            seen = self[0](images)
            seen.sigmoid_()
            seen[:, :4] *= 2
            return self[1](seen)

    network = make_network(ForwardOnly(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1)))
    with pytest.raises(NotApplicable, match="cannot be differentiated"):
        Sparsify(epochs=1).reduce(network, make_context(network))
