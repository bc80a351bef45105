"""FAT: trained thresholds. The ends of every range are trained towards the float scores, no weight and no label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tinysight.data.sample import spread
from tinysight.data.unlabeled import photos_digest, unlabeled_samples
from tinysight.reduction.precision.tuning import Tuning
from tinysight.reduction.step import Context
from tinysight.training.settings import Training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from tinysight.data import Sample
    from tinysight.reduction.network import Network
    from tinysight.reduction.onnx_torch.graph import TorchGraph
    from tinysight.reduction.precision.placement import Place
    from tinysight.reduction.precision.quantizers.base import Quantizer
    from tinysight.reduction.precision.ranges import Range
    from tinysight.training.batches import Batch
    from tinysight.training.losses import Loss

__all__ = ["Fat", "score_distance"]


class Fat(Tuning):
    """Train the thresholds of quantization on images without labels, weights frozen (Goncharenko et al. 2019).

    The loss is the distance of the rounded network's scores from the float network's. Adam's rate falls by a cosine,
    which begins anew every 400 steps. Instead of the training images a folder of photos, ``unlabeled``, may be used;
    validation and test images among them are left out.
    """

    name: ClassVar[str] = "fat"

    learning_rate: float = Field(1e-3, gt=0, le=1)
    unlabeled: Path | None = None

    @property
    def outside(self) -> str:
        """The content of the unlabeled photos."""
        return photos_digest(self.unlabeled) if self.unlabeled else ""

    def reduce(self, network: Network, context: Context) -> Network:
        """Train and record every threshold."""
        from tinysight.reduction.precision.simulation import Simulated
        from tinysight.reduction.precision.trial import CalibrationImages
        from tinysight.training.batches import Batches

        samples = self._samples(context)
        images = CalibrationImages(network, spread(samples, self.images))
        exported, graph = self._exported(network, context)
        ranges = self._ranges(exported, graph, images, context)
        rounded = Simulated(graph, [(place, _thresholds(place, found, graph)) for place, found in ranges.items()])
        training = Training(
            epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate, weight_decay=0,
            optimizer="adam", schedule="restarts",
        )  # fmt: skip
        batches = Batches(samples, network.input, context.task, augment=False)
        self._fit(rounded, batches, _towards(graph), training, context)
        record, said = self._recorded(exported, rounded, images, context)
        learned = f"ranges learned from {len(samples):,} {'unlabeled photos' if self.unlabeled else 'training images'}"
        remark = f"{learned}; {said}" if said else learned
        return network.with_step(self.step(record.model_dump(mode="json"), remark=remark))

    def _samples(self, context: Context) -> Sequence[Sample]:
        if not self.unlabeled:
            return context.train
        return unlabeled_samples(self.unlabeled, context.task.blank_target, context.held_out())


def score_distance(rounded: Tensor, exact: Tensor) -> Tensor:
    """Return the mean over images of the sum of ``sqrt((z_q - z_f)² + 1e-5)`` over all scores (batch, classes, …)."""
    return ((rounded - exact) ** 2 + 1e-5).sqrt().flatten(1).sum(1).mean()


def _towards(graph: TorchGraph) -> Loss:
    import torch

    def loss(batch: Batch, scores: Tensor) -> Tensor:
        with torch.no_grad():
            exact = graph(batch.images)
        return score_distance(scores, exact)

    return loss


def _thresholds(place: Place, found: Range | None, graph: TorchGraph) -> Quantizer:
    from tinysight.reduction.precision.quantizers.thresholds import ActivationThresholds, WeightThresholds

    if found is not None:
        return ActivationThresholds(found)
    assert place.axis is not None, "weights have a scale for each channel"
    return WeightThresholds(graph.parameter_named(place.tensor), place.axis, place.largest)
