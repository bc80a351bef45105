"""Measuring one artifact: everything in its own fresh process, timed in turn with the networks it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinysight.engines import ENGINES
from tinysight.engines.bundle import Bundle
from tinysight.engines.hardware import processor
from tinysight.errors import UserError
from tinysight.measure.latency import interleave, speedup
from tinysight.measure.process import MeasuringProcess
from tinysight.measure.quality import PerImage, quality_of
from tinysight.measure.records import Bytes, Latency, PrecisionRead, Quality, Speedup
from tinysight.measure.size import measure_bytes
from tinysight.progress import Progress

__all__ = ["FINAL_ROUNDS", "FINAL_RUNS", "PHOTO_ROUNDS", "PHOTO_RUNS", "ROUNDS", "RUNS", "Bench", "Measured", "Timer"]

Timer = Callable[[int, int], list[float]]
"""(runs, warm_up) -> milliseconds of each run."""

ROUNDS, RUNS = 7, 5
FINAL_ROUNDS, FINAL_RUNS = 9, 7
"""Rounds in which networks take turns, and calls of each in a round; finalists are timed once more, all in turn."""
PHOTO_ROUNDS, PHOTO_RUNS = 5, 4
"""The same for the whole way of a photo, which takes longer than the network alone."""


@dataclass(frozen=True)
class Measured:
    """What one artifact measured; speedups by the name of the network compared with, alone and end to end."""

    quality: Quality
    bytes: Bytes
    latency_ms: Latency
    e2e_ms: Latency
    speedups: Mapping[str, Speedup]
    e2e_speedups: Mapping[str, Speedup]
    peak_rss_mb: float
    precision: PrecisionRead


@dataclass(frozen=True)
class Bench:
    """The conditions all measurements of a run share: engine, threads, and the data's description."""

    engine: str
    threads: int
    data: Path
    progress: Progress

    def start(self, artifact: Path) -> MeasuringProcess:
        """Start a process that holds the artifact compiled."""
        return MeasuringProcess({"artifact": str(artifact), "engine": self.engine, "threads": self.threads})

    def photo_timer(self, process: MeasuringProcess, split: str) -> Timer:
        """Return the timer of a decoded photo's whole way through a running process."""
        return partial(process.time_photo, data=str(self.data), split=split)

    def measure(
        self,
        artifact: Path,
        split: str,
        per_image: Path,
        against: Mapping[str, Timer],
        against_e2e: Mapping[str, Timer],
    ) -> Measured:
        """Measure an artifact on ``split``, keeping per-image statistics in the file ``per_image``.

        Args:
            artifact: the exported folder.
            split: which samples score it.
            per_image: where to write the statistics.
            against: timers of the networks to compare with, timed in turn with this one.
            against_e2e: the same for a photo's whole way.

        Raises:
            UserError: the process died, or the output does not fit the task.
        """
        bundle = Bundle.open(artifact)
        with self.start(artifact) as process:
            described = process.ask("describe")
            if described["refused"]:
                raise UserError(
                    f"{described['refused']}: check the number of classes, or choose the output with output=…"
                )
            times = interleave({**against, "": process.time}, rounds=ROUNDS, runs=RUNS)
            photos = {**against_e2e, "": self.photo_timer(process, split)}
            e2e_times = interleave(photos, rounds=PHOTO_ROUNDS, runs=PHOTO_RUNS)
            quality = self.score(process, split, per_image, bundle)
        version = described["engine_version"]
        return Measured(
            quality=quality,
            bytes=measure_bytes(artifact, ENGINES[self.engine]),
            latency_ms=self.latency(times[""], version, bundle),
            e2e_ms=self.latency(e2e_times[""], version, bundle),
            speedups=_speedups(times),
            e2e_speedups=_speedups(e2e_times),
            peak_rss_mb=described["peak_rss_mb"],
            precision=PrecisionRead(
                stored=bundle.stored,
                **{name: described[name] for name in ("executed", "integer_share", "integer_layers", "layers")},
            ),
        )

    def compare(self, artifact: Path, against: Mapping[str, Timer]) -> tuple[Mapping[str, Speedup], Bytes]:
        """Time an artifact in turn with others, and weigh it, without scoring it."""
        with self.start(artifact) as process:
            times = interleave({**against, "": process.time}, rounds=ROUNDS, runs=RUNS)
        return _speedups(times), measure_bytes(artifact, ENGINES[self.engine])

    def score(self, process: MeasuringProcess, split: str, per_image: Path, bundle: Bundle) -> Quality:
        """Score ``split`` in a running process."""
        per_image.parent.mkdir(parents=True, exist_ok=True)
        with self.progress.track(
            f"scoring on {split}", process.ask("count", data=str(self.data), split=split)["images"]
        ) as tick:
            process.ask("quality", tick=tick, data=str(self.data), split=split, result=str(per_image))
        return quality_of(bundle.make_task(), PerImage.load(per_image), split)

    def latency(self, times: NDArray[np.float64], version: str, bundle: Bundle) -> Latency:
        """Summarise times under this bench's conditions."""
        p50, p90 = np.percentile(times, [50, 90])
        return Latency(
            p50=float(p50), p90=float(p90), engine=self.engine, engine_version=version, threads=self.threads, batch=1,
            shape=bundle.input.shape, runs=times.size, cpu=processor().name,
        )  # fmt: skip


def _speedups(times: Mapping[str, NDArray[np.float64]]) -> dict[str, Speedup]:
    """Compare the network without a name with each of the others."""
    return {name: speedup(name, row, times[""]) for name, row in times.items() if name}
