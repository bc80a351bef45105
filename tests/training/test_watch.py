"""Watch: scores of training and validation images while a network learns, without a trace in what it learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tinysight.data import Dataset, InputPolicy
from tinysight.data.source import open_data
from tinysight.progress import Progress
from tinysight.tasks import Segmentation
from tinysight.training.batches import Batches
from tinysight.training.loop import fit
from tinysight.training.losses import task_loss
from tinysight.training.settings import Training
from tinysight.training.watch import Watch

TASK = Segmentation(("background", "advertising"))
POLICY = InputPolicy(height=32, width=32)
LOSS = task_loss("cross_entropy", TASK)


@pytest.fixture
def data(tiny_data) -> Dataset:
    return open_data(tiny_data)


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(4, 2, 1)
    )


def _watch(data: Dataset) -> Watch:
    return Watch(data.split("train"), data.split("val"), POLICY, TASK, LOSS, batch_size=4)


def _fitted(data: Dataset, folder: Path, epochs: int, watch: Watch | None) -> dict[str, torch.Tensor]:
    network, settings = _network(), Training(epochs=epochs, batch_size=4, watch=2 if watch else 0)
    batches = Batches(data.split("train"), POLICY, TASK, augment=True)
    fit(network, batches, LOSS, settings, device="cpu", seed=0, folder=folder, progress=Progress(), watch=watch)
    return network.state_dict()


def test_it_scores_as_the_task_does_at_the_networks_size(data: Dataset):
    network = _network().eval()
    found = _watch(data)(network, "cpu")["val"]
    statistics, losses = [], []
    for batch in Batches(data.split("val"), POLICY, TASK, augment=False).plain(1):
        with torch.no_grad():
            scores = network(batch.images)
        losses.append(float(LOSS(batch, scores)))
        statistics.append(TASK.statistic(scores[0].argmax(0).numpy(), batch.targets[0].numpy()))
    assert found["score"] == pytest.approx(TASK.score(np.stack(statistics)))
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_it_is_kept_every_few_epochs_and_after_the_last(data: Dataset, tmp_path: Path):
    _fitted(data, tmp_path, 5, _watch(data))
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in history if "watched" in line] == [2, 4, 5]
    assert set(history[1]["watched"]) == {"train", "val"}


def test_it_leaves_no_trace_in_the_weights(data: Dataset, tmp_path: Path):
    watched, alone = _fitted(data, tmp_path / "a", 4, _watch(data)), _fitted(data, tmp_path / "b", 4, None)
    assert all(torch.equal(watched[name], alone[name]) for name in alone)


def test_it_leaves_the_network_in_its_mode(data: Dataset):
    network = _network().train()
    _watch(data)(network, "cpu")
    assert network.training
