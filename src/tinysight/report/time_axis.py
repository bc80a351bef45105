"""The axis of milliseconds in a matplotlib figure, as the page's chart has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinysight.report.scale import LEAST_SPREAD, MANY_TIMES, Scale

__all__ = ["time_axis"]


def time_axis(axes: Any, times: Sequence[float]) -> None:
    """Give ``axes`` its times: by logarithm where they are far apart, with ticks that read as numbers."""
    log = max(times) > MANY_TIMES * min(times)
    span = LEAST_SPREAD * (1 if log else max(times))
    scale = Scale.covering(times, 0.0, 1.0, margin=0.08, span=span, log=log)
    if log:
        axes.set_xscale("log")
    axes.set_xlim(scale.low, scale.high)
    axes.minorticks_off()
    values, texts = zip(*scale.ticks(9), strict=True)
    axes.set_xticks(values, texts)
