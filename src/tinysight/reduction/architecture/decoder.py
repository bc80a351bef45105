"""Decoder: the same encoder under a narrower or shallower decoder, or with another output stride."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tinysight.models.settings import LibraryArgs
from tinysight.models.zoo import defaults_of
from tinysight.reduction.step import ArchitectureReduction, NotApplicable

if TYPE_CHECKING:
    from tinysight.models.spec import ModelSpec

__all__ = ["Decoder"]

MULTIPLE = 8
"""Channel counts are rounded to what vector instructions fill."""


class Decoder(ArchitectureReduction):
    """Build a student with a simpler decoder; every weight whose name and shape are still the same is kept.

    ``width`` is the share of the decoder's channels that stays, ``depth`` the number of encoder stages it reads,
    ``output_stride`` the encoder's total stride where the decoder lets it be chosen; a smaller one gives finer scores
    at more multiplications. ``args`` are any further arguments of the decoder's library.
    """

    name: ClassVar[str] = "decoder"
    inherits: ClassVar[bool] = True

    width: float | None = Field(None, gt=0, le=1)
    depth: int | None = Field(None, ge=1, le=5)
    output_stride: int | None = Field(None, ge=4, le=32)
    args: LibraryArgs = Field(default_factory=dict)

    def design(self, spec: ModelSpec, classes: int) -> ModelSpec:
        """Change the decoder's arguments."""
        known = defaults_of(spec.builder)
        if known is None:
            raise NotApplicable(f"{spec.label} was not built by the zoo: its decoder cannot be told apart")
        args = known | {key: value for key, value in spec.args.items() if key in known}
        changed: dict[str, Any] = {}
        if self.depth:
            changed |= {key: value[-self.depth :] for key, value in args.items() if _is_per_stage(key, value)}
            changed["encoder_depth"] = self.depth
        if self.width:
            channels = {key: value for key, value in (args | changed).items() if _counts_channels(key)}
            if not channels:
                raise NotApplicable(f"the channels of {spec.builder} follow from its encoder: choose a lighter encoder")
            changed |= {key: _narrowed(value, self.width) for key, value in channels.items()}
        if self.output_stride:
            if "encoder_output_stride" not in known:
                raise NotApplicable(f"{spec.builder} has no output stride to choose: choose its depth")
            changed["encoder_output_stride"] = self.output_stride
        return spec.model_copy(update={"args": spec.args | changed | self.args})


def _counts_channels(key: str) -> bool:
    return key.endswith("_channels")


def _is_per_stage(key: str, value: Any) -> bool:
    return _counts_channels(key) and isinstance(value, list | tuple)


def _narrowed(channels: Any, width: float) -> Any:
    if isinstance(channels, list | tuple):
        return [_narrowed(count, width) for count in channels]
    return max(MULTIPLE, MULTIPLE * round(channels * width / MULTIPLE))
