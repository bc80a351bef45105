"""Every reduction x every family of networks: reduce, save, load in a new process, export, compare.

Decoders stand on three encoders each, classifiers are families of their own.

Rows are appended to docs/results/contract.jsonl as they finish; docs/results/contract.md is written anew after each.
A row that is there already is skipped unless a method or a library it was made with has another version, so an
interrupted run goes on. Two processes of its own make each row, within a time limit; whatever they die of is a row too.

    python benchmarks/contract.py [--minutes 6] [--only trim/unet] [--limit 300]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import Limits, in_process

from tinysight.config import digest_of
from tinysight.reduction.table import METHODS
from tinysight.runs.environment import versions

RESULTS = Path(__file__).parent.parent / "docs" / "results"
ROWS, TABLE = RESULTS / "contract.jsonl", RESULTS / "contract.md"
DECODERS = ("pspnet", "unet", "fpn", "deeplabv3plus", "linknet", "manet", "pan", "unetplusplus", "upernet")
CLASSIFIERS = (
    "resnet18", "densenet121", "mobilenetv2_100", "mobilenetv3_small_100", "squeezenet1_1", "efficientnet_b0",
)  # fmt: skip
OWN: dict[str, dict[str, Any]] = {"fcn": {"encoder": "vgg11_bn", "hidden": 64}, "enet": {}, "unet_plain": {}}
"""Networks that no library keeps, at sizes that two cores can reduce."""
SETTINGS: dict[str, dict[str, Any]] = {
    "trim": {},
    "prune": {"keep": 0.5},
    "factorize": {"keep": 0.5},
    "stem": {"stride": 4},
    "activations": {"to": "relu"},
    "bins": {"keep": [1, 6]},
    "resize": {},
    "recalibrate": {"images": 9, "batch_size": 4},
    "encoder": {"to": "resnet10t"},
    "decoder": {"width": 0.5},
    "fresh": {"activation": "leaky_relu"},
    "equalize": {},
    "finetune": {"epochs": 1, "batch_size": 4},
    "sparsify": {"epochs": 1, "batch_size": 4, "sparsity": 0.5},
    "lottery": {"epochs": 1, "batch_size": 4, "sparsity": 0.5, "rounds": 1},
    "distil": {"epochs": 1, "batch_size": 4},
    "born_again": {"epochs": 1, "batch_size": 4},
    "bf16": {},
    "fp16": {},
    "int16": {},
    "int8": {"images": 8, "max_drift": None},
    "fat": {"images": 8, "epochs": 1, "batch_size": 4, "max_drift": None},
    "qat": {"images": 8, "epochs": 1, "batch_size": 4, "max_drift": None},
}
OTHERWISE: dict[tuple[str, str], dict[str, Any]] = {("encoder", "fcn"): {"to": "vgg11"}}
"""Settings of a method on a family that can do nothing with the usual ones: FCN stands on VGG alone."""
TOLERANCE = {"bf16": 0.05, "fp16": 0.02, "int16": 0.02, "int8": None, "fat": None, "qat": None}
"""Largest difference from torch as a share of the largest score; 1e-3 where nothing stands here. Random weights say
nothing about int8, so its file must only run, on every engine."""
REMEMBERS_PLACES = frozenset({"enet"})
"""Families that carry the places of maxima to their decoder: where two values are nearly alike, any rounding moves one,
so that a precision's file must only run, too."""
SIZES = {"pan": (160, 192)}
"""Input height and width; PAN's pyramid pools further than the others and breaks at 96 x 128."""
USUAL_SIZE = (96, 128)
THREADS, MEMORY = 2, 14
"""Cores and gigabytes that the process of a row may take."""


@dataclass(frozen=True)
class Row:
    """One cell of the table."""

    method: str
    family: str
    encoder: str

    @property
    def name(self) -> str:
        """``method/family/encoder``."""
        return f"{self.method}/{self.family}/{self.encoder}"

    @property
    def arguments(self) -> dict[str, Any]:
        """What its network is built with, for three classes."""
        given = OWN.get(self.family, {"encoder": self.encoder})
        return given | {"classes": 3}

    @property
    def settings(self) -> dict[str, Any]:
        """What its method is given."""
        return OTHERWISE.get((self.method, self.family), SETTINGS[self.method])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        return SIZES.get(self.family, USUAL_SIZE)

    def made_with(self) -> str:
        """Identify everything that could change the result: method, its settings and version, size and libraries."""
        return digest_of([self.name, METHODS[self.method].version, self.settings, self.size, versions()])


def encoders(family: str) -> tuple[str, ...]:
    """Return the encoders of a decoder; those that dilate their encoder take efficientnet-b0 for timm's MobileNetV3."""
    third = "efficientnet-b0" if family in {"deeplabv3plus", "pan"} else "tu-mobilenetv3_small_050"
    return "resnet18", "mobilenet_v2", third


def columns() -> dict[str, list[tuple[str, str]]]:
    """Return by a table's title the networks in it, as family and encoder."""
    tables = {}
    for number in range(3):
        used = dict.fromkeys(encoders(decoder)[number] for decoder in DECODERS)
        title = f"Encoder: {' or '.join(used)}"
        tables[title] = [(decoder, encoders(decoder)[number]) for decoder in DECODERS]
    tables["Classifiers"] = [("classifier", encoder) for encoder in CLASSIFIERS]
    tables["Networks of our own"] = [(family, "own") for family in OWN]
    return tables


def all_rows() -> Iterator[Row]:
    """Yield every row, one table after the other, so that an unfinished run has seen every method."""
    for networks in columns().values():
        for method in METHODS:
            for family, encoder in networks:
                yield Row(method, family, encoder)


# --- in the first process: reduce, save, export ---


def reduce_row(row: Row, work: Path) -> dict[str, Any]:
    """Reduce a network with random weights, save its checkpoint and its artifact, and hash its outputs."""
    from tinysight.reduction.artifact import make_artifact
    from tinysight.reduction.step import NotApplicable

    base = build(row)
    context = make_context(row, base, work)
    try:
        network = reduced(row, base, context)
    except NotApplicable as reason:
        return {"status": "not applicable", "why": str(reason)}
    float_export = context.float_export(base) if network.steps[-1].kind == "precision" else None
    make_artifact(network, context.task, work / "artifact", float_export)
    return {"status": "ok", "hash": output_hash(network)}


def build(row: Row) -> Any:
    """Build the row's network for three classes, with repeatable random weights."""
    import torch

    from tinysight.data import InputPolicy
    from tinysight.models.spec import ModelSpec
    from tinysight.reduction.network import Network

    torch.manual_seed(0)
    spec = ModelSpec(builder=row.family, args=row.arguments)
    module = spec.build().eval()
    for parameter in module.parameters():
        if parameter.ndim > 1 and not parameter.any():  # FCN's last layer: a network of zeros would prove nothing
            torch.nn.init.kaiming_normal_(parameter)
    return Network(module, spec, InputPolicy(height=row.size[0], width=row.size[1]))


def make_context(row: Row, base: Any, work: Path) -> Any:
    """Make a context with nine random pictures; the base's float export is shared by the rows of one network."""
    import numpy as np

    from tinysight.data.live import live_samples
    from tinysight.engines import ENGINES
    from tinysight.engines.export import export_onnx
    from tinysight.progress import Progress
    from tinysight.reduction.step import Context
    from tinysight.tasks import TASKS
    from tinysight.training.teachers import EagerTeacher

    generator = np.random.default_rng(0)
    size = (base.input.height, base.input.width)
    pictures = generator.integers(0, 256, (9, *size, 3), dtype=np.uint8)
    masks = generator.integers(0, 3, (9, *size), dtype=np.uint8)
    task = "classification" if row.family == "classifier" else "segmentation"
    labels: Any = [0, 1, 2] * 3 if task == "classification" else masks

    def float_export(network: Any) -> Path:
        path = work.parent / f"{row.family}-{row.encoder}.onnx"
        if not path.exists():
            export_onnx(network.scores, network.example(), path)
        return path

    return Context(
        task=TASKS[task](("a", "b", "c")), train=live_samples(list(zip(pictures, labels, strict=True)), "train"),
        held_out=tuple, teacher=base, ask_teacher=lambda: EagerTeacher(base.copy().scores, "cpu"), parent="base",
        device="cpu", seed=0,
        engine="openvino", threads=THREADS, augment=False,
        folder=work / "state", shared=lambda key: work / digest_of(key),
        float_export=float_export, refuse_execution=ENGINES["openvino"].refuse,
        # Every layer counts as faster in parts, so that every layer is replaced.
        times_as_fast=lambda *_: 2.0, progress=Progress(quiet=True),
    )  # fmt: skip


def reduced(row: Row, base: Any, context: Any) -> Any:
    """Reduce ``base``; resize takes the next smaller size."""
    if row.method == "resize":
        return METHODS["resize"](height=base.input.height - 32, width=base.input.width - 32).reduce(base, context)
    return METHODS[row.method](**row.settings).reduce(base, context)


# --- in the second process: load, run, compare ---


def check_row(row: Row, work: Path) -> dict[str, Any]:
    """Load the checkpoint, hash its outputs, and compare every engine with torch."""
    import numpy as np

    from tinysight.engines import ENGINES
    from tinysight.engines.bundle import Bundle
    from tinysight.reduction.artifact import CHECKPOINT
    from tinysight.reduction.network import load_network
    from tinysight.reduction.verify import run

    network = load_network(work / "artifact" / CHECKPOINT)
    images = network.example()
    expected = run(network.scores, images).numpy()
    execute = Bundle.open(work / "artifact").execute
    differences = {}
    for name, engine in ENGINES.items():
        precision = "f32" if engine.refuse(execute) else execute
        found = engine.compile(work / "artifact", threads=THREADS, execute=precision)(images.numpy())
        differences[name] = float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo("f").tiny))
    tolerance = TOLERANCE.get(row.method, 1e-3)
    if row.method in TOLERANCE and row.family in REMEMBERS_PLACES:
        tolerance = None
    wrong = [name for name, share in differences.items() if tolerance is not None and not share <= tolerance]
    why = f"differs from torch by more than {tolerance:g} of the largest score: {', '.join(wrong)}" if wrong else ""
    status = "FAILED" if wrong else "ok"
    return {"status": status, "why": why, "hash": output_hash(network), "difference": differences}


def output_hash(network: Any) -> str:
    """Hash the outputs for two images."""
    from tinysight.reduction.verify import run

    return hashlib.sha256(run(network.scores, network.example(batch=2)).numpy().tobytes()).hexdigest()


# --- in the process that was started ---


def do_row(row: Row, work: Path, limits: Limits) -> dict[str, Any]:
    """Make one row in two processes."""
    started = time.monotonic()
    folder = work / "row"
    made = _phase("reduce", limits, reduce_row, row, folder)
    if made["status"] == "ok":
        checked = _phase("check", limits, check_row, row, folder)
        if checked["status"] == "ok" and checked["hash"] != made["hash"]:
            checked |= {"status": "FAILED", "why": "the loaded network gives other outputs than the saved one"}
        made = checked
    made.pop("hash", None)
    return {"row": row.name, "made_with": row.made_with(), **made, "seconds": round(time.monotonic() - started, 1)}


def _phase(name: str, limits: Limits, phase: Any, row: Row, folder: Path) -> dict[str, Any]:
    found = in_process(limits, phase, row, folder)
    return found if "status" in found else {"status": "FAILED", "why": f"{name}: {found['why']}"}


def read_rows() -> dict[str, dict[str, Any]]:
    """Return the newest result of every row."""
    if not ROWS.is_file():
        return {}
    lines = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    return {line["row"]: line for line in lines}


def write_table(done: dict[str, dict[str, Any]]) -> None:
    """Write the table, method x network, with the reasons beneath."""
    rows = list(all_rows())
    counts = {status: sum(line["status"] == status for line in done.values()) for status in STATES}
    missing = sum(row.name not in done for row in rows)
    lines = [
        "# Every reduction with every family of networks",
        "",
        "Made by `make contract` (`benchmarks/contract.py`), random weights, input 96 x 128 (PAN 160 x 192), "
        f"{', '.join(f'{name} {version}' for name, version in versions().items() if name in SHOWN)}.",
        "",
        "*ok*: reduced, saved, loaded in a new process with identical outputs, exported, and OpenVINO and ONNX Runtime "
        "agree with torch (int8, and precisions of ENet: both run the file).",
        "",
        f"{counts['ok']} ok, {counts['not applicable']} not applicable, {counts['FAILED']} failed, "
        f"{missing} of {len(rows)} not run yet.",
    ]
    reasons: list[str] = []
    for title, networks in columns().items():
        heads = [encoder if family == "classifier" else family for family, encoder in networks]
        lines += ["", f"## {title}", ""]
        lines += ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for method in METHODS:
            cells = [cell(done.get(Row(method, *network).name), reasons) for network in networks]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    if reasons:
        lines += ["", "## Reasons", "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


STATES = ("ok", "not applicable", "FAILED")
SHOWN = ("tinysight", "torch", "segmentation-models-pytorch", "timm", "openvino", "onnxruntime", "nncf")


def cell(line: dict[str, Any] | None, reasons: list[str]) -> str:
    """Return one cell; a reason is kept once and pointed at by its number."""
    if line is None:
        return "not run yet"
    if line["status"] == "ok":
        return "ok"
    if line["why"] not in reasons:
        reasons.append(line["why"])
    return f"{line['status']} ({reasons.index(line['why']) + 1})"


def run_all(only: str, minutes: float | None, limits: Limits) -> int:
    """Do every row that is not done yet; return the number of failures among all."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = list(all_rows())
    fresh = {row.name: row.made_with() for row in rows}
    done = {name: line for name, line in read_rows().items() if line["made_with"] == fresh.get(name)}
    deadline = time.monotonic() + 60 * minutes if minutes else None
    with tempfile.TemporaryDirectory() as work:
        for row in rows:
            if only not in row.name or row.name in done:
                continue
            if deadline and time.monotonic() > deadline:
                break
            done[row.name] = line = do_row(row, Path(work), limits)
            with ROWS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(f"{line['status']:15} {row.name} ({line['seconds']} s) {line.get('why', '')}", flush=True)
            write_table(done)
    write_table(done)
    return sum(line["status"] == "FAILED" for line in done.values())


def main() -> int:
    """Do every row that is not done yet; an error where any failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="do the rows whose method/family/encoder holds this text")
    parser.add_argument("--minutes", type=float, help="begin no row after this time")
    parser.add_argument("--limit", type=float, default=300, help="seconds for each process of a row")
    args = parser.parse_args()
    return 1 if run_all(args.only, args.minutes, Limits(args.limit, MEMORY, THREADS)) else 0


if __name__ == "__main__":
    sys.exit(main())
