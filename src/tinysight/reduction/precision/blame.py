"""Which layers a precision hurts: each is rounded alone, and the network's output is compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

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

__all__ = ["ASKED", "Blame", "worst"]

ASKED = 4
"""Images on which every layer is asked; each runs the network once for every layer."""


class Blame:
    """How far parts of a network, each rounded alone, move its scores; corrected biases stay as they were.

    Args:
        exported: the clean float export.
        record: what rounds it, whoever made it.
        images: what to look at; every part runs the whole network once for each.

    Raises:
        NotImplementedError: the file holds an operator that cannot be run in PyTorch.
    """

    def __init__(self, exported: onnx.ModelProto, record: PrecisionRecord, images: Images) -> None:
        self._graph, self._record = TorchGraph(exported).eval(), record
        self._batch = torch.from_numpy(np.concatenate(list(images)))
        with torch.no_grad():
            self._exact = self._graph(self._batch).numpy()
        self._nodes: dict[str, list[str]] = defaultdict(list)
        for layer in layers_of(exported):
            self._nodes[layer.name].append(layer.node)

    def layers(self, progress: Progress) -> dict[str, float]:
        """Return by layer the drift of the scores where it alone reads rounded inputs and weights."""
        found = {}
        with progress.track("asking every layer", len(self._nodes)) as tick:
            for name, nodes in self._nodes.items():
                drifted = self._drift(nodes)
                if drifted is not None:
                    found[name] = drifted
                tick(1)
        return found

    @property
    def between(self) -> float | None:
        """The drift where only what is no layer rounds: sums, poolings, concatenations; None where nothing of it does.

        NNCF rounds there; our own placement does where the engine profits from it.
        """
        layers = {node for nodes in self._nodes.values() for node in nodes}
        readers = {reader for readers in self._graph.readers.values() for reader in readers}
        return self._drift(readers - layers)

    @property
    def together(self) -> float:
        """The drift where everything rounds."""
        return self._drift(None) or 0.0

    def _drift(self, nodes: Iterable[str] | None) -> float | None:
        rounded = simulated(self._graph, self._record, only=nodes)
        if not rounded.places:
            return None
        with torch.no_grad():
            return drift(self._exact, rounded(self._batch).numpy())


def worst(drifts: Mapping[str, float], count: int) -> str:
    """Name the ``count`` layers that hurt most, with their drifts."""
    order = sorted(drifts, key=lambda name: -drifts[name])[:count]
    return ", ".join(f"{name} ({drifts[name]:.2g})" for name in order)
