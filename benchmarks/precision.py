"""Every number format and every way to int8 of trained networks, on every engine: quality, bytes, times, drift.

    python benchmarks/precision.py facade_ads=RUN/candidates/ID camvid=RUN/candidates/ID [--only qat] [--seeds 3]
    python benchmarks/precision.py facade_ads=RUN/candidates/ID --times    # on a quiet machine, when all rows are there

Each network is a candidate of a finished run of the recipe of that name, whose data it is judged on. The files are kept
in runs/precision. Rows are added to docs/results/precision.jsonl as they finish, and docs/results/precision.md is
written anew after each; a row that is there already, made by the same version of its method, is skipped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tinysight.config import digest_of
from tinysight.data import InputPolicy
from tinysight.engines import ENGINES, Compiled
from tinysight.engines.bundle import Bundle
from tinysight.engines.export import export_onnx
from tinysight.engines.hardware import processor
from tinysight.errors import UserError
from tinysight.files import write_text
from tinysight.job import Job, job_from_recipe
from tinysight.measure.latency import interleave, speedup
from tinysight.measure.quality import PerImage, evaluate
from tinysight.progress import Progress
from tinysight.recipe import load_recipe
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.network import Network, load_network
from tinysight.reduction.precision.trial import CalibrationImages, drift
from tinysight.reduction.precision.tuning import Tuning
from tinysight.reduction.step import Context, NotApplicable
from tinysight.reduction.table import METHODS
from tinysight.report.text import bytes_text, counted, duration_text, points_text
from tinysight.search.floor import compare
from tinysight.training.teachers import EagerTeacher

ROOT = Path(__file__).parent.parent
ROWS, PAGE = ROOT / "docs/results/precision.jsonl", ROOT / "docs/results/precision.md"
NOTES = ROOT / "docs/results/precision.notes.md"
FILES = ROOT / "runs/precision"
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "float32, taught by itself": ("distil", {"learning_rate": 1e-4, "weight_decay": 0.0, "views": 0}),
    "bf16": ("bf16", {}),
    "fp16": ("fp16", {}),
    "int16": ("int16", {}),
    "int8, NNCF": ("int8", {"ranges": "nncf", "max_drift": None}),
    "int8, min-max": ("int8", {"ranges": "min_max", "max_drift": None}),
    "int8, percentile": ("int8", {"ranges": "percentile", "max_drift": None}),
    "int8, MSE": ("int8", {"ranges": "mse", "max_drift": None}),
    "int8, entropy": ("int8", {"ranges": "entropy", "max_drift": None}),
    "int8, MSE, biases as they are": ("int8", {"ranges": "mse", "correct_biases": False, "max_drift": None}),
    "trained thresholds (FAT)": ("fat", {"max_drift": None}),
    "quantization-aware": ("qat", {"max_drift": None}),
    "quantization-aware, learned steps": ("qat", {"steps": "learned", "max_drift": None}),
}
ROUNDS, RUNS = 9, 5
EPOCHS = 5
DRIFTED = 16
"""Training images on which scores are compared."""
ABOUT = """\
Made by `benchmarks/precision.py`. Every number is of the exported file on the engine: the metric on validation
photos, in points against the same network in float32, gains positive, with the 95 % interval of the paired bootstrap
over photos; how many times as fast as that, timed in turn, with the 5th and 95th percentile of the rounds; *drift*,
the root mean square error of the scores over their own spread, on 16 training photos, against the float network that
came in, so that what a training moves counts too; and the time the method took.

128 training photos calibrate. What is trained sees all photos for five epochs unless a row says otherwise; where
there are several seeds, its points are their mean and range. *float32, taught by itself* is the control of
quantization-aware training: as many epochs, at the same rate and with the same teacher, but nothing rounded."""
TRAINED = (Tuning, Distil)
"""Methods whose result depends on a seed."""


def context_of(job: Job, network: Network, engine: str, seed: int, folder: Path) -> Context:
    """Return what a method may use of a job; ``folder`` holds the float export, and the network is its own teacher."""

    def not_asked(*_given: Any) -> Any:
        raise AssertionError("nothing here shares views or times a module")

    return Context(
        task=job.task, train=job.train, held_out=frozenset, teacher=network, parent="network",
        ask_teacher=lambda: EagerTeacher(network.copy().scores, "cpu"),
        device="cpu", seed=seed, engine=engine, threads=1, augment=job.augment, folder=folder / f"training_{seed}",
        shared=not_asked, float_export=lambda _network: folder / "float.onnx", refuse_execution=ENGINES[engine].refuse,
        times_as_fast=not_asked, progress=Progress(quiet=True),
    )  # fmt: skip


def settings_of(variant: str, epochs: int) -> tuple[str, dict[str, Any]]:
    """Return a variant's method and settings; what is trained is trained for so many epochs."""
    method, settings = VARIANTS[variant]
    return method, settings | ({"epochs": epochs} if issubclass(METHODS[method], TRAINED) else {})


def measured(
    job: Job, network: Network, engine: str, variant: tuple[str, dict[str, Any]], seeds: int, folder: Path
) -> dict[str, Any]:
    """Make the float file and the variant's in ``folder`` and compare them on one engine, but for their times.

    What is trained is trained once for each of the seeds; all but its quality is of the first.
    """
    method, settings = variant
    folder.mkdir(parents=True, exist_ok=True)
    export_onnx(network.scores, network.example(), folder / "float.onnx")
    make_artifact(network, job.task, folder / "exact", folder / "float.onnx")
    exact = ENGINES[engine].compile(folder / "exact", threads=1)
    images = CalibrationImages(network, job.train)[:DRIFTED]
    line: dict[str, Any] = {"folder": folder.name, "quality": quality_of(job, network, exact), "reduced": []}
    for seed in reversed(range(seeds if issubclass(METHODS[method], TRAINED) else 1)):
        started = time.monotonic()
        try:
            reduced = METHODS[method](**settings).reduce(network, context_of(job, network, engine, seed, folder))
        except (NotApplicable, UserError) as reason:
            return {"why": str(reason)}
        line["seconds"] = time.monotonic() - started
        same = reduced.module is network.module
        make_artifact(reduced, job.task, folder / "rounded", folder / "float.onnx" if same else None)
        rounded = ENGINES[engine].compile(folder / "rounded", threads=1, execute=reduced.precision.execute)
        line["reduced"].insert(0, quality_of(job, network, rounded))
    scores = [np.concatenate([np.array(each(image)) for image in images]) for each in (exact, rounded)]
    return line | {
        "bytes": [(folder / each / "model.onnx").stat().st_size for each in ("exact", "rounded")],
        "drift": drift(*scores),
        "execute": reduced.precision.execute,
        **rounded.executed(),
    }


def compared(job: Job, line: dict[str, Any], threads: int) -> dict[str, Any]:
    """Time the two files of a row in turn, and compare them photo by photo."""
    engine, folder = ENGINES[line["engine"]], FILES / line["folder"]
    exact = engine.compile(folder / "exact", threads=threads)
    rounded = engine.compile(folder / "rounded", threads=threads, execute=line["execute"])
    policy = Bundle.open(folder / "exact").input
    image = np.zeros(policy.shape, np.float32)
    times = interleave({"exact": timer(exact, image), "rounded": timer(rounded, image)}, rounds=ROUNDS, runs=RUNS)
    return {
        "threads": threads,
        "cpu": processor().name,
        "input": [policy.height, policy.width],
        "photos": len(job.dataset.split("val")),
        "engine_version": engine.version(),
        "drop": compare(job.task, *(_per_image(job, policy, each) for each in (exact, rounded)), 0.0).model_dump(),
        "ms": [float(np.median(times[each])) for each in ("exact", "rounded")],
        "speedup": speedup("float32", times["exact"], times["rounded"]).model_dump(),
    }


def timer(network: Compiled, image: Any) -> Callable[[int, int], list[float]]:
    """Return what times a network on ``image``: (runs, warm_up) -> milliseconds."""

    def run(runs: int, warm_up: int) -> list[float]:
        found = []
        for _ in range(warm_up + runs):
            began = time.perf_counter()
            network(image)
            found.append(1e3 * (time.perf_counter() - began))
        return found[warm_up:]

    return run


def quality_of(job: Job, network: Network, engine: Compiled) -> float:
    """Return the metric, in %, of a compiled network on the validation split."""
    return 100 * job.task.score(_per_image(job, network.input, engine).statistics)


def _per_image(job: Job, policy: InputPolicy, engine: Compiled) -> PerImage:
    return evaluate(engine, policy, job.task, job.dataset.split("val"), lambda: None)


def in_words(variant: str, line: dict[str, Any]) -> str:
    """Say whether this processor executes the format, converts it, or only stores it."""
    if METHODS[VARIANTS[variant][0]].changes != "precision":
        return "float32"
    if METHODS[VARIANTS[variant][0]].storage_only:
        return "storage only: converted to float32 when it is loaded"
    if line["integer_layers"]:
        return f"native: {line['integer_layers']} of {line['layers']} layers in integers"
    return f"native: {line['executed']}"


def page(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the page, a table for each network and engine."""
    yield "# Number formats and ways to int8"
    yield ""
    yield ABOUT
    for network, engine in dict.fromkeys((line["network"], line["engine"]) for line in lines):
        own = [line for line in lines if (line["network"], line["engine"]) == (network, engine)]
        done = [line for line in own if "why" not in line]
        yield ""
        yield f"## {network} on {engine}"
        yield ""
        if done:
            yield f"{done[0]['metric']} {done[0]['quality']:.2f} in float32, {', '.join(_conditions(done))}."
            yield ""
        yield "| format | points | bytes | times as fast | drift | took | how it runs here |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_cells(line) for line in own)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: dict[str, Any]) -> str:
    if "why" in line:
        return _row([line["variant"], "–", "–", "–", "–", "–", line["why"]])
    return _row([
        _named(line), _points(line), bytes_text(line["bytes"][1]), _times(line), f"{line['drift']:.2g}",
        duration_text(line["seconds"]), in_words(line["variant"], line),
    ])  # fmt: skip


def _named(line: dict[str, Any]) -> str:
    epochs = line["made_with"][1].get("epochs", EPOCHS)
    return line["variant"] if epochs == EPOCHS else f"{line['variant']}, {counted(epochs, 'epoch')}"


def _conditions(done: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what holds for all rows of a table."""
    yield bytes_text(done[0]["bytes"][0])
    for line in done:
        if "cpu" in line:
            yield f"{line['ms'][0]:.2f} ms; {line['photos']} photos, {' x '.join(map(str, line['input']))} pixels"
            yield f"{line['engine']} {line['engine_version']}, {counted(line['threads'], 'thread')}, {line['cpu']}"
            return


def _points(line: dict[str, Any]) -> str:
    points = [after - line["quality"] for after in line["reduced"]]
    if len(points) > 1:
        mean, least, largest = (points_text(value) for value in (sum(points) / len(points), min(points), max(points)))
        return f"{mean}, {len(points)} seeds {least} to {largest}"
    if "drop" not in line:
        return points_text(points[0])
    return f"{points_text(points[0])} ({points_text(-line['drop']['high'])} to {points_text(-line['drop']['low'])})"


def _times(line: dict[str, Any]) -> str:
    ratio = line.get("speedup")
    return f"{ratio['ratio']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else "–"


def write(lines: list[dict[str, Any]]) -> None:
    """Write rows and page anew."""
    write_text(ROWS, "".join(f"{json.dumps(line)}\n" for line in lines))
    notes = f"\n{NOTES.read_text(encoding='utf-8')}" if NOTES.is_file() else ""
    write_text(PAGE, "\n".join(page(lines)) + f"\n{notes}")


def _made_before(line: dict[str, Any], key: dict[str, Any]) -> bool:
    """Say whether a row is that of ``key``, by another version of the method."""
    same = all(line[name] == key[name] for name in ("network", "engine", "variant"))
    return same and line["made_with"][1] == key["made_with"][1]


def main() -> int:
    """Do every row that is not there yet, or time all that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="RECIPE=CHECKPOINT")
    parser.add_argument("--only", default="", help="do the variants whose name holds this text")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--seeds", type=int, default=1, help="how often to train what is trained")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="how long to train what is trained")
    parser.add_argument("--times", action="store_true", help="time and compare the rows that are there")
    parser.add_argument("--threads", type=int, default=processor().usable_cores, help="for --times")
    args = parser.parse_args()
    lines = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []
    for recipe, _, checkpoint in (given.partition("=") for given in args.networks):
        network = load_network(Path(checkpoint))
        job = job_from_recipe(load_recipe(ROOT / f"recipes/{recipe}.yaml"), Path(checkpoint).parents[1] / "data.json")
        name = f"{network.spec.label} of {recipe}"
        for line in lines if args.times else ():
            if line["network"] == name and line["engine"] in args.engines and "why" not in line:
                line |= compared(job, line, args.threads)
                write(lines)
                print(_cells(line), flush=True)
        for engine, variant in () if args.times else product(args.engines, VARIANTS):
            method, settings = settings_of(variant, args.epochs)
            key = {
                "network": name, "engine": engine, "variant": variant,
                "made_with": [METHODS[method].version, settings],
            }  # fmt: skip
            if args.only not in variant or any(key.items() <= line.items() for line in lines):
                continue
            found = measured(job, network, engine, (method, settings), args.seeds, FILES / digest_of(key))
            lines = [line for line in lines if not _made_before(line, key)]
            lines.append(key | {"metric": job.task.metric} | found)
            write(lines)
            print(_cells(lines[-1]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
