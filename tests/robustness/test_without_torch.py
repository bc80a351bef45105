"""A device has the runtime alone: the extra's packages are hidden from every process, as if they were not installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tinysight.data.images import write_png

EXTRA = (
    "torch", "torchvision", "timm", "segmentation_models_pytorch", "onnx", "onnxscript", "nncf", "safetensors",
    "jinja2",
)  # fmt: skip

HIDE = """\
import importlib.metadata as _metadata
import sys
_hidden = {hidden!r}
class _Hide:
    # PathFinder finds installed packages; asked first, this answers for the hidden ones that there are none.
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in _hidden:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None
sys.meta_path.insert(0, _Hide())
import importlib.util as _util
_find_spec = _util.find_spec
_util.find_spec = lambda name, package=None: None if name.partition(".")[0] in _hidden else _find_spec(name, package)
_version = _metadata.version
def _visible_version(name):
    if name.replace("-", "_") in _hidden:
        raise _metadata.PackageNotFoundError(name)
    return _version(name)
_metadata.version = _visible_version
"""


@pytest.fixture(scope="module")
def device(demo: Path, tmp_path_factory: pytest.TempPathFactory, offline):
    """A shell without the extra's packages, with a bundle and its data description brought along."""
    shell = type(offline)(tmp_path_factory.mktemp("device"))
    shell.prepare(HIDE.format(hidden=EXTRA))
    (shell.root / "bundle").symlink_to(demo / "best")
    (shell.root / "photos").mkdir()
    write_png(shell.root / "photos" / "a.png", np.zeros((70, 90, 3), np.uint8))
    return shell


def test_measuring_repeats_the_record(device, demo: Path) -> None:
    arguments = ("--data", demo / "data.json", "--threads", 1, "--out", "measured")
    done = device.run("measure", "../bundle", *arguments)
    assert done.returncode == 0, done.stderr
    measured = json.loads((device.cwd / "measured" / "measurement.json").read_text())
    records = [json.loads(line) for line in (demo / "candidates.jsonl").read_text().splitlines()]
    best = next(record for record in records if record["verdict"] == "best")
    assert (measured["quality"], measured["bytes"]) == (best["quality"], best["bytes"])


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_predicting(device, engine: str) -> None:
    done = device.run("predict", "../bundle", "../photos", "--engine", engine, "--threads", 1, "--out", engine)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (device.cwd / engine).iterdir()} == {"a.png", "a.overlay.png"}


def test_checking_data(device) -> None:
    done = device.run("data", "check", "../tiny.yaml", "--out", "checked")
    assert done.returncode == 0, done.stderr
    assert (device.cwd / "checked" / "contact_sheet.png").is_file()


@pytest.mark.parametrize("what", ["models", "reductions", "readers", "engines"])
def test_listing(device, what: str) -> None:
    done = device.run("list", what)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 2


def test_doctor_says_what_is_missing(device) -> None:
    done = device.run("doctor")
    assert done.returncode == 0, done.stderr
    assert "absent" in done.stdout
    assert "tinysight[reduce]" in "".join(done.stdout.split())


@pytest.mark.parametrize(
    "command",
    [("reduce", "../tiny.yaml"), ("train", "../tiny.yaml"), ("demo",), ("resume", "run"), ("export", "run", "best")],
    ids=lambda command: command[0],
)
def test_the_other_verbs_say_what_to_install(device, demo: Path, command: tuple[str, ...]) -> None:
    done = device.run(*(str(demo) if part == "run" else part for part in command))
    assert done.returncode == 2
    assert "torch" in done.stderr
    assert "pip install 'tinysight[reduce]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (device.cwd / "runs").exists()


def test_comparing_says_what_to_install(device, demo: Path) -> None:
    done = device.run("compare", demo)
    assert done.returncode == 2
    assert "this verb needs jinja2: run pip install 'tinysight[reduce]'" in done.stderr
    assert not (device.cwd / "comparison").exists()
