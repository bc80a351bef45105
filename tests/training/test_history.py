"""What a training notes: what it took, where, and when it starved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tinysight.training.history import device_name, starved, training_time, write_history

LINE = {"loss": 1.0, "seconds": 2.0, "waited": 0.5, "images": 30, "device": "A"}


def lines(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [LINE | {"epoch": epoch} | change for epoch, change in enumerate(changes, 1)]


def test_what_a_training_took_is_summed_up(tmp_path: Path):
    write_history(tmp_path, lines({}, {}, {}))
    took = training_time(tmp_path)
    assert took
    assert (took.epochs, took.shared_epochs, took.seconds, took.waited, took.images) == (3, 0, 6.0, 1.5, 90)
    assert (took.learning, took.seconds_per_epoch, took.images_per_second) == (4.5, 1.5, 20.0)


def test_epochs_of_a_shared_trunk_are_told_apart(tmp_path: Path):
    write_history(tmp_path, lines({"seconds": 0.0, "waited": 0.0, "images": 0}, {}))
    took = training_time(tmp_path)
    assert took
    assert (took.epochs, took.shared_epochs, took.seconds_per_epoch) == (2, 1, 1.5)


def test_a_training_that_moved_names_both_machines(tmp_path: Path):
    write_history(tmp_path, lines({}, {"device": "B"}, {"device": "B"}))
    took = training_time(tmp_path)
    assert took
    assert took.device == "A and B"


@pytest.mark.parametrize("text", ["", "no JSON", "3", json.dumps({"epoch": 1, "loss": 1.0, "seconds": 2.0})])
def test_without_a_whole_history_nothing_is_claimed(tmp_path: Path, text: str):
    (tmp_path / "history.jsonl").write_text(text)
    assert training_time(tmp_path) is None


def test_without_a_history_there_was_no_training(tmp_path: Path):
    assert training_time(tmp_path) is None


def test_a_gpu_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Some GPU, {device}")
    assert device_name("cuda:1") == "Some GPU, cuda:1"


def test_a_processor_is_called_by_its_name_and_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert device_name("cpu").endswith(", 2 threads")


def test_a_training_that_waits_for_images_says_so():
    said = starved(lines({"seconds": 0.0, "waited": 0.0, "images": 0}, {"seconds": 10.0, "waited": 8.0, "images": 80}))
    assert "80 % of the time went into preparing images (10 a second, where the network learns from 40)" in said
    assert starved(lines({"seconds": 10.0, "waited": 1.0})) == ""
