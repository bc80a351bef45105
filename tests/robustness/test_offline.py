"""No telemetry, no network, no file outside the folder a verb was given: for every verb, in processes of their own.

Under CI and under pytest some libraries keep quiet of themselves, so their variables are not handed on.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinysight.data.images import write_png

COMMANDS: dict[str, tuple[str, ...]] = {
    "doctor": ("doctor",),
    "list": ("list", "engines"),
    "data check": ("data", "check", "../tiny.yaml", "--out", "made"),
    "train": ("train", "../tiny.yaml", "--out", "made"),
    "reduce": ("reduce", "../tiny.yaml", "--out", "demo"),  # the demo's own recipe: it is found finished
    "resume": ("resume", "demo"),
    "measure": ("measure", "demo/best", "--data", "demo/data.json", "--threads", "1", "--out", "made"),
    "predict": ("predict", "demo/best", "../photos", "--threads", "1", "--out", "made"),
    "export": ("export", "demo", "best", "--threads", "1", "--out", "made"),
}


def test_the_whole_job_stays_in_its_folder(offline, demo: Path) -> None:
    assert (demo / "report.html").is_file()
    assert offline.calls == ""
    offline.require_untouched("demo")


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_stays_in_its_folder(offline, demo: Path, tmp_path: Path, verb: str) -> None:
    (offline.root / "photos").mkdir(exist_ok=True)
    write_png(offline.root / "photos" / "a.png", np.zeros((70, 90, 3), np.uint8))
    command = COMMANDS[verb]
    done = offline.run(*command)
    if (offline.cwd / "made").exists():
        (offline.cwd / "made").rename(tmp_path / "made")  # out of the way of the next verb, whatever follows
    assert done.returncode == 0, done.stderr
    assert offline.calls == ""
    offline.require_untouched("demo")
    if "made" in command:
        assert str(offline.cwd / "made") in done.stdout.splitlines()[-1]
        assert list((tmp_path / "made").iterdir())
    if verb in {"reduce", "resume"}:
        assert done.stdout.splitlines()[-1] == f"report: {demo / 'report.html'}"


def test_the_listener_hears_a_network_call(offline) -> None:
    """Without this, a listener that does not work would pass everything above."""
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    environment = {"PYTHONPATH": str(offline.root / "site")}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).returncode == 1
    log = offline.root / "network.log"
    assert "socket.getaddrinfo" in log.read_text()
    log.write_text("")


@pytest.mark.parametrize("library", ["openvino", "onnxruntime"])
def test_the_shell_would_show_a_library_that_calls_home(offline, tmp_path: Path, library: str) -> None:
    """Imported as they come, both leave traces in the home: what the project's own import prevents."""
    environment = {"PYTHONPATH": str(offline.root / "site"), "HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": ""}
    code = f"import {library}"
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=60)
    heard = offline.calls
    (offline.root / "network.log").write_text("")
    if not heard and not list(tmp_path.rglob("*")):
        pytest.skip(f"this {library} sends nothing")
