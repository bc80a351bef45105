"""Half of the channels of every network that torchvision classifies with, and of many that segment, cut by two tools.

Each tool's smaller network is compared, in float64, with the original that ignores what is gone; then it is written
without pickle and read by a new process, exported, compared on OpenVINO with itself in torch, and timed there in turn
with the original. Every phase has a process of its own, with limits of time and memory; whatever it dies of is a row.

    python benchmarks/shrink_audit.py [--minutes 60] [--only resnet] [--again] [--limit 600] [--memory 14]

Rows are appended to docs/results/shrink_audit.jsonl as they finish, docs/results/shrink_audit.md is written anew after
each; an interrupted run goes on. Needs torch-pruning, which is no dependency: pip install --no-deps torch-pruning.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from processes import Limits, in_process
from shrinkers import SHRINKERS
from torch import Tensor, nn
from zeroed import difference_from_zeroed, mark

from tinysight.config import digest_of
from tinysight.engines import ENGINES
from tinysight.engines.base import MODEL_ONNX
from tinysight.engines.export import export_onnx
from tinysight.engines.hardware import processor
from tinysight.errors import one_line
from tinysight.files import write_text
from tinysight.measure.compute import count_macs
from tinysight.measure.latency import interleave, speedup, time_calls
from tinysight.models.spec import ModelSpec
from tinysight.reduction.structure.prune import Prune
from tinysight.reduction.verify import EXACT, relative_difference, run
from tinysight.runs.environment import versions

RESULTS = Path(__file__).parent.parent / "docs" / "results"
ROWS, TABLE = RESULTS / "shrink_audit.jsonl", RESULTS / "shrink_audit.md"
DECODERS = ("unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "deeplabv3", "deeplabv3plus", "pan", "upernet")
ENCODERS = ("resnet18", "mobilenet_v2", "efficientnet-b0", "tu-regnety_002")
THREADS, ROUNDS = 1, 7
TURN_MS = 50.0
EXPORTED = 1e-3
"""Largest difference of the exported file from torch, as a share of the largest score."""
MATTERS = 1e-3
"""Least difference from the original itself: without one the comparison could not fail."""
DENSE = "dense"


@dataclass(frozen=True)
class Case:
    """A network to cut."""

    name: str
    spec: ModelSpec
    size: int

    def build(self) -> nn.Module:
        """Build it; its weights differ along every axis, and so do its biases and running statistics."""
        torch.manual_seed(0)
        network = self.spec.build(trust=True).eval()
        mark(network)
        return network

    def images(self) -> Tensor:
        """Return two random pictures, the same every time."""
        return torch.randn(2, 3, self.size, self.size, generator=torch.Generator().manual_seed(0))


def cases() -> Iterator[Case]:
    """Yield every network, small sets first."""
    for name in torchvision.models.list_models(module=torchvision.models):
        # The helpers' scores of GoogLeNet and Inception are for training alone.
        args = {"aux_logits": False, "init_weights": False} if name in {"googlenet", "inception_v3"} else {}
        size = 299 if name == "inception_v3" else 224
        yield Case(f"torchvision/{name}", ModelSpec(builder=f"torchvision.models:{name}", args=args), size)
    for decoder in DECODERS:
        for encoder in ENCODERS:
            args = {"encoder": encoder, "classes": 3}
            yield Case(f"{decoder}/{encoder}", ModelSpec(builder=decoder, args=args), 192)


# --- phases, each in a process of its own ---


def export_dense(case: Case, folder: Path) -> dict[str, Any]:
    """Export the original and count what it costs."""
    network, images = case.build(), case.images()[:1]
    return _costs(network, images) | _exported(network, images, folder / DENSE)


def cut(case: Case, folder: Path, tool: str) -> dict[str, Any]:
    """Cut, compare with the original that ignores what is gone, write, export."""
    network, images = case.build(), case.images()
    (folder / tool).mkdir()
    smaller = SHRINKERS[tool].cut(case.spec, network, images, folder / tool).eval()
    found: dict[str, Any] = _costs(smaller, images[:1])
    scores = run(smaller, images)
    np.save(folder / tool / "scores.npy", scores.numpy())
    found["moved"] = relative_difference(run(network, images), scores)
    try:
        found["difference"] = difference_from_zeroed(network, smaller, images)
    except Exception as error:  # a network that is no cut of the original may fail anywhere
        found["incorrect"] = one_line(error, 200)
    del network
    return found | _exported(smaller, images[:1], folder / tool)


def load(case: Case, folder: Path, tool: str) -> dict[str, Any]:
    """Read what was written, and compare its scores with those of the network that was."""
    network = SHRINKERS[tool].load(case.spec, case.images(), folder / tool).eval()
    expected = torch.from_numpy(np.load(folder / tool / "scores.npy"))
    return {"reloads": bool(torch.equal(run(network, case.images()), expected))}


def time_all(case: Case, folder: Path) -> dict[str, Any]:
    """Time the original and the smaller networks on OpenVINO, in turn, and compare these with torch."""
    images = case.images()[:1].numpy()
    files = [path for path in folder.iterdir() if (path / MODEL_ONNX).is_file()]
    compiled = {path.name: ENGINES["openvino"].compile(path, threads=THREADS) for path in files}
    found: dict[str, Any] = {}
    for name, network in compiled.items():
        if name != DENSE:
            expected = np.load(folder / name / "scores.npy")[:1]
            found[name] = {"exported": float(np.abs(network(images) - expected).max() / np.abs(expected).max())}
    timers: dict[str, Callable[[int, int], list[float]]] = {
        name: lambda runs, warm_up, network=network: time_calls(lambda: network(images), runs, warm_up)  # type: ignore[misc]
        for name, network in compiled.items()
    }
    once = min(timers[DENSE](2, 1))
    times = interleave(timers, rounds=ROUNDS, runs=max(2, round(TURN_MS / once)))
    for name in found:
        ratio = speedup(DENSE, times[DENSE], times[name])
        found[name] |= {"times_as_fast": ratio.ratio, "low": ratio.low, "high": ratio.high}
    return found


def _exported(network: nn.Module, images: Tensor, folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    try:
        export_onnx(network, images, folder / MODEL_ONNX)
    except Exception as error:  # whatever the exporter raises
        return {"export": one_line(error, 200)}
    return {"bytes": (folder / MODEL_ONNX).stat().st_size}


def _costs(network: nn.Module, images: Tensor) -> dict[str, Any]:
    return {"macs": count_macs(network, images), "parameters": sum(each.numel() for each in network.parameters())}


# --- in the process that was started ---


def do_case(case: Case, limits: Limits) -> dict[str, Any]:
    """Make one row."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp())
    try:
        found: dict[str, Any] = {DENSE: in_process(limits, export_dense, case, folder)}
        for tool in SHRINKERS:
            found[tool] = in_process(limits, cut, case, folder, tool)
            if "why" not in found[tool]:
                loaded = in_process(limits, load, case, folder, tool)
                found[tool] |= {"reloads": loaded["why"]} if "why" in loaded else loaded
        times = in_process(limits, time_all, case, folder)
        for tool in SHRINKERS:
            found[tool] |= times.get(tool, {})
    finally:
        shutil.rmtree(folder)
    return {"row": case.name, "made_with": made_with(case), "seconds": round(time.monotonic() - started), **found}


def made_with(case: Case) -> str:
    """Identify everything that could change the result."""
    return digest_of(
        [case.name, case.spec.model_dump(mode="json"), case.size, Prune.version, versions(), TORCH_PRUNING]
    )


TORCH_PRUNING = version("torch-pruning")


# --- the table ---


def handled(result: dict[str, Any]) -> bool:
    """Whether something was cut, and the smaller network runs."""
    return "why" not in result


def correct(result: dict[str, Any]) -> bool:
    """Whether the smaller network is the original without what is gone, and what is gone mattered."""
    return handled(result) and result.get("difference", 1.0) <= EXACT and result["moved"] > MATTERS


def whole(result: dict[str, Any]) -> bool:
    """Whether it is correct, comes back from its file as it was, and does on the engine what it does in torch."""
    return correct(result) and result.get("reloads") is True and result.get("exported", 1.0) <= EXPORTED


CHECKS = {"cut": handled, "correct": correct, "correct, reloads, exports equal": whole}


def write_table(done: dict[str, dict[str, Any]]) -> None:
    """Write the page."""
    everything = list(cases())
    known = {name: version for name, version in versions().items() if name in SHOWN} | {"torch-pruning": TORCH_PRUNING}
    lines = [
        "# Half of every layer's channels, cut", "",
        " ".join((__doc__ or "").split("\n\n")[1].split()), "",
        f"Made by `python benchmarks/shrink_audit.py` on {processor().name}, {THREADS} thread; "
        f"{', '.join(f'{name} {number}' for name, number in known.items())}. Random weights; batch norms, biases and "
        f"statistics are random too. *correct*: differs by at most {EXACT:g} of the largest score in float64. "
        f"*exports equal*: by at most {EXPORTED:g} on OpenVINO in float32. Both tools judge channels by L1, and keep "
        f"the last layer. Shares are of the original's; × faster with the 5th to 95th percentile of {ROUNDS} rounds, "
        f"other work beside them.", "",
    ]  # fmt: skip
    for title, prefix in SETS.items():
        inside = [case for case in everything if case.name.startswith("torchvision/") == (prefix == "torchvision/")]
        rows = [done[case.name] for case in inside if case.name in done]
        lines += [
            f"## {title}",
            "",
            f"{len(rows)} of {len(inside)} networks.",
            "",
            *_counts(rows),
            "",
            *_rows(rows),
            "",
        ]
    write_text(TABLE, "\n".join([*lines, *_reasons(done.values())]) + "\n")


SETS = {"torchvision": "torchvision/", "segmentation-models-pytorch": ""}
SHOWN = ("tinysight", "torch", "torchvision", "segmentation-models-pytorch", "timm", "openvino")


def _counts(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| | " + " | ".join(SHRINKERS) + " |"
    yield "|" + "---|" * (1 + len(SHRINKERS))
    for name, check in CHECKS.items():
        yield f"| {name} | " + " | ".join(str(sum(check(row[tool]) for row in rows)) for tool in SHRINKERS) + " |"


def _rows(rows: list[dict[str, Any]]) -> Iterator[str]:
    heads = [f"{tool}: {what}" for tool in SHRINKERS for what in ("verdict", "MACs", "params", "bytes", "× faster")]
    yield "| network | " + " | ".join(heads) + " |"
    yield "|" + "---|" * (1 + len(heads))
    for row in rows:
        cells = [cell for tool in SHRINKERS for cell in _cells(row[DENSE], row[tool])]
        yield f"| {row['row'].removeprefix('torchvision/')} | " + " | ".join(cells) + " |"


def _cells(dense: dict[str, Any], result: dict[str, Any]) -> list[str]:
    if not handled(result):
        return ["fails", "", "", "", ""]
    verdict = "ok" if whole(result) else "not proven" if "incorrect" in result else _fault(result)
    shares = [_share(result.get(what), dense.get(what)) for what in ("macs", "parameters", "bytes")]
    times = (f"{result[name]:.2f}" for name in ("times_as_fast", "low", "high") if name in result)
    faster = "{} ({}–{})".format(*times) if "times_as_fast" in result else ""
    return [verdict, *shares, faster]


def _share(part: int | None, whole: int | None) -> str:
    return f"{part / whole:.2f}" if part and whole else ""


def _fault(result: dict[str, Any]) -> str:
    if not correct(result):
        return "incorrect"
    return "does not reload" if result.get("reloads") is not True else "does not export equal"


def _reasons(rows: Any) -> Iterator[str]:
    yield from ("## Reasons", "")
    for row in rows:
        for tool in SHRINKERS:
            result = row[tool]
            for key in ("why", "incorrect", "export"):
                if key in result:
                    yield f"- {row['row']}, {tool}: {result[key]}"
            if isinstance(result.get("reloads"), str):
                yield f"- {row['row']}, {tool}, reloading: {result['reloads']}"


def read_rows() -> dict[str, dict[str, Any]]:
    """Return the newest result of every row."""
    if not ROWS.is_file():
        return {}
    return {line["row"]: line for line in map(json.loads, ROWS.read_text(encoding="utf-8").splitlines())}


def main() -> int:
    """Do every row that is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="do the rows whose name holds this text")
    parser.add_argument("--again", action="store_true", help="do them although they are done")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no row after this time")
    parser.add_argument("--limit", type=float, default=600, help="seconds for each process of a row")
    parser.add_argument("--memory", type=float, default=14, help="gigabytes for each process of a row")
    args = parser.parse_args()
    fresh = {case.name: made_with(case) for case in cases()}
    done = {name: row for name, row in read_rows().items() if row["made_with"] == fresh.get(name)}
    deadline = time.monotonic() + 60 * args.minutes
    for case in cases():
        if args.only not in case.name or (case.name in done and not args.again):
            continue
        if time.monotonic() > deadline:
            break
        done[case.name] = row = do_case(case, Limits(args.limit, args.memory, THREADS))
        with ROWS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        said = ", ".join(f"{tool} {_cells(row[DENSE], row[tool])[0]}" for tool in SHRINKERS)
        print(f"{case.name}: {said} ({row['seconds']} s)", flush=True)
        write_table(done)
    write_table(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
