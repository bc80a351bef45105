"""Samples kept in memory: decoded once, within a bound, and never those that differ at every reading."""

from __future__ import annotations

import numpy as np
import pytest

from tinysight.data import Sample
from tinysight.data.live import live_samples
from tinysight.data.memory import in_memory


class _Counted(Sample):
    """A sample that counts how often it is read."""

    group = "street"

    def __init__(self, number: int) -> None:
        self.name, self.reads = f"train/{number}", 0

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        self.reads += 1
        return np.full((4, 4, 3), self.reads, np.uint8), np.zeros((4, 4), np.uint8)

    def image_digest(self) -> str:
        return f"image of {self.name}"

    def target_digest(self) -> str:
        return f"target of {self.name}"


def test_samples_are_decoded_once():
    sample = _Counted(0)
    (kept,) = in_memory([sample])
    assert [kept.read()[0][0, 0, 0] for _ in range(3)] == [1, 1, 1]


def test_beyond_the_bound_samples_are_decoded_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tinysight.data.memory.LARGEST_BYTES", 2 * 64)
    samples = [_Counted(number) for number in range(4)]
    for sample in in_memory(samples) * 2:
        sample.read()
    assert [sample.reads for sample in samples] == [1, 1, 2, 2]


def test_a_sample_stays_what_it_was():
    sample = _Counted(0)
    (kept,) = in_memory([sample])
    assert (kept.name, kept.group) == (sample.name, sample.group)
    assert (kept.image_digest(), kept.target_digest()) == (sample.image_digest(), sample.target_digest())


def test_live_samples_are_never_kept():
    samples = live_samples([(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))], "train")
    assert in_memory(samples) is samples
