"""What a processor makes of int8 files whose weights take all 8 bits, and of those that take 7 (``reduce_range``).

    python benchmarks/processors.py RUN/candidates/ID [RUN/candidates/ID ...]

Run it on an x86 processor without VNNI, where sums of products are cut off at 16 bits. PyTorch rounds each file as a
processor that cuts nothing off does, and the engines run it as this one does. Rows are added to
docs/results/processors.jsonl as they finish, and docs/results/processors.md is written anew after each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from precision import ROOT, context_of, quality_of, timer

from tinysight.engines import ENGINES, Compiled
from tinysight.engines.export import export_onnx
from tinysight.engines.hardware import processor
from tinysight.files import write_text
from tinysight.job import Job, job_from_recipe
from tinysight.measure.latency import interleave, speedup
from tinysight.recipe import recipe_of_run
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.network import Network, load_network
from tinysight.reduction.onnx_torch.graph import TorchGraph
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.precision.simulation import simulated
from tinysight.reduction.precision.trial import CalibrationImages, drift
from tinysight.reduction.precision.writer import write
from tinysight.report.text import counted

ROWS, PAGE = ROOT / "docs/results/processors.jsonl", ROOT / "docs/results/processors.md"
NOTES = ROOT / "docs/results/processors.notes.md"
THREADS = {"openvino": 2, "onnxruntime": 1}
ROUNDS, RUNS = 9, 7
DRIFTED = 16
"""Training images on which scores are compared."""
ABOUT = """\
Made by `benchmarks/processors.py`. x86 processors without VNNI add two products of 8 bits in 16, and every engine cuts
off what does not fit. *Drift* is the root mean square error of the scores over their own spread, on 16 training images,
against float32: of the file as a processor computes it that cuts nothing off (simulated in PyTorch), and as this one
does. *8 bits* is `reduce_range: false`, *7 bits* the default; the metric is that of the file on this processor, on
validation images. 128 training images calibrate, by MSE. Times are in turn with float32 on the same engine, two threads
under OpenVINO and one under ONNX Runtime, with the 5th and 95th percentile of the rounds."""
HEAD = (
    "| network | engine | bits | drift, nothing cut off | drift here | metric here | in float32 | times as fast here |"
)


class Simulation(Compiled):
    """A file as a processor computes it that cuts nothing off."""

    def __init__(self, exported: onnx.ModelProto, record: PrecisionRecord) -> None:
        corrected = write(exported, PrecisionRecord(biases=record.biases)) if record.biases else exported
        self._network = simulated(TorchGraph(corrected).eval(), record)

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            scores: NDArray[np.float32] = self._network(torch.from_numpy(np.ascontiguousarray(images))).numpy()
        return scores

    @property
    def input_shape(self) -> None:
        return None

    def executed(self) -> dict[str, Any]:
        return {}


def rows_of(network: Network, job: Job, engine: str, bits: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield a row for so many bits of the weights each."""
    images = CalibrationImages(network, job.train)[:DRIFTED]
    with TemporaryDirectory() as name:
        folder = Path(name)
        export_onnx(network.scores, network.example(), folder / "float.onnx")
        make_artifact(network, job.task, folder / "exact", folder / "float.onnx")
        exact = ENGINES[engine].compile(folder / "exact", threads=THREADS[engine])
        for each in bits:
            method = Int8(ranges="mse", reduce_range=each == 7, max_drift=None)
            reduced = method.reduce(network, context_of(job, network, engine, 0, folder))
            make_artifact(reduced, job.task, folder / "rounded", folder / "float.onnx")
            here = ENGINES[engine].compile(folder / "rounded", threads=THREADS[engine])
            whole = Simulation(onnx.load(folder / "float.onnx"), reduced.precision)
            blank = np.zeros(network.input.shape, np.float32)
            times = interleave({"exact": timer(exact, blank), "rounded": timer(here, blank)}, rounds=ROUNDS, runs=RUNS)
            yield {
                "engine": engine, "engine_version": ENGINES[engine].version(), "cpu": processor().name,
                "vnni": processor().has_int8, "bits": each, "metric": job.task.metric,
                "drift": [_drift(images, exact, rounded) for rounded in (whole, here)],
                "quality": [quality_of(job, network, compiled) for compiled in (exact, here)],
                "speedup": speedup("float32", times["exact"], times["rounded"]).model_dump(),
            }  # fmt: skip


def _drift(images: list[NDArray[np.float32]], exact: Compiled, rounded: Compiled) -> float:
    return drift(*(np.concatenate([np.array(each(image)) for image in images]) for each in (exact, rounded)))


def page(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the page."""
    yield from ("# int8 on processors without VNNI", "", ABOUT, "")
    machines = dict.fromkeys(
        f"{row['cpu']} {'with' if row['vnni'] else 'without'} VNNI, {row['engine']} {row['engine_version']}"
        for row in rows
    )
    yield from (f"Here: {'; '.join(machines)}.", "", HEAD, "|---|---|---|---|---|---|---|---|")
    for row in rows:
        ratio, (whole, here), (before, after) = row["speedup"], row["drift"], row["quality"]
        yield (
            f"| {row['network']} | {row['engine']} | {row['bits']} | {whole:.3f} | {here:.3f} "
            f"| {row['metric']} {after:.2f} | {before:.2f} "
            f"| {ratio['ratio']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f}) |"
        )


def main() -> int:
    """Do the rows of every network that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", type=Path, metavar="RUN/candidates/ID")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    args = parser.parse_args()
    torch.set_num_threads(max(THREADS.values()))
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []
    for candidate, engine in product(args.networks, args.engines):
        run, network = candidate.parents[1], load_network(candidate)
        job = job_from_recipe(recipe_of_run(run), run / "data.json")
        images = counted(len(job.train), "image")
        name = f"{network.spec.label}, {run.name}, {images} of training"
        done = {row["bits"] for row in rows if (row["network"], row["engine"]) == (name, engine)}
        missing = [bits for bits in (8, 7) if bits not in done]
        for row in rows_of(network, job, engine, missing) if missing else ():
            rows.append({"network": name} | row)
            write_text(ROWS, "".join(f"{json.dumps(each)}\n" for each in rows))
            notes = f"\n{NOTES.read_text(encoding='utf-8')}" if NOTES.is_file() else ""
            write_text(PAGE, "\n".join(page(rows)) + f"\n{notes}")
            print(rows[-1], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
