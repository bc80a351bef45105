"""What modules are worth once exported: two ways of computing one thing timed in turn, and bytes. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor, nn

from tinysight.engines import ENGINES
from tinysight.engines.base import MODEL_ONNX
from tinysight.engines.export import export_onnx
from tinysight.measure.latency import interleave, speedup, time_calls

__all__ = ["exported_bytes", "times_as_fast"]

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


def exported_bytes(scores: nn.Module, images: Tensor) -> int:
    """Return the size of the exported file, in float.

    Args:
        scores: a module of one input and one output.
        images: what it reads, of fixed shape.

    Raises:
        UserError: it cannot be exported.
    """
    with TemporaryDirectory() as kept:
        path = Path(kept) / MODEL_ONNX
        export_onnx(scores, images, path)
        return path.stat().st_size
