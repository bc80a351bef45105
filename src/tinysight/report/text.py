"""Numbers as people read them; the same in terminal, page and card."""

from __future__ import annotations

from tinysight.measure.records import Latency, Speedup
from tinysight.runs.records import CandidateRecord

__all__ = ["COLUMNS", "bytes_text", "count_text", "latency_text", "points_text", "row", "speedup_text", "titles"]

COLUMNS = (
    "stage",
    "variant",
    "verdict",
    "quality",
    "drop",
    "file",
    "ms",
    "end to end",
    "× engine",
    "× eager",
    "MACs",
    "params",
)


def titles(metric: str) -> tuple[str, ...]:
    """Return the columns' titles: quality goes by its metric's name."""
    return tuple(metric if name == "quality" else name for name in COLUMNS)


def bytes_text(value: float | None) -> str:
    """Bytes in decimal units, three digits."""
    return _scaled(value, ("B", "kB", "MB", "GB"))


def count_text(value: float | None) -> str:
    """Counts with k, M, G."""
    return _scaled(value, ("", "k", "M", "G", "T"))


def latency_text(latency: Latency | None) -> str:
    """Median milliseconds."""
    return f"{latency.p50:.2f}" if latency else "–"


def speedup_text(speedup: Speedup | None) -> str:
    """How many times faster, with its spread."""
    return f"{speedup.ratio:.2f} ({speedup.low:.2f}–{speedup.high:.2f})" if speedup else "–"


def points_text(value: float | None) -> str:
    """Points with sign: a loss is positive."""
    return "–" if value is None else f"{value:+.2f}"


def row(record: CandidateRecord) -> tuple[str, ...]:
    """Return a record as cells, in the order of ``COLUMNS``."""
    return (
        record.stage,
        record.variant,
        record.verdict,
        f"{100 * record.quality.value:.2f}" if record.quality else "–",
        points_text(record.drop.points if record.drop else None),
        bytes_text(record.bytes.total if record.bytes else None),
        latency_text(record.latency_ms),
        latency_text(record.e2e_ms),
        f"{record.speedup.ratio:.2f}" if record.speedup else "–",
        f"{record.speedup_eager.ratio:.1f}" if record.speedup_eager else "–",
        count_text(record.macs),
        count_text(record.params_used),
    )


def _scaled(value: float | None, units: tuple[str, ...]) -> str:
    if value is None:
        return "–"
    for unit in units[:-1]:
        if abs(value) < 999.5:
            return f"{value:.3g} {unit}".strip()
        value /= 1000
    return f"{value:.3g} {units[-1]}"
