"""A finished run as the report finds it.

``run_folder``  a folder with ``plan.json``, ``data.json`` of drawn facades, two candidates with their files and
                statistics (``r``, the tiny network, and ``b``, the same in int8), and both trainings' histories.
                A copy: change it at will.
``run_records`` their records.
``summary``     what ``result.json`` says of it.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tinysight.runs.environment import environment


@pytest.fixture(scope="session")
def whole_run(tiny_artifact, tiny_int8, tiny_data, tmp_path_factory) -> Path:
    from tinysight.data.source import DATA, open_data
    from tinysight.engines.bundle import compile_bundle
    from tinysight.measure.quality import PER_IMAGE, evaluate

    run = tmp_path_factory.mktemp("runs") / "signs"
    shutil.copytree(tiny_artifact, run / "candidates" / "r")
    shutil.copytree(tiny_int8, run / "candidates" / "b")
    shutil.copy(tiny_data, run / DATA)
    samples = open_data(run / DATA).split("val")
    for identity in ("r", "b"):
        bundle, network, _ = compile_bundle(run / "candidates" / identity, "onnxruntime", 2)
        evaluated = evaluate(network, bundle.input, bundle.make_task(), samples, lambda: None)
        evaluated.save(run / "candidates" / identity / PER_IMAGE)
    for folder, losses in {"candidates/r": (0.9, 0.5, 0.4), "training/b": (0.4, 0.3)}.items():
        lines = [json.dumps({"epoch": epoch, "loss": loss}) for epoch, loss in enumerate(losses, 1)]
        (run / folder).mkdir(parents=True, exist_ok=True)
        (run / folder / "history.jsonl").write_text("\n".join(lines))
    (run / "plan.json").write_text(json.dumps({"name": "signs", "data": {"reader": "facades"}}))
    return run


@pytest.fixture
def run_folder(whole_run, tmp_path) -> Path:
    return shutil.copytree(whole_run, tmp_path / "signs")


@pytest.fixture
def run_records(make_record) -> list:
    on_onnxruntime = make_record("r").latency_ms.model_copy(update={"engine": "onnxruntime"})
    return [
        make_record("r", verdict="reference", parent=None, stage="reference", latency_ms=on_onnxruntime),
        make_record("b", verdict="best", parent="r", stage="precision", ratio=3, latency_ms=on_onnxruntime),
    ]


@pytest.fixture
def summary() -> dict[str, Any]:
    return {
        "reference": "r",
        "best": "b",
        "baseline": {"checkpoint_bytes": 50_000, "live_weight_bytes": 25_000, "eager_latency_ms": 20.0},
        "cautions": [],
        "broken_limits": [],
        "test": {
            "images": 60,
            "reference": {"value": 0.81},
            "best": {"value": 0.79},
            "drop": {"points": 2.0, "low": 1.0, "high": 3.0, "p_within": 0.1},
            "verdict": "unacceptable",
            "why": "loses 2.00 points",
        },
        "floor": {"split": "val", "unit": "image", "units": 80, "certifiable_drop": 0.4},
        "metric_definition": "",
        "mac_counter": "a counter",
        "data": {"train": 240, "val": 80, "test": 60, "digest": "abc"},
        "environment": environment(),
    }
