"""The training loop: repeatable, resumable to the last bit, and clear about a loss that explodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tinysight.data import InputPolicy, Sample
from tinysight.data.live import live_samples
from tinysight.errors import UserError
from tinysight.progress import Progress
from tinysight.tasks import Segmentation
from tinysight.training.batches import Batch, Batches
from tinysight.training.history import device_name, seconds_trained
from tinysight.training.loop import choose_device, fit
from tinysight.training.losses import Loss, task_loss
from tinysight.training.optimizers import OPTIMIZERS
from tinysight.training.settings import Training

TASK = Segmentation(("background", "sign"))
POLICY = InputPolicy(height=16, width=16)
CROSS_ENTROPY = task_loss("cross_entropy", TASK)
SETTINGS = Training(epochs=4, batch_size=2, learning_rate=0.01)
STEPS = 3


def _samples() -> Sequence[Sample]:
    masks = np.random.default_rng(0).integers(0, 2, (2 * STEPS, 16, 16)).astype(np.uint8)
    return live_samples([(np.repeat(mask[..., None] * 200, 3, axis=2), mask) for mask in masks], "train")


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.2), nn.Conv2d(4, 2, 1)
    )


def _fit(
    folder: Path,
    settings: Training = SETTINGS,
    loss: Loss = CROSS_ENTROPY,
    seed: int = 0,
    network: nn.Module | None = None,
    trunk: Path | None = None,
) -> nn.Module:
    network = network or _network()
    batches = Batches(_samples(), POLICY, TASK, augment=True)
    quiet = Progress(quiet=True)
    fit(network, batches, loss, settings, device="cpu", seed=seed, folder=folder, progress=quiet, trunk=trunk)
    return network


def _constant(epochs: int, cool_down: int) -> Training:
    return SETTINGS.model_copy(update={"epochs": epochs, "schedule": "constant", "cool_down": cool_down})


def _equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


class _StopsAt:
    """A loss that fails in the middle of an epoch, as a killed process would."""

    def __init__(self, call: int) -> None:
        self._left = call

    def __call__(self, batch: Batch, scores: Tensor) -> Tensor:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
        return CROSS_ENTROPY(batch, scores)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], nn.Module]:
    """Uninterrupted trainings, one for each optimizer."""
    done: dict[str, nn.Module] = {}

    def get(optimizer: str = "adamw") -> nn.Module:
        if optimizer not in done:
            settings = SETTINGS.model_copy(update={"optimizer": optimizer})
            done[optimizer] = _fit(tmp_path_factory.mktemp(optimizer), settings)
        return done[optimizer]

    return get


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("epochs", [0, 2])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, trained, optimizer: str, epochs: int):
    settings = SETTINGS.model_copy(update={"optimizer": optimizer})
    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path, settings, _StopsAt(epochs * STEPS + 2))
    assert _equal(_fit(tmp_path, settings), trained(optimizer))


def test_a_finished_training_is_used_again(tmp_path, trained):
    _fit(tmp_path)
    assert _equal(_fit(tmp_path, loss=_StopsAt(1)), trained())


def test_equal_seeds_give_equal_weights(tmp_path, trained):
    assert _equal(_fit(tmp_path), trained())


def test_another_seed_gives_other_weights(tmp_path, trained):
    assert not _equal(_fit(tmp_path, seed=1), trained())


def test_the_loss_falls(tmp_path):
    _fit(tmp_path, SETTINGS.model_copy(update={"epochs": 8}))
    losses = [json.loads(line)["loss"] for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]


def test_the_history_numbers_every_epoch(tmp_path):
    _fit(tmp_path)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]


def test_the_network_ends_in_evaluation_mode_and_plain_layout(tmp_path):
    network = _fit(tmp_path)
    assert not network.training
    assert network[0].weight.is_contiguous()


def test_frozen_weights_stay(tmp_path):
    network = _network()
    network[0].requires_grad_(False)
    before = network[0].weight.clone()
    _fit(tmp_path, network=network)
    assert torch.equal(network[0].weight, before)


def test_a_network_with_nothing_to_train_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no weights to train.*requires_grad"):
        _fit(tmp_path, network=_network().requires_grad_(False))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_exploded_loss_names_epoch_step_and_what_to_do(tmp_path, value: float):
    calls: list[int] = []

    def loss(batch: Batch, scores: Tensor) -> Tensor:
        calls.append(1)
        factor = value if len(calls) == STEPS + 2 else 1.0
        return CROSS_ENTROPY(batch, scores) * factor

    with pytest.raises(UserError, match=rf"loss is {value} at epoch 2, step 2: lower the learning_rate \(now 0.01\)"):
        _fit(tmp_path, loss=loss)


@pytest.mark.parametrize("schedule", ["cosine", "poly"])
def test_the_learning_rate_warms_up_and_falls(tmp_path, schedule: str):
    settings = Training(epochs=14, batch_size=2, learning_rate=0.5, schedule=schedule, optimizer="sgd", weight_decay=0)
    rates = []
    network = nn.Conv2d(3, 2, 1)
    original = torch.optim.SGD.step

    def step(optimizer: torch.optim.SGD, *args: object) -> object:
        rates.append(optimizer.param_groups[0]["lr"])
        return original(optimizer, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", step)
        _fit(tmp_path, settings, network=network)
    assert rates[0] == pytest.approx(0.25)
    assert rates[1] == pytest.approx(0.5)
    assert rates[2:] == sorted(rates[2:], reverse=True)


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_devices_that_exist_are_taken(device: str):
    assert choose_device(device) in {"cpu", "cuda"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="'cuda' is not available on this machine: use 'auto' or 'cpu'"):
        choose_device("cuda")


@pytest.mark.parametrize("damage", ["empty", "cut off", "of another network", "without keys", "half"])
def test_a_damaged_state_is_trained_again(tmp_path, trained, damage: str):
    _fit(tmp_path)
    state = tmp_path / "training.pt"
    if damage == "empty":
        state.write_bytes(b"")
    elif damage == "cut off":
        state.write_bytes(state.read_bytes()[:1000])
    elif damage == "of another network":
        _fit(tmp_path / "other", network=nn.Conv2d(3, 2, 1))
        state.write_bytes((tmp_path / "other" / "training.pt").read_bytes())
    else:
        content = torch.load(state, weights_only=True)
        torch.save({} if damage == "without keys" else content | {"optimizer": {}}, state)
    assert _equal(_fit(tmp_path), trained())


def test_weights_that_are_no_numbers_are_never_stored(tmp_path, monkeypatch: pytest.MonkeyPatch):
    network = _network()

    def poisoning_epoch(*_: object) -> dict[str, float]:
        network[4].bias.data.fill_(float("nan"))
        return {"loss": 0.5}

    monkeypatch.setattr("tinysight.training.loop._epoch", poisoning_epoch)
    with pytest.raises(UserError, match="diverged: a weight is infinite or not a number after epoch 1: lower the"):
        _fit(tmp_path, network=network)
    assert not (tmp_path / "training.pt").exists()


@pytest.mark.parametrize("lengths", [(3, 5), (5, 3)])
@pytest.mark.parametrize("cool_down", [0, 1])
def test_trainings_on_one_trunk_end_as_each_would_alone(tmp_path, lengths: tuple[int, int], cool_down: int):
    alone = {epochs: _fit(tmp_path / f"alone {epochs}", _constant(epochs, cool_down)) for epochs in lengths}
    for epochs in lengths:
        shared = _fit(tmp_path / str(epochs), _constant(epochs, cool_down), trunk=tmp_path / "trunk")
        assert _equal(shared, alone[epochs])


def test_a_trunk_is_not_trained_twice(tmp_path):
    _fit(tmp_path / "3", _constant(3, 1), trunk=tmp_path / "trunk")
    counted = _StopsAt(-1)
    _fit(tmp_path / "5", _constant(5, 1), counted, trunk=tmp_path / "trunk")
    assert -1 - counted._left == (5 - 2) * STEPS


def test_a_trunk_beyond_the_branch_is_no_beginning(tmp_path):
    _fit(tmp_path / "5", _constant(5, 1), trunk=tmp_path / "trunk")
    counted = _StopsAt(-1)
    _fit(tmp_path / "3", _constant(3, 1), counted, trunk=tmp_path / "trunk")
    assert -1 - counted._left == 3 * STEPS


def test_a_damaged_trunk_is_trained_again(tmp_path):
    alone = _fit(tmp_path / "alone", _constant(5, 1))
    _fit(tmp_path / "3", _constant(3, 1), trunk=tmp_path / "trunk")
    (tmp_path / "trunk" / "2.pt").write_bytes(b"broken")
    assert _equal(_fit(tmp_path / "5", _constant(5, 1), trunk=tmp_path / "trunk"), alone)


def test_how_long_its_epochs_took_is_kept(tmp_path):
    assert seconds_trained(tmp_path) == 0
    _fit(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert seconds_trained(tmp_path) == pytest.approx(sum(line["seconds"] for line in lines))
    assert seconds_trained(tmp_path) > 0


def test_epochs_of_a_trunk_that_others_trained_took_no_time(tmp_path):
    _fit(tmp_path / "3", _constant(3, 1), trunk=tmp_path / "trunk")
    _fit(tmp_path / "5", _constant(5, 1), trunk=tmp_path / "trunk")
    lines = [json.loads(line) for line in (tmp_path / "5" / "history.jsonl").read_text().splitlines()]
    assert [line["seconds"] > 0 for line in lines] == [False, False, True, True, True]


def test_a_stray_file_beside_a_trunk_is_left_alone(tmp_path):
    _fit(tmp_path / "3", _constant(3, 1), trunk=tmp_path / "trunk")
    (tmp_path / "trunk" / "abc.pt").write_bytes(b"mine")
    _fit(tmp_path / "5", _constant(5, 1), trunk=tmp_path / "trunk")
    assert (tmp_path / "trunk" / "abc.pt").read_bytes() == b"mine"


def test_how_long_the_network_waited_is_kept(tmp_path):
    _fit(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert all(0 < line["waited"] < line["seconds"] for line in lines)


def test_where_it_ran_and_on_how_many_images_is_kept(tmp_path):
    _fit(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert {line["device"] for line in lines} == {device_name("cpu")}
    assert all(line["images"] > 0 for line in lines)
