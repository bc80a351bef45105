"""Timing two ways of computing one thing on the engine, in turn, as a layer and its factors. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor, nn

from tinysight.engines import ENGINES
from tinysight.engines.base import MODEL_ONNX
from tinysight.engines.export import export_onnx
from tinysight.measure.latency import interleave, speedup, time_calls

__all__ = ["times_as_fast"]

ROUNDS = 7
TURN_MS = 5.0
"""How long a turn lasts: enough calls that a layer of microseconds can be told from its factors."""
MOST_RUNS = 50


def times_as_fast(before: nn.Module, after: nn.Module, images: Tensor, engine: str, threads: int) -> float:
    """Return how many times as fast ``after`` is as ``before`` on the engine, in float; the median over rounds.

    Args:
        before: a module of one input and one output.
        after: what computes the same.
        images: what both read, of fixed shape.
        engine: a name of ``ENGINES``.
        threads: that the engine may use.

    Raises:
        UserError: one of the two cannot be exported.
    """
    given = images.float().numpy()
    timers: dict[str, Callable[[int, int], list[float]]] = {}
    with TemporaryDirectory() as kept:
        for name, module in (("before", before), ("after", after)):
            folder = Path(kept) / name
            folder.mkdir()
            export_onnx(module, images, folder / MODEL_ONNX)
            compiled = ENGINES[engine].compile(folder, threads=threads)
            timers[name] = lambda runs, warm_up, compiled=compiled: time_calls(  # type: ignore[misc]
                lambda: compiled(given), runs, warm_up
            )
        once = min(timers["before"](3, 2))
        times = interleave(timers, rounds=ROUNDS, runs=max(3, min(MOST_RUNS, round(TURN_MS / once))))
    return speedup("before", times["before"], times["after"]).ratio
