"""The measuring process: one network on one engine, asked over standard input, one JSON line a question.

Started fresh for every candidate, so that memory is its own and no library of another network is in the way. It imports
no torch.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tinysight.data.source import open_data
from tinysight.engines.bundle import compile_bundle
from tinysight.errors import UserError
from tinysight.measure.latency import time_calls
from tinysight.measure.memory import peak_rss_mb
from tinysight.measure.quality import evaluate, predict_one

__all__ = ["Served", "serve"]


class Served:
    """Answers questions about one compiled network."""

    def __init__(self, job: dict[str, Any]) -> None:
        bundle, self._network, self._version = compile_bundle(Path(job["artifact"]), job["engine"], job["threads"])
        self._policy, self._task = bundle.input, bundle.make_task()
        self._images = np.random.default_rng(0).standard_normal(self._policy.shape).astype(np.float32)

    def describe(self) -> dict[str, Any]:
        """Run once; return the output shape, what is executed, and memory before any data is read."""
        shape = self._network(self._images).shape
        refused = self._task.refuse_output(shape)
        return {
            "engine_version": self._version,
            "refused": refused,
            "peak_rss_mb": peak_rss_mb(),
            "torch": "torch" in sys.modules,
            **self._network.executed(),
        }

    def count(self, data: str, split: str) -> dict[str, Any]:
        """Count the samples of a split."""
        return {"images": len(open_data(Path(data)).split(split))}

    def latency(self, runs: int, warm_up: int) -> dict[str, Any]:
        """Time the network alone."""
        return {"ms": time_calls(lambda: self._network(self._images), runs, warm_up)}

    def end_to_end(self, data: str, split: str, runs: int, warm_up: int) -> dict[str, Any]:
        """Time a decoded photo's whole way: fit, normalise, infer, back to the photo's size, decide."""
        image, _ = open_data(Path(data)).split(split)[0].read()
        return {"ms": time_calls(lambda: predict_one(self._network, self._policy, self._task, image), runs, warm_up)}

    def quality(self, data: str, split: str, result: str) -> dict[str, Any]:
        """Score a split and write the per-image statistics to ``result``."""
        samples = open_data(Path(data)).split(split)
        per_image = evaluate(self._network, self._policy, self._task, samples, lambda: _answer({"tick": 1}))
        per_image.save(Path(result))
        return {"images": len(samples)}


def serve() -> None:
    """Answer questions until standard input ends: ``{"ask": method, …arguments}``; the first must be ``load``."""
    global _channel
    # Libraries may print; the answers get a channel of their own.
    _channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    served: Served | None = None
    for line in sys.stdin:
        question = json.loads(line)
        ask = question.pop("ask")
        try:
            if ask == "load":
                served = Served(question)
                _answer({"ok": {}})
            else:
                _answer({"ok": getattr(served, ask)(**question)})
        except UserError as error:
            _answer({"error": str(error)})
        except OSError as error:  # a full disk is no fault of the network: it must end the run, not the candidate
            _answer({"os_error": [error.errno, error.strerror, error.filename]})


_channel: Any = None


def _answer(content: dict[str, Any]) -> None:
    _channel.write(json.dumps(content) + "\n")
    _channel.flush()


if __name__ == "__main__":
    serve()
