"""What a training notes of every epoch: its loss, its time, and where it ran."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tinysight.engines.hardware import processor
from tinysight.files import write_text
from tinysight.measure.records import TrainingTime

__all__ = [
    "HISTORY",
    "Line",
    "device_name",
    "join_histories",
    "read_history",
    "seconds_trained",
    "starved",
    "training_time",
    "write_history",
]

HISTORY = "history.jsonl"

STARVED = 0.4
"""The share of the time that preparing images may take before it is worth a word."""

Line = dict[str, Any]
"""``epoch``, ``loss``, ``seconds``, of which ``waited`` for images, ``images`` learned from, and the ``device``.

An epoch that another training did, in a trunk the two share, took 0 seconds.
"""


def write_history(folder: Path, history: Sequence[Line]) -> None:
    """Write one line an epoch."""
    write_text(folder / HISTORY, "".join(json.dumps(line) + "\n" for line in history))


def join_histories(folder: Path, parts: Sequence[Path]) -> None:
    """Write the lines of several trainings, one after the other, as those of one."""
    done = [line for part in parts for line in read_history(part)]
    write_history(folder, [line | {"epoch": epoch} for epoch, line in enumerate(done, 1)])


def device_name(device: str) -> str:
    """Return what ``device`` (cpu, cuda, cuda:N) is: the GPU's name, or the processor's with its threads."""
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{processor().name}, {threads} thread{'s' if threads > 1 else ''}"


def seconds_trained(folder: Path) -> float:
    """Return how long the epochs took that lie finished in ``folder``; those of a shared trunk count nothing."""
    try:
        return sum(float(line["seconds"]) for line in read_history(folder))
    except (KeyError, TypeError, ValueError):  # damaged
        return 0.0


def training_time(folder: Path) -> TrainingTime | None:
    """Return what the training in ``folder`` took; None where there is none, or its history lacks something."""
    history = read_history(folder)
    try:
        own = [line for line in history if line["seconds"] > 0]
        return TrainingTime(
            epochs=len(history),
            shared_epochs=len(history) - len(own),
            seconds=sum(line["seconds"] for line in own),
            waited=sum(line["waited"] for line in own),
            images=sum(line["images"] for line in own),
            device=" and ".join(dict.fromkeys(line["device"] for line in own)),
        ) if own else None  # fmt: skip
    except (KeyError, TypeError, ValueError):  # damaged, or written before all of this was noted
        return None


def starved(history: Sequence[Mapping[str, Any]]) -> str:
    """Say how much of the training the network waited for images, where that was much; empty otherwise."""
    seconds, waited, images = (sum(line.get(what, 0.0) for line in history) for what in ("seconds", "waited", "images"))
    if waited <= STARVED * seconds:
        return ""
    prepared, learned = (images / max(part, 1e-9) for part in (waited, seconds - waited))
    return (
        f"{100 * waited / seconds:.0f} % of the time went into preparing images ({prepared:.0f} a second, where the "
        f"network learns from {learned:.0f}): store them at about the network's size to train faster"
    )


def read_history(folder: Path) -> list[Any]:
    """Return the lines of ``write_history``; none where it was not begun, or is damaged."""
    try:
        return [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
