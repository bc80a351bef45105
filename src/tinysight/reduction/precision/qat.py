"""QAT: quantization-aware training. The weights learn while they and the activations are rounded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from tinysight.data.sample import spread
from tinysight.errors import some_of
from tinysight.reduction.precision.tuning import Tuning
from tinysight.reduction.step import Context, Step
from tinysight.training.settings import Training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto
    from torch import Tensor

    from tinysight.reduction.network import Network
    from tinysight.reduction.onnx_torch.graph import TorchGraph
    from tinysight.reduction.precision.placement import Place
    from tinysight.reduction.precision.quantizers.base import Quantizer
    from tinysight.reduction.precision.ranges import Range
    from tinysight.reduction.precision.simulation import Simulated
    from tinysight.training.batches import Batch
    from tinysight.training.loop import AfterStep
    from tinysight.training.losses import Loss

__all__ = ["Qat"]

MOMENTUM = 0.99
"""Of the moving averages that ranges are."""
NAMED = 5


class Qat(Tuning):
    """Train on with weights and activations rounded, gradients passing straight through (Jacob et al. 2018).

    What is trained is the exported network: each batch norm is folded into its convolution, with the statistics it
    has. ``steps`` ``moving`` lets the ranges of activations follow the batches, and rounds activations only after the
    first ``delay`` of the training; ``learned`` trains every step between two levels with the weights (LSQ, Esser et
    al. 2020). The loss is (1 - ``soft``) x task loss + ``soft`` x T² x KL of the float network's scores at
    ``temperature`` T. Weights that are zero for good stay zero.
    """

    name: ClassVar[str] = "qat"

    steps: Literal["moving", "learned"] = "moving"
    learning_rate: float = Field(1e-4, gt=0, le=1)
    weight_decay: float = Field(0.0, ge=0)
    delay: float = Field(0.1, ge=0, lt=1)
    soft: float = Field(0.5, ge=0, le=1)
    temperature: float = Field(2.0, ge=0.1, le=100)

    @model_validator(mode="after")
    def _reads_what_is_set(self) -> Qat:
        if self.steps == "learned" and self.differs("delay"):
            raise ValueError("learned steps round from the first batch on: leave delay out, or take moving ones")
        if not self.soft and self.differs("temperature"):
            raise ValueError("soft is 0, so temperature softens nothing: leave it out")
        return self

    def reduce(self, network: Network, context: Context) -> Network:
        """Train; two steps say it: the weights that were learned, and how they are rounded."""
        from tinysight.reduction.precision.simulation import Simulated
        from tinysight.reduction.precision.trial import CalibrationImages
        from tinysight.reduction.precision.write_back import owners_of
        from tinysight.training.batches import Batches

        images = CalibrationImages(network, spread(context.train, self.images))
        exported, graph = self._exported(network, context)
        owners = owners_of(network, exported, graph)
        owners.refuse_unfaithful(graph)
        ranges = self._ranges(exported, graph, images, context)
        rounded = Simulated(graph, [(place, self._quantizer(place, found, graph)) for place, found in ranges.items()])
        batches = Batches(context.train, network.input, context.task, augment=context.augment)
        loss = self._loss(graph, context)
        for weight in owners.trained(graph).values():
            weight.requires_grad = True
        held = list(owners.trained(graph).values()) if network.is_sparse else []
        after = self._after_step(rounded, held, batches.count(self.batch_size))
        self._fit(rounded, batches, loss, self._training, context, after)
        learned = self._learned(owners.written_back(graph), context)
        record, said = self._recorded(self._export(learned, context), rounded, images, context)
        if left := owners.left_alone(graph):
            untaught = f"not trained, as the export shares them or computes with them: {some_of(left, NAMED)}"
            said = f"{untaught}; {said}" if said else untaught
        return learned.with_step(self.step(record.model_dump(mode="json"), remark=said))

    @property
    def _training(self) -> Training:
        return Training(
            epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )  # fmt: skip

    def _quantizer(self, place: Place, found: Range | None, graph: TorchGraph) -> Quantizer:
        import torch

        from tinysight.reduction.precision.calibration import plain_quantizer
        from tinysight.reduction.precision.quantizers.learned_step import LearnedStep

        at_start = plain_quantizer(place, found, MOMENTUM)
        if self.steps == "moving":
            return at_start
        values = graph.parameter_named(place.tensor) if place.kind == "weight" else torch.empty(0)
        return LearnedStep(at_start, values)

    def _loss(self, graph: TorchGraph, context: Context) -> Loss:
        """Return the loss; the float network, as it is now, teaches."""
        import torch

        from tinysight.training.losses import task_loss
        from tinysight.training.soft_targets import soft_targets

        hard = task_loss("cross_entropy", context.task)
        if not self.soft:
            return hard
        teacher = copy.deepcopy(graph).to(context.device)
        taught = soft_targets(hard, labels=1 - self.soft, soft=self.soft, temperature=self.temperature)

        def loss(batch: Batch, scores: Tensor) -> Tensor:
            with torch.no_grad():
                exact = teacher(batch.images)
            return taught(batch._replace(taught=exact), scores)

        return loss

    def _after_step(self, rounded: Simulated, held: Sequence[Tensor], steps: int) -> AfterStep:
        """Return what holds the zeros of weights at zero, and lets activations be rounded once the delay is over."""
        import torch

        from tinysight.reduction.precision.quantizers.moving_range import MovingRange

        begin = min(round(self.delay * self.epochs * steps), self.epochs * steps - 1)
        moving = [each for each in rounded.quantizers if isinstance(each, MovingRange)]
        zeros = [(weight, weight.detach() == 0) for weight in held if weight.ndim > 1]

        def after_step(step: int) -> None:
            for quantizer in moving:
                quantizer.begins = step >= begin
            with torch.no_grad():
                for weight, hole in zeros:
                    weight.masked_fill_(hole.to(weight.device), 0)

        return after_step

    def _learned(self, network: Network, context: Context) -> Network:
        record = self.model_dump(mode="json") | {"images_seen": len(context.train)}
        return network.with_step(Step(kind="weights", method=self.name, version=self.version, record=record))

    @staticmethod
    def _export(network: Network, context: Context) -> ModelProto:
        """Export the learned weights, which are in no file yet."""
        import onnx

        from tinysight.engines.export import export_onnx

        if network.file:
            return network.file.model()
        path = context.folder / "learned.onnx"
        export_onnx(network.scores, network.example(), path)
        return onnx.load(path)
