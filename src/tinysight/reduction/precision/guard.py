"""The guard: an int8 file whose scores have little to do with the float network's is refused, and layers are blamed."""

from __future__ import annotations

import numpy as np
import onnx

from tinysight.data.sample import spread
from tinysight.engines.hardware import processor
from tinysight.errors import UserError
from tinysight.reduction.precision.blame import ASKED, Blame, worst
from tinysight.reduction.precision.calibration import Images
from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.precision.trial import compiled, drift
from tinysight.reduction.step import Context

__all__ = ["refuse_collapse"]

WATCHED = 16
"""Images on which both files run; a collapse needs no more to be seen."""
NAMED = 5
CUT_OFF = (
    "this processor has no VNNI and cuts off sums of products of all 8 bits: take reduce_range: true, or run this on "
    "one like that of the device"
)


def refuse_collapse(
    exported: onnx.ModelProto,
    record: PrecisionRecord,
    images: Images,
    bound: float,
    context: Context,
    *,
    reduce_range: bool,
) -> str:
    """Run the float and the written file on the engine and say how far the scores drift apart.

    Raises:
        UserError: further than ``bound``; the message names the layers that drift most when they alone are rounded, or
            blames a processor that cuts off what weights without ``reduce_range`` add up to.
    """
    watched = spread(images, WATCHED)
    exact, rounded = (_scores(exported, each, watched, context) for each in (PrecisionRecord(), record))
    found = drift(exact, rounded)
    if found <= bound:
        return f"rounding moves scores by {found:.2g} of their own spread"
    cut_off = not reduce_range and not processor().has_int8
    why = CUT_OFF if cut_off else _blamed(exported, record, spread(watched, ASKED), context)
    raise UserError(
        f"rounded to int8 the network drifts too far: on {len(watched)} calibration images its scores by {found:.2g} "
        f"of their own spread (max_drift {bound:g}); {why}"
    )


def _scores(
    exported: onnx.ModelProto, record: PrecisionRecord, images: Images, context: Context
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    run = compiled(exported, record, context.folder / "trial", context)
    return np.concatenate([np.array(run(image)) for image in images])


def _blamed(exported: onnx.ModelProto, record: PrecisionRecord, images: Images, context: Context) -> str:
    try:
        drifts = Blame(exported, record, images).layers(context.progress)
    except NotImplementedError as missing:
        return (
            f"which layers are to blame cannot be told: {missing} does not run in PyTorch here: leave layers in float "
            "with ignored, or take bf16"
        )
    return (
        f"rounded alone, these layers drift most: {worst(drifts, NAMED)}: leave them in float with ignored, round "
        "otherwise (other ranges, fat, qat), or allow a larger max_drift"
    )
