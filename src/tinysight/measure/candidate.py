"""Measuring one artifact: everything in its own fresh process, timed in turn with the networks it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

__all__ = ["FINAL_ROUNDS", "FINAL_RUNS", "ROUNDS", "RUNS", "Bench", "Measured", "Timer"]

Timer = Callable[[int, int], list[float]]
"""(runs, warm_up) -> milliseconds of each run."""

ROUNDS, RUNS = 7, 5
FINAL_ROUNDS, FINAL_RUNS = 9, 7
"""Rounds in which networks take turns, and calls of each in a round; finalists are timed once more, all in turn."""
END_TO_END_RUNS = 20


@dataclass(frozen=True)
class Measured:
    """What one artifact measured; ``speedups`` by the name of the network compared with."""

    quality: Quality
    bytes: Bytes
    latency_ms: Latency
    e2e_ms: Latency
    speedups: Mapping[str, Speedup]
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

    def measure(self, artifact: Path, split: str, per_image: Path, against: Mapping[str, Timer]) -> Measured:
        """Measure an artifact on ``split``, keeping per-image statistics in the file ``per_image``.

        Args:
            artifact: the exported folder.
            split: which samples score it.
            per_image: where to write the statistics.
            against: timers of the networks to compare with, timed in turn with this one.

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
            end_to_end = process.ask("end_to_end", data=str(self.data), split=split, runs=END_TO_END_RUNS)["ms"]
            quality = self.score(process, split, per_image, bundle)
        version = described["engine_version"]
        return Measured(
            quality=quality,
            bytes=measure_bytes(artifact, ENGINES[self.engine]),
            latency_ms=self.latency(times[""], version, bundle),
            e2e_ms=self.latency(np.asarray(end_to_end), version, bundle),
            speedups={name: speedup(name, times[name], times[""]) for name in against},
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
        ratios = {name: speedup(name, times[name], times[""]) for name in against}
        return ratios, measure_bytes(artifact, ENGINES[self.engine])

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
