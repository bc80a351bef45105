"""Proof that the engines agree: the same photos through torch, ONNX Runtime and OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from tinysight.data import Sample
from tinysight.data.sample import spread
from tinysight.engines import ENGINES, Compiled
from tinysight.engines.bundle import Bundle
from tinysight.engines.torch import Eager
from tinysight.measure.quality import evaluate
from tinysight.reduction.network import Network

__all__ = ["agreement"]

PHOTOS = 16


def agreement(artifact: Path, network: Network | None, samples: Sequence[Sample], threads: int) -> dict[str, Any]:
    """Compare the scores and the metric of every engine on up to 16 photos.

    Args:
        artifact: the exported folder.
        network: the same network in torch; None where it cannot be rebuilt here (a live network).
        samples: labelled photos.
        threads: for every engine.

    Returns:
        ``photos``; ``metric`` by engine; ``max_difference`` of raw scores by pair of engines; ``score_range``, the
        largest absolute score, to judge the differences by; ``torch``, what torch ran, empty where it did not; and
        ``layers``, by engine how many of its layers run in integers, and all.
    """
    bundle = Bundle.open(artifact)
    engines: dict[str, Compiled] = {}
    for name, engine in ENGINES.items():
        # bf16 is an instruction to the engine; where one lacks it, the same file runs in f32.
        execute = "f32" if engine.refuse(bundle.execute) else bundle.execute
        engines[name] = engine.compile(artifact, threads=threads, execute=execute)
    if network is not None:
        engines["torch"] = Eager(network.scores, threads=threads)
    chosen = spread(samples, PHOTOS)
    inputs = [bundle.input.apply(sample.read()[0], number) for number, sample in enumerate(chosen)]
    scores = {name: np.stack([engine(image)[0] for image in inputs]) for name, engine in engines.items()}
    task = bundle.make_task()
    kept = {
        name: evaluate(engine, bundle.input, task, chosen, lambda: None).statistics for name, engine in engines.items()
    }
    weights = (
        "float32 weights" if bundle.stored == "float32" else f"float32 weights, while the file stores {bundle.stored}"
    )
    executed = {name: engines[name].executed() for name in ENGINES}
    return {
        "photos": len(chosen),
        "metric": {name: {task.metric: task.score(statistics)} for name, statistics in kept.items()},
        "max_difference": {
            f"{a} - {b}": float(np.abs(scores[a] - scores[b]).max()) for a, b in combinations(scores, 2)
        },
        "score_range": float(max(np.abs(values).max() for values in scores.values())),
        "torch": weights if network is not None else "",
        "layers": {name: [found["integer_layers"], found["layers"]] for name, found in executed.items()},
    }
