"""What the methods have in common that train a network rounded as its int8 file will be."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.step import Context, NotApplicable, PrecisionReduction

if TYPE_CHECKING:
    import onnx

    from tinysight.reduction.network import Network
    from tinysight.reduction.onnx_torch.graph import TorchGraph
    from tinysight.reduction.precision.calibration import Images
    from tinysight.reduction.precision.placement import Place
    from tinysight.reduction.precision.ranges import Range
    from tinysight.reduction.precision.record import PrecisionRecord
    from tinysight.reduction.precision.simulation import Simulated
    from tinysight.training.batches import Source
    from tinysight.training.loop import AfterStep
    from tinysight.training.losses import Loss
    from tinysight.training.settings import Training

__all__ = ["Tuning"]


class Tuning(PrecisionReduction):
    """Training of the exported network, rounded where the run's engine profits from it.

    Ranges start as our own calibration by least and largest value finds them on ``images`` training images. The modules
    ``ignored`` stay in float. As for ``int8``, ``reduce_range`` keeps sums of products whole on every processor, and a
    file that drifts further than ``max_drift`` is refused.
    """

    version: ClassVar[int] = 5

    images: int = Field(128, ge=1)
    epochs: int = Field(10, ge=1, le=100_000)
    batch_size: int = Field(8, ge=2)
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    ignored: tuple[str, ...] = ()
    reduce_range: bool = True
    max_drift: float | None = Field(0.7, gt=0)

    @property
    def named_layers(self) -> tuple[str, ...]:
        """The modules that stay in float."""
        return self.ignored

    @property
    def unchecked(self) -> PrecisionReduction:
        """Plain int8 of the same layers, which takes seconds and is as fast."""
        return Int8(ignored=self.ignored, reduce_range=self.reduce_range).unchecked

    def _exported(self, network: Network, context: Context) -> tuple[onnx.ModelProto, TorchGraph]:
        """Return the clean float export, and the same in PyTorch, in which nothing is trained yet."""
        import onnx

        from tinysight.reduction.onnx_torch.graph import TorchGraph
        from tinysight.reduction.precision.placement import refuse_no_layer

        exported = onnx.load(context.float_export(network))
        refuse_no_layer(exported, self.ignored)
        try:
            return exported, TorchGraph(exported).requires_grad_(requires_grad=False).eval()
        except NotImplementedError as missing:
            raise NotApplicable(f"{missing} of the export does not run in PyTorch here: use int8") from missing

    def _ranges(
        self, exported: onnx.ModelProto, graph: TorchGraph, images: Images, context: Context
    ) -> dict[Place, Range | None]:
        """Return where the network is rounded, and the range of every activation there as it starts."""
        from tinysight.reduction.precision.calibration import ranges_at
        from tinysight.reduction.precision.placement import places_for
        from tinysight.reduction.precision.ranges import whole_range

        places = places_for(exported, context.engine, self.ignored, reduce_range=self.reduce_range)
        return ranges_at(graph, places, images, whole_range, context.progress)

    def _fit(
        self,
        network: Simulated,
        batches: Source,
        loss: Loss,
        training: Training,
        context: Context,
        after: AfterStep | None = None,
    ) -> None:
        """Train in place; interrupted, the same call goes on."""
        from tinysight.training.loop import fit

        def after_step(step: int) -> None:
            network.confine()
            if after:
                after(step)

        fit(
            network, batches, loss, training, device=context.device,
            seed=context.seed if self.seed is None else self.seed, folder=context.folder, progress=context.progress,
            what=self.name, after_step=after_step,
        )  # fmt: skip

    def _recorded(
        self, exported: onnx.ModelProto, network: Simulated, images: Images, context: Context
    ) -> tuple[PrecisionRecord, str]:
        """Return the record of what was trained, once it is known not to collapse, and what is known of that.

        Args:
            exported: the clean float export of the trained weights.
            network: what was trained.
            images: the calibration's.
            context: the reduction's.
        """
        from tinysight.reduction.precision.guard import refuse_collapse
        from tinysight.reduction.precision.headroom import with_room_for_biases
        from tinysight.reduction.precision.leftover import store_leftover_weights
        from tinysight.reduction.precision.placement import remarks_on

        record = with_room_for_biases(store_leftover_weights(network.record(), exported, self.ignored), exported)
        remarks = remarks_on(exported, self.ignored, reduce_range=self.reduce_range)
        if self.max_drift is not None:
            found = refuse_collapse(exported, record, images, self.max_drift, context, reduce_range=self.reduce_range)
            remarks.append(found)
        return record, "; ".join(remarks)
