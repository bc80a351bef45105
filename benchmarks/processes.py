"""Phases of a benchmark in processes of their own, so that whatever one dies of is a row and no more.

Each is forked off a server that has the heavy libraries loaded and nothing else: a new process without their minute of
imports, which remembers nothing of the one before.
"""

from __future__ import annotations

import multiprocessing
import resource
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tinysight.errors import one_line

__all__ = ["Limits", "in_process"]

LAST_SECONDS = 5.0
"""To end in, after the answer."""
Phase = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Limits:
    """What a process may take."""

    seconds: float
    gigabytes: float
    threads: int


def in_process(limits: Limits, phase: Phase, *given: Any) -> dict[str, Any]:
    """Run a phase in a process of its own and return its answer, or ``why`` there is none.

    Args:
        limits: beyond which the process ends.
        phase: a function of a module; ``given`` must be picklable.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *PRELOADED])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, limits, phase, given))
    process.start()
    there.close()
    answered = True
    try:
        answered = here.poll(limits.seconds)
        answer: dict[str, Any] = here.recv() if answered else {"why": f"not finished within {limits.seconds:g} s"}
    except EOFError:
        process.join()
        answer = {"why": f"the process ended with {process.exitcode}, perhaps for more than {limits.gigabytes:g} GB"}
    process.join(LAST_SECONDS if answered else 0)
    process.kill()
    process.join()
    return answer


PRELOADED = ("torchvision", "timm", "segmentation_models_pytorch", "onnx", "onnxscript")


def _answer(pipe: Any, limits: Limits, phase: Phase, given: tuple[Any, ...]) -> None:
    most = int(limits.gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    torch.set_num_threads(limits.threads)
    warnings.simplefilter("ignore")
    try:
        pipe.send(phase(*given))
    except MemoryError:
        pipe.send({"why": f"takes more than {limits.gigabytes:g} GB"})
    except Exception as error:  # whatever a tool or a network raises: that is the result
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        pipe.send({"why": f"{type(error).__name__}: {one_line(error, 200)} ({where})"})
