"""Parts that stay as they are, and parts that learn at their own rate."""

from __future__ import annotations

import copy

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tinysight.errors import UserError
from tinysight.progress import Progress
from tinysight.training.batches import Batch
from tinysight.training.loop import fit
from tinysight.training.settings import Training
from tinysight.training.transfer import rate_groups


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(images))


class Source:
    """Two random batches an epoch."""

    def count(self, batch_size: int) -> int:
        return 2

    def epoch(self, batch_size: int):
        for _ in range(2):
            yield Batch(torch.randn(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64))


def trained(tmp_path, network: nn.Module | None = None, **settings) -> tuple[Net, Net]:
    """Return a network before and after its training."""
    torch.manual_seed(0)
    network = network or Net()
    before = copy.deepcopy(network)
    loss = lambda batch, scores: (scores**2).mean()  # noqa: E731
    fit(
        network, Source(), loss, Training(batch_size=2, **settings), device="cpu", seed=0, folder=tmp_path,
        progress=Progress(quiet=True),
    )  # fmt: skip
    return before, network


def same(before: nn.Module, after: nn.Module) -> bool:
    return all(torch.equal(tensor, after.state_dict()[name]) for name, tensor in before.state_dict().items())


def test_a_frozen_part_keeps_weights_and_statistics(tmp_path):
    before, after = trained(tmp_path, epochs=2, freeze={"encoder": 2})
    assert same(before.encoder, after.encoder)
    assert not same(before.head, after.head)


def test_it_learns_once_its_epochs_are_over(tmp_path):
    before, after = trained(tmp_path, epochs=3, freeze={"encoder": 2})
    assert not same(before.encoder, after.encoder)


def test_everything_may_learn_afterwards(tmp_path):
    _, after = trained(tmp_path, epochs=1, freeze={"encoder": 1})
    assert all(parameter.requires_grad for parameter in after.parameters())


def test_what_was_frozen_by_its_owner_stays_so(tmp_path):
    network = Net()
    network.encoder[0].requires_grad_(False)
    before, after = trained(tmp_path, network, epochs=2, freeze={"encoder": 1})
    assert torch.equal(before.encoder[0].weight, after.encoder[0].weight)
    assert not after.encoder[0].weight.requires_grad
    assert after.encoder[1].weight.requires_grad


def test_the_most_particular_part_gives_the_rate():
    groups = rate_groups(Net(), Training(learning_rate=1.0, rates={"encoder": 0.1, "encoder.1": 0.5}))
    assert {group["lr"]: sum(weight.numel() for weight in group["params"]) for group in groups} == {
        0.1: 112, 0.5: 8, 1.0: 10,
    }  # fmt: skip


def test_an_interrupted_training_thaws_where_it_would_have(tmp_path):
    whole = trained(tmp_path / "whole", epochs=4, freeze={"encoder": 2}, rates={"head": 0.5})[1]
    seen: list[int] = []

    class Stops(Source):
        def epoch(self, batch_size: int):
            seen.append(1)
            if len(seen) == 4:
                raise KeyboardInterrupt
            yield from super().epoch(batch_size)

    torch.manual_seed(0)
    network = Net()
    settings = Training(batch_size=2, epochs=4, freeze={"encoder": 2}, rates={"head": 0.5})
    for source in (Stops(), Source()):
        try:
            fit(
                network, source, lambda batch, scores: (scores**2).mean(), settings, device="cpu", seed=0,
                folder=tmp_path / "parts", progress=Progress(quiet=True),
            )  # fmt: skip
        except KeyboardInterrupt:
            torch.manual_seed(0)
            network = Net()
    assert same(whole, network)


@pytest.mark.parametrize("setting", ["freeze", "rates"])
def test_yes_is_no_number_of_epochs_and_no_share(setting: str):
    with pytest.raises(ValidationError, match="must be a number, not yes or no"):
        Training(**{setting: {"encoder": True}})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"freeze": {"encodr": 1}}, "train.freeze: the network has no part 'encodr': did you mean 'encoder'"),
        ({"freeze": {"": 1}}, "train.freeze: the network has no part ''"),
        ({"rates": {"zzz": 1}}, "train.rates: the network has no part 'zzz': 'tinysight draw' lists the names"),
        ({"freeze": {"encoder": 1, "head": 1}}, "train.freeze leaves no weight to train in epoch 1"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, settings: dict, said: str):
    with pytest.raises(UserError, match=said):
        trained(tmp_path, epochs=2, **settings)
