"""The one precision record: which tensors of a clean float export are stored or computed in fewer bits, and how.

Tensor names are those of the export the record was made for; `writer.write` turns the record into a model.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, PlainSerializer, model_validator

from tinysight.config import Config

__all__ = ["PrecisionRecord", "TensorPrecision"]

_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
_COMPUTED = frozenset({"int8", "uint8"})


def _as_float32(values: tuple[float, ...]) -> tuple[float, ...]:
    """Round to float32, so that the record holds exactly what the model file will hold."""
    with np.errstate(over="ignore"):
        rounded = np.asarray(values, dtype=np.float32)
    if not np.isfinite(rounded).all():
        raise ValueError("every value must be a finite float32")
    return tuple(rounded.tolist())


def _shortest(values: tuple[float, ...]) -> tuple[float, ...]:
    """Give the shortest decimals that read back as the same float32: half the size of float64 decimals in JSON."""
    return tuple(float(text) for text in np.asarray(values, dtype=np.float32).astype(str))


Float32s = Annotated[
    tuple[float, ...], AfterValidator(_as_float32), PlainSerializer(_shortest, tuple[float, ...], when_used="json")
]


class TensorPrecision(Config):
    """How one tensor is held: q = round(x / scale) + zero_point for the integers, a plain cast for ``float16``.

    ``scale`` and ``zero_point`` hold one value, or one for each index along ``axis`` (which may be negative, as in
    ONNX); ``zero_point`` None means 0. Levels of ``int8`` beyond ``largest``, on either side, are cut off; None means
    those that 8 bits cannot hold. ``float16`` takes none of the three, ``int16`` no zero point; both are storage
    only. ``consumers`` names the nodes that read the reduced tensor, each by its first output; None means all of them.
    A graph output is never reduced: it always gives the tensor as computed.
    """

    dtype: Literal["int8", "uint8", "int16", "float16"]
    scale: Float32s | None = None
    zero_point: tuple[int, ...] | None = None
    axis: int | None = None
    largest: Annotated[int, Field(ge=1, le=127)] | None = None
    consumers: Annotated[tuple[str, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _fields_agree(self) -> TensorPrecision:
        if self.dtype == "float16":
            if (self.scale, self.zero_point, self.axis) != (None, None, None):
                raise ValueError("float16 is a plain cast: leave scale, zero_point and axis out")
            return self
        if not self.scale or min(self.scale) <= 0:
            raise ValueError(f"{self.dtype} needs a scale, and every scale must be above 0 in float32")
        if self.axis is None and len(self.scale) != 1:
            raise ValueError(f"{len(self.scale)} scales need an axis")
        if self.dtype == "int16" and self.zero_point is not None:
            raise ValueError("int16 is stored around 0: leave zero_point out")
        if self.largest is not None and self.dtype != "int8":
            raise ValueError(f"{self.dtype} takes all its levels: leave largest out")
        if self.zero_point is not None:
            self._check_zero_point(self.zero_point, len(self.scale))
        return self

    def _check_zero_point(self, zero_point: tuple[int, ...], count: int) -> None:
        low, high = _RANGES[self.dtype]
        if len(zero_point) != count:
            raise ValueError(f"{len(zero_point)} zero points for {count} scales: give one for each scale")
        if min(zero_point) < low or max(zero_point) > high:
            raise ValueError(f"a zero point of {self.dtype} lies between {low} and {high}")

    @property
    def levels(self) -> tuple[int, int]:
        """The least and the largest level of an integer type."""
        return _RANGES[self.dtype] if self.largest is None else (-self.largest, self.largest)

    @property
    def is_integer(self) -> bool:
        """True for ``int8`` and ``uint8``: an engine may compute with it; False where it is storage only."""
        return self.dtype in _COMPUTED


class PrecisionRecord(Config):
    """Everything a quantizer decided, so that replaying it needs no data.

    ``execute`` is the precision in which the engine runs the float parts; it changes nothing in the model file.
    ``branches`` holds further, different precisions of a tensor in ``tensors`` for other consumers; most records have
    none. ``biases`` holds new float32 values, flattened, of constants that the quantizer corrected.
    """

    execute: Literal["f32", "bf16"] = "f32"
    tensors: dict[str, TensorPrecision] = Field(default_factory=dict)
    branches: dict[str, tuple[TensorPrecision, ...]] = Field(default_factory=dict)
    biases: dict[str, Float32s] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _branches_are_disjoint(self) -> PrecisionRecord:
        for name, others in self.branches.items():
            if name not in self.tensors:
                raise ValueError(f"branches: '{name}' is not in tensors")
            lists = [precision.consumers for precision in (self.tensors[name], *others)]
            consumers = [consumer for one in lists for consumer in one or ()]
            if None in lists or len(set(consumers)) != len(consumers):
                raise ValueError(f"branches: every precision of '{name}' needs its own consumers")
        return self

    def of(self, name: str) -> tuple[TensorPrecision, ...]:
        """Return every precision of tensor ``name``: usually one, none where the record leaves the tensor alone."""
        first = self.tensors.get(name)
        return (first, *self.branches.get(name, ())) if first else ()

    @property
    def stored(self) -> str:
        """The lowest precision the model file uses, in the words of a report: float32, float16, int16 or int8."""
        kinds = {precision.dtype for name in self.tensors for precision in self.of(name)}
        if kinds & _COMPUTED:
            return "int8"
        return min(kinds, default="float32")
