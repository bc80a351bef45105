"""int8 by post-training calibration: NNCF or our own estimates choose the scales, our record keeps them."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tinysight.data.sample import spread
from tinysight.reduction.naming import is_inside
from tinysight.reduction.step import Context, NotApplicable, PrecisionReduction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tinysight.reduction.network import Network
    from tinysight.reduction.precision.calibration import Images
    from tinysight.reduction.precision.record import PrecisionRecord

    Calibrate = Callable[[Collection[str]], PrecisionRecord]
    """Rounds an export, but for the layers that are ignored, by name."""

__all__ = ["Int8"]


FEW = 8
"""Images that calibrate where only the speed is asked for."""
CORRECTED = 32
"""Images whose mean errors are taken out of biases: a mean over channels needs no more."""


class Int8(PrecisionReduction):
    """Quantize weights and activations to 8 bits, calibrated on ``images`` training images, without their labels.

    ``ranges`` says who finds the ranges of activations: ``nncf``, or our own calibration by ``min_max``,
    ``percentile`` (99.99 %), ``mse`` or ``entropy``, which rounds where the run's engine profits from it; ``auto`` is
    ``mse``, and ``nncf`` where the export holds an operator that our calibration cannot run.
    ``preset`` ``performance`` makes these ranges symmetric, ``mixed`` takes them as they are, which fits activations
    other than ReLU better. ``correct_biases`` takes the mean error of each layer out of its bias. The modules
    ``ignored``, by path, stay in float with all layers inside; weights that calibration itself passes over do not, as
    they cost no time but bytes.

    x86 processors without VNNI add two products in 16 bits, and cut off what does not fit, in every engine.
    ``reduce_range`` gives weights 7 bits, but for those of depthwise layers, so that everything fits on every
    processor. Without it they take all 8: for processors that have VNNI, or are ARM's.

    ``within``, in points of the task's metric on the calibration images (their labels are used then), puts the layers
    that hurt most back to float, as few as it takes until no more than that is lost. A file whose
    scores drift more than ``max_drift`` of their own spread from the float network's is refused; None refuses none.
    """

    name: ClassVar[str] = "int8"
    version: ClassVar[int] = 7

    images: int = Field(128, ge=1)
    preset: Literal["performance", "mixed"] = "mixed"
    ranges: Literal["auto", "nncf", "min_max", "percentile", "mse", "entropy"] = "auto"
    correct_biases: bool = True
    reduce_range: bool = True
    ignored: tuple[str, ...] = ()
    within: float | None = Field(None, ge=0, le=100)
    max_drift: float | None = Field(0.7, gt=0)

    @property
    def named_layers(self) -> tuple[str, ...]:
        """The modules that stay in float."""
        return self.ignored

    @property
    def unchecked(self) -> Int8:
        """The same layers in integers, from a few images and without a look at quality."""
        fewer = {"images": min(self.images, FEW), "correct_biases": False, "within": None, "max_drift": None}
        return self.model_copy(update=fewer)

    def reduce(self, network: Network, context: Context) -> Network:
        """Calibrate on the clean float export and record every scale."""
        import onnx

        from tinysight.reduction.precision.guard import refuse_collapse
        from tinysight.reduction.precision.placement import refuse_no_layer, remarks_on
        from tinysight.reduction.precision.trial import CalibrationImages

        exported = onnx.load(context.float_export(network))
        refuse_no_layer(exported, self.ignored)
        images = CalibrationImages(network, spread(context.train, self.images))
        calibrate = self._calibration(exported, images, context)
        record = calibrate(self.ignored)
        remarks = remarks_on(exported, self.ignored, reduce_range=self.reduce_range)
        if self.within is not None:
            record, said = self._within(exported, record, calibrate, network, images, context)
            remarks.append(said)
        if self.max_drift is not None:
            found = refuse_collapse(exported, record, images, self.max_drift, context, reduce_range=self.reduce_range)
            remarks.append(found)
        return network.with_step(self.step(record.model_dump(mode="json"), remark="; ".join(remarks)))

    def _calibration(self, exported: Any, images: Images, context: Context) -> Calibrate:
        """Return what rounds ``exported`` but for ignored layers: by NNCF, or by ranges that are looked for once."""
        from tinysight.reduction.precision.headroom import with_room_for_biases
        from tinysight.reduction.precision.leftover import store_leftover_weights

        own = None if self.ranges == "nncf" else self._own_calibration(exported, images, context)

        def calibrate(ignored: Collection[str]) -> PrecisionRecord:
            record = own(ignored) if own else self._by_nncf(exported, images, ignored, context)
            return with_room_for_biases(store_leftover_weights(record, exported, ignored), exported)

        return calibrate

    def _by_nncf(self, exported: Any, images: Images, ignored: Collection[str], context: Context) -> PrecisionRecord:
        from tinysight.reduction.precision.nncf import calibrated_by_nncf

        context.progress.say(f"calibrating int8 on {len(images)} training images by NNCF")
        return calibrated_by_nncf(
            exported, images, ignored, symmetric=self.preset == "performance", correct_biases=self.correct_biases,
            reduce_range=self.reduce_range,
        )  # fmt: skip

    def _own_calibration(self, exported: Any, images: Images, context: Context) -> Calibrate | None:
        """Return our own calibration; None where it cannot run the export and NNCF may stand in.

        Raises:
            NotApplicable: it cannot, and was asked for by name.
        """
        from tinysight.reduction.onnx_torch.graph import TorchGraph
        from tinysight.reduction.precision.calibration import calibrated, corrected_biases, ranges_at
        from tinysight.reduction.precision.placement import places_for
        from tinysight.reduction.precision.ranges import ESTIMATES

        try:
            graph = TorchGraph(exported).eval()
        except NotImplementedError as missing:
            if self.ranges == "auto":
                return None
            raise NotApplicable(f"{missing} of the export does not run in PyTorch here: use ranges: nncf") from missing
        estimate = ESTIMATES["mse" if self.ranges == "auto" else self.ranges]
        places_but = partial(places_for, exported, context.engine, reduce_range=self.reduce_range)
        found = ranges_at(graph, places_but(self.ignored), images, estimate, context.progress)
        ranges = {
            place.tensor: each and (each.symmetric if self.preset == "performance" else each)
            for place, each in found.items()
        }

        def calibrate(ignored: Collection[str]) -> PrecisionRecord:
            places = [place for place in places_but(ignored) if place.tensor in ranges]
            network = calibrated(graph, {place: ranges[place.tensor] for place in places})
            record = network.record()
            if not self.correct_biases:
                return record
            biases = corrected_biases(network, exported, spread(images, CORRECTED), context.progress)
            return record.model_copy(update={"biases": biases})

        return calibrate

    def _within(
        self,
        exported: Any,
        record: PrecisionRecord,
        calibrate: Calibrate,
        network: Network,
        images: Images,
        context: Context,
    ) -> tuple[PrecisionRecord, str]:
        """Put layers back to float, those that hurt most first, until the loss of quality is small enough; name them.

        Raises:
            NotApplicable: no number of them is enough, or which layers hurt cannot be told.
        """
        from tinysight.reduction.precision.fallback import Trial, fewest_in_float
        from tinysight.reduction.precision.record import PrecisionRecord
        from tinysight.reduction.precision.trial import compiled, quality

        assert self.within is not None, "asked for"
        started = time.monotonic()
        samples = spread(context.train, self.images)

        def score(each: PrecisionRecord) -> float:
            return 100 * quality(network, compiled(exported, each, context.folder / "trial", context), samples, context)

        exact = score(PrecisionRecord())

        def attempt(back: Sequence[str]) -> Trial:
            made = calibrate((*self.ignored, *back)) if back else record
            return Trial(back, made, exact - score(made))

        found = fewest_in_float(lambda: self._worst_first(exported, record, images, context), attempt, self.within)
        back = ", ".join(found.in_float)
        if found.loss > self.within:
            raise NotApplicable(
                f"within: int8 loses {found.loss:.2f} points of {exact:.2f} on {len(samples)} training images at the "
                f"least, with {back or 'no layer'} in float: allow more, or train with qat"
            )
        said = f"back in float: {back}" if back else "no layer had to go back to float"
        context.progress.say(
            f"int8 within {self.within:g} points on {len(samples)} training images ({exact - found.loss:.2f} of "
            f"{exact:.2f} in float): {said}; took {time.monotonic() - started:.0f} s"
        )
        return found.record, said

    def _worst_first(self, exported: Any, record: PrecisionRecord, images: Images, context: Context) -> list[str]:
        """Return the layers that round, the one whose rounding alone moves the scores most first."""
        from tinysight.reduction.precision.blame import ASKED, Blame

        try:
            drifts = Blame(exported, record, spread(images, ASKED)).layers(context.progress)
        except NotImplementedError as missing:
            raise NotApplicable(
                f"within: {missing} does not run in PyTorch here, so no layer can be told apart: name ignored layers "
                "instead"
            ) from missing
        return sorted((name for name in drifts if not is_inside(name, self.ignored)), key=lambda name: -drifts[name])
