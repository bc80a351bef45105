"""Kills ``tinysight reduce`` at 20 random points, resumes it by the same command, and writes down what it saw.

Run by test_killed.py as ``python killing.py RECIPE FOLDER``, in a process of its own: torch is imported once, and every
attempt is a fork of this process, made before torch has started any thread. The forked command reports each file it is
about to write, rename or remove, and waits; the killer lets it go on, kills it there, or kills it a moment later.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

KILLS = 20
PR_SET_CHILD_SUBREAPER = 36
DRAFT = re.compile(r"(^|/)\.([^/]+?)\.\d+(?=[./]|$)")
"""A draft's name: hidden, and with the number of the process that writes it."""
WRITING = os.O_WRONLY | os.O_RDWR


def warm_up() -> None:
    """Import what every attempt needs, and export once: the exporter's first use takes seconds."""
    import torch
    from tqdm import tqdm

    import tinysight.verbs  # noqa: F401 - what the command line loads
    from tinysight.engines.export import export_onnx
    from tinysight.engines.quiet import import_nncf, import_openvino

    import_openvino()
    import_nncf()
    torch.set_num_threads(1)
    tqdm.monitor_interval = 0  # it would start a thread
    with tempfile.TemporaryDirectory() as scratch:
        export_onnx(torch.nn.Conv2d(3, 2, 1), torch.zeros(1, 3, 8, 8), Path(scratch) / "warm.onnx")
    assert len(os.listdir("/proc/self/task")) == 1, "threads do not survive a fork"


def audited(out: Path, tell: Callable[[str], None]) -> Callable[[str, tuple[object, ...]], None]:
    """Make an audit hook that tells of every change under ``out``, by paths that do not depend on process ids."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            path = arguments[0]
        elif event == "os.rename":
            path = arguments[1]
        elif event == "os.remove":
            path = arguments[0]
        else:
            return
        text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        if isinstance(text, str) and text.startswith(f"{out}/"):
            tell(event + " " + DRAFT.sub(r"\1\2", text[len(str(out)) + 1 :]))

    return hook


def command(recipe: Path, out: Path, log: Path, events: int, go_on: int) -> None:
    """The forked process: the command line, as the console script calls it."""

    def tell(event: str) -> None:
        os.write(events, f"{event}\n".encode())
        os.read(go_on, 1)

    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.addaudithook(audited(out, tell))
    sys.argv = ["tinysight", "reduce", str(recipe), "--out", str(out)]
    from tinysight.cli import main

    main()


def attempt(recipe: Path, out: Path, stop_at: Callable[[str], float | None]) -> tuple[list[str], int]:
    """Run the command once.

    Args:
        recipe: what to reduce.
        out: the run's folder.
        stop_at: told of each event, returns the seconds after which the command is killed, or None to let it go on.

    Returns:
        The events, and the process's status.
    """
    events, told = os.pipe()
    waits, go_on = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.close(events)
            os.close(go_on)
            command(recipe, out, out.with_suffix(".log"), told, waits)
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        finally:
            os._exit(code)
    os.close(told)
    os.close(waits)
    seen: list[str] = []
    kill_at: float | None = None
    rest = b""
    while True:
        left = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        ready = select.select([events], [], [], left)[0]
        if not ready:
            break
        received = os.read(events, 65536)
        if not received:
            break
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            seen.append(line.decode())
            delay = stop_at(seen[-1])
            if delay is not None and (kill_at is None or delay == 0):
                kill_at = time.monotonic() + delay
            if delay == 0:
                break
            os.write(go_on, b".")
        if kill_at is not None and kill_at <= time.monotonic():
            break
    if kill_at is not None:
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    os.close(events)
    os.close(go_on)
    return seen, status


def reap(seconds: float = 15.0) -> None:
    """Wait until every process the killed command had started has ended by itself; orphans come to us."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.05)
        except ChildProcessError:
            return
    raise AssertionError("measuring processes outlive the command that started them")


def visible(out: Path) -> list[Path]:
    """The files of a run; drafts, whose names begin with a dot, are no files of it yet."""
    return [p for p in out.rglob("*") if p.is_file() and not any(x.startswith(".") for x in p.relative_to(out).parts)]


def parse_all(out: Path) -> None:
    """Read every file whose format tells a whole from a part."""
    import numpy as np
    import onnx
    import torch
    from safetensors.torch import load_file

    readers: dict[str, Callable[[Path], object]] = {
        ".json": lambda path: json.loads(path.read_text()),
        ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
        ".npz": lambda path: dict(np.load(path)),
        ".onnx": lambda path: onnx.checker.check_model(onnx.load(path)),
        ".safetensors": load_file,
        ".pt": lambda path: torch.load(path, weights_only=True),
        ".html": lambda path: path.read_text().rstrip().endswith("</html>") or fail(path),
    }
    for path in visible(out):
        if path.suffix in readers:
            readers[path.suffix](path)


def fail(path: Path) -> None:
    raise AssertionError(f"{path} is not whole")


def finished(out: Path) -> dict[str, tuple[int, bytes]]:
    """The records of finished candidates, with their times of writing."""
    return {p.parent.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.glob("candidates/*/record.json")}


def epochs_kept(out: Path) -> dict[str, int]:
    """By training, the epochs its state has."""
    import torch

    states = out.glob("training/*/training.pt")
    return {str(path.relative_to(out)): torch.load(path, weights_only=True)["epoch"] for path in states}


def killed(recipe: Path, out: Path, order: dict[str, int], generator: random.Random) -> list[str]:
    """Kill 20 attempts at ever later points; returns where."""
    targets = sorted(generator.sample(range(len(order)), KILLS))
    places = []
    end = len(order) - 6  # a fast machine must not finish within the delay

    def stopper(target: int, delay: float) -> Callable[[str], float | None]:
        def stop_at(event: str) -> float | None:
            place = order.get(event, -1)
            return None if place < target else 0.0 if place >= end else delay

        return stop_at

    for number, target in enumerate(targets):
        # Half of them at the very moment, with the file not yet moved into place; half in the work that follows.
        delay = 0.0 if number % 2 or target > 0.7 * len(order) else generator.uniform(0.05, 0.6)
        before, kept = finished(out), epochs_kept(out)
        seen, status = attempt(recipe, out, stopper(target, delay))
        reap()
        assert os.WIFSIGNALED(status), f"attempt {number} ended before it was killed: {status}"
        check(out, seen, before, kept)
        places.append(f"{seen[-1]} + {delay:.2f} s")
    return places


def check(out: Path, seen: list[str], before: dict[str, tuple[int, bytes]], kept: dict[str, int]) -> None:
    """Hold what must be true after every attempt."""
    parse_all(out)
    assert before.items() <= finished(out).items(), "a finished record changed"
    touched = [event for event in seen if re.search(r" candidates/([0-9a-f]+)", event)]
    again = [event for event in touched if event.split(" candidates/")[1].split("/")[0] in before]
    assert not again, f"finished candidates are made again: {again}"
    for state, epochs in kept.items():
        trained = seen.count(f"os.rename {state}")
        assert epochs + trained <= 2, f"{state} had {epochs} epochs, and {trained} more were trained"


def main(recipe: Path, folder: Path) -> None:
    """Make an uninterrupted run and a killed one, in ``whole`` and ``killed`` under ``folder``."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    warm_up()
    seen, status = attempt(recipe, folder / "whole", lambda _event: None)
    assert status == 0, (folder / "whole.log").read_text()
    order = {event: number for number, event in enumerate(dict.fromkeys(seen))}
    places = killed(recipe, folder / "killed", order, random.Random(0))
    before, kept = finished(folder / "killed"), epochs_kept(folder / "killed")
    seen, status = attempt(recipe, folder / "killed", lambda _event: None)
    assert status == 0, (folder / "killed.log").read_text()
    check(folder / "killed", seen, before, kept)
    reap()
    (folder / "places.json").write_text(json.dumps(places, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
