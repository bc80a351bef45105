"""Which layers a precision hurts: each is rounded alone, and the network's output is compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch

from tinysight.progress import Progress
from tinysight.reduction.onnx_torch.graph import TorchGraph
from tinysight.reduction.precision.calibration import Images
from tinysight.reduction.precision.placement import layers_of
from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.precision.simulation import simulated
from tinysight.reduction.precision.trial import drift

__all__ = ["ASKED", "layer_drifts", "worst"]

ASKED = 4
"""Images on which every layer is asked; each runs the network once for every layer."""


def layer_drifts(
    exported: onnx.ModelProto, record: PrecisionRecord, images: Images, progress: Progress
) -> dict[str, float]:
    """Return by layer the drift of the scores where that layer alone reads rounded inputs and weights.

    Args:
        exported: the clean float export.
        record: what rounds it, whoever made it.
        images: what to look at; every layer runs the whole network once for each.
        progress: told of every layer.

    Raises:
        NotImplementedError: the file holds an operator that cannot be run in PyTorch.
    """
    graph = TorchGraph(exported).eval()
    batch = torch.from_numpy(np.concatenate(list(images)))
    layers = layers_of(exported)
    with torch.no_grad(), progress.track("asking every layer", len(layers)) as tick:
        exact = graph(batch).numpy()
        found = {}
        for layer in layers:
            alone = simulated(graph, record, only=[layer.node])
            if alone.places:
                found[layer.name] = drift(exact, alone(batch).numpy())
            tick(1)
    return found


def worst(drifts: Mapping[str, float], count: int) -> str:
    """Name the ``count`` layers that hurt most, with their drifts."""
    order = sorted(drifts, key=lambda name: -drifts[name])[:count]
    return ", ".join(f"{name} ({drifts[name]:.2g})" for name in order)
