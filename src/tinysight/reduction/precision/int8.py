"""int8 by post-training calibration: NNCF chooses the scales, our record keeps them, our writer writes them."""

from __future__ import annotations

import contextlib
import io
import logging
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tinysight.data.sample import spread
from tinysight.reduction.step import Context, NotApplicable, PrecisionReduction

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Int8"]

COMPARISONS = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]
"""What they compare stays exact: rounded, it costs the answer, and no engine computes them in integers."""


class Int8(PrecisionReduction):
    """Quantize weights and activations to 8 bits, calibrated on ``images`` training images; labels are not used.

    ``preset`` ``performance`` quantizes activations symmetrically, ``mixed`` asymmetrically, which fits activations
    other than ReLU better. What the calibration leaves in float is stored in 8 bits as well, and computed in float.
    """

    name: ClassVar[str] = "int8"
    version: ClassVar[int] = 2

    images: int = Field(128, ge=1)
    preset: Literal["performance", "mixed"] = "mixed"

    def reduce(self, network: Network, context: Context) -> Network:
        """Calibrate on the clean float export and record every scale."""
        import onnx

        from tinysight.reduction.precision.leftover import store_leftover_weights
        from tinysight.reduction.precision.reading import read_quantized

        exported = onnx.load(context.float_export(network))
        quantized = self._calibrate(exported, network, context)
        record = read_quantized(quantized, exported)
        if not record.tensors:
            raise NotApplicable("the calibration found no layer to quantize")
        record = store_leftover_weights(record, exported)
        return network.with_step(self.step(record.model_dump(mode="json")))

    def _calibrate(self, exported: Any, network: Network, context: Context) -> Any:
        from tinysight.engines.quiet import import_nncf

        nncf = import_nncf()
        nncf.set_log_level(logging.ERROR)
        samples = spread(context.train, self.images)
        name = exported.graph.input[0].name
        images = (network.input.apply(sample.read()[0], number) for number, sample in enumerate(samples))
        context.progress.say(f"calibrating int8 on {len(samples)} training images")
        calibration = nncf.Dataset([{name: image} for image in images])
        preset = {"performance": nncf.QuantizationPreset.PERFORMANCE, "mixed": nncf.QuantizationPreset.MIXED}[
            self.preset
        ]
        with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars of its own
            return nncf.quantize(
                exported, calibration, subset_size=len(samples), preset=preset, advanced_parameters=_per_tensor(nncf),
                ignored_scope=nncf.IgnoredScope(types=COMPARISONS, validate=False),
            )  # fmt: skip


def _per_tensor(nncf: Any) -> Any:
    """Keep activations per tensor: ONNX Runtime cannot run the scales per channel that NNCF gives depthwise inputs."""
    parameters = nncf.quantization.advanced_parameters
    return parameters.AdvancedQuantizationParameters(
        activations_quantization_params=parameters.QuantizationParameters(per_channel=False)
    )
