"""What a precision record makes of a network on the engine, before it is anyone's candidate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from tinysight.data import Sample
from tinysight.engines import ENGINES, Compiled
from tinysight.engines.base import MODEL_ONNX
from tinysight.measure.quality import evaluate
from tinysight.reduction.network import Network
from tinysight.reduction.precision.finishing import finish
from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.precision.writer import write
from tinysight.reduction.step import Context

__all__ = ["CalibrationImages", "compiled", "drift", "quality"]


class CalibrationImages(Sequence[NDArray[np.float32]]):
    """Samples as the network reads them, (1, channels, height, width), prepared whenever one is asked for."""

    def __init__(self, network: Network, samples: Sequence[Sample]) -> None:
        self._policy, self._samples = network.input, samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # an image, or a list of them for a slice
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._policy.apply(self._samples[index].read()[0], index)


def compiled(exported: onnx.ModelProto, record: PrecisionRecord, folder: Path, context: Context) -> Compiled:
    """Write ``record`` into ``exported`` as an artifact would hold it, and compile it on the run's engine."""
    folder.mkdir(parents=True, exist_ok=True)
    model = exported
    if record.tensors:
        model = write(exported, record)
        finish(model)
    onnx.save(model, str(folder / MODEL_ONNX))
    return ENGINES[context.engine].compile(folder, threads=context.threads)


def drift(exact: NDArray[np.float32], rounded: NDArray[np.float32]) -> float:
    """Return how far scores (images, classes, …) moved: root mean square error over the exact scores' own spread.

    The spread is each class's over images and places, so that a constant answer counts as 1 or more; of one image
    without places it is that over classes. Where the exact scores hardly vary themselves, a thousandth of their size
    stands in for it.
    """
    alone = exact.size == exact.shape[1]
    axes = tuple(axis for axis in range(exact.ndim) if alone or axis != 1)
    spread = float(np.mean(np.var(exact.astype(np.float64), axis=axes)))
    error = float(np.mean((exact.astype(np.float64) - rounded) ** 2))
    least = 1e-6 * float(np.mean(exact.astype(np.float64) ** 2)) + float(np.finfo(np.float32).tiny)
    return float(np.sqrt(error / max(spread, least)))


def quality(network: Network, engine: Compiled, samples: Sequence[Sample], context: Context) -> float:
    """Return the task's metric, in [0, 1], of a compiled network on labelled samples."""
    per_image = evaluate(engine, network.input, context.task, samples, lambda: None)
    return context.task.score(per_image.statistics)
