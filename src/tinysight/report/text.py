"""Numbers as people read them; the same in terminal, page and card."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tinysight.measure.records import Latency, Speedup
from tinysight.reduction.table import METHODS
from tinysight.runs.records import CandidateRecord

__all__ = [
    "COLUMNS",
    "VERDICTS",
    "Unit",
    "bytes_text",
    "change_text",
    "common_unit",
    "count_text",
    "counted",
    "duration_text",
    "is_storage_only",
    "latency_text",
    "ms_text",
    "paired_e2e_ms",
    "paired_ms",
    "points_text",
    "rate_text",
    "reasons",
    "row",
    "shortened",
    "signed",
    "speedup_text",
    "titles",
]

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
    "trained",
)

VERDICTS = {
    "reference": "what everything is held against",
    "best": "the choice",
    "acceptable": "holds the floor",
    "undecided": "the validation split is too small to tell",
    "unacceptable": "loses too much, or exceeds a limit",
    "failed": "could not be made or measured",
    "skipped": "has nothing to do on this network or machine",
    "not_run": "not made or not trained, for the reason it gives",
}
"""What each verdict means, in words."""


class Unit(NamedTuple):
    """A unit for a whole column, so that its decimals stand under each other."""

    prefix: str
    size: float
    decimals: int

    def text(self, value: float | None) -> str:
        """Write ``value`` in this unit, without its name."""
        return "–" if value is None else f"{value / self.size:.{self.decimals}f}"


def titles(metric: str) -> tuple[str, ...]:
    """Return the columns' titles: quality goes by its metric's name."""
    return tuple(metric if name == "quality" else name for name in COLUMNS)


def reasons(record: CandidateRecord) -> str:
    """Say why a candidate has its verdict, what its method took away or says, and what is worth storage alone."""
    said = [record.why, record.summary.sentence if record.summary else "", record.remark]
    if record.steps and record.steps[-1]["kind"] == "precision" and not is_storage_only(record) and record.precision:
        said.append(f"runs in {record.precision.sentence}")
    if record.bytes and is_storage_only(record):
        said.append(f"storage only: {bytes_text(record.bytes.compressed)} when compressed, no engine is faster by it")
    return "; ".join(filter(None, said))


def is_storage_only(record: CandidateRecord) -> bool:
    """Tell whether what its last method did makes a smaller file at most, and nothing faster."""
    method = METHODS.get(record.steps[-1]["method"]) if record.steps else None
    return bool(method and method.storage_only)


def bytes_text(value: float | None) -> str:
    """Bytes in decimal units, three digits."""
    return _scaled(value, ("B", "kB", "MB", "GB"))


def count_text(value: float | None) -> str:
    """Counts with k, M, G."""
    return _scaled(value, ("", "k", "M", "G", "T"))


def counted(count: object, thing: str) -> str:
    """Return ``count`` with the name of what is counted."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def shortened(name: str, longest: int = 48) -> str:
    """Return a name that fits into a picture, its end left out where it is longer."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def common_unit(values: Iterable[float | None]) -> Unit:
    """Return the largest unit in which the smallest of ``values`` still shows two digits."""
    smallest = min((value for value in values if value), default=1.0)
    for unit in (Unit("G", 1e9, 2), Unit("M", 1e6, 2), Unit("k", 1e3, 1)):
        if smallest >= unit.size / 10:
            return unit
    return Unit("", 1.0, 0)


def latency_text(latency: Latency | None) -> str:
    """Median milliseconds."""
    return ms_text(latency.p50 if latency else None)


def speedup_text(speedup: Speedup | None) -> str:
    """How many times faster, with its spread."""
    return f"{speedup.ratio:.2f} ({speedup.low:.2f}–{speedup.high:.2f})" if speedup else "–"


def points_text(value: float | None) -> str:
    """Points with sign: a loss is positive, and what rounds to zero is no gain."""
    return "–" if value is None else f"{round(value, 2) + 0.0:+.2f}"


def signed(value: float, decimals: int = 2) -> str:
    """A number with its sign, typeset; what rounds to zero has none."""
    rounded = f"{abs(value):.{decimals}f}"
    if not float(rounded):
        return rounded
    return f"{'−' if value < 0 else '+'}{rounded}"


def change_text(share: float | None) -> str:
    """What became ``share`` of what it was, as a change in percent."""
    return "–" if share is None else f"{signed(100 * (share - 1), 1)} %"


def duration_text(seconds: float) -> str:
    """Seconds, minutes or hours, as fits."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def rate_text(value: float) -> str:
    """Seconds an epoch, images a second: three digits, never as a power of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 1e-3 else f"{value:.5f}"


def paired_ms(record: CandidateRecord, reference: CandidateRecord | None) -> float | None:
    """Return a candidate's time as all of a run compare: the reference's median, divided by the candidate's ratio.

    Candidates are timed in rounds of their own, minutes or hours apart, and a machine has moods: what compares is each
    one's ratio to the reference, which took turns with it.
    """
    if not (reference and reference.latency_ms and record.speedup):
        return None
    return reference.latency_ms.p50 / record.speedup.ratio


def paired_e2e_ms(record: CandidateRecord, reference: CandidateRecord | None) -> float | None:
    """Return the same for the whole way of a photo; nothing where it did not take turns with the reference's."""
    if not (reference and reference.e2e_ms and record.speedup_e2e):
        return None
    return reference.e2e_ms.p50 / record.speedup_e2e.ratio


def ms_text(value: float | None) -> str:
    """Milliseconds."""
    return "–" if value is None else f"{value:.2f}"


def row(record: CandidateRecord, reference: CandidateRecord | None) -> tuple[str, ...]:
    """Return a record as cells, in the order of ``COLUMNS``."""
    return (
        record.stage,
        record.variant,
        record.verdict,
        f"{100 * record.quality.value:.2f}" if record.quality else "–",
        points_text(record.drop.points if record.drop else None),
        bytes_text(record.bytes.total if record.bytes else None),
        ms_text(paired_ms(record, reference)),
        ms_text(paired_e2e_ms(record, reference)),
        f"{record.speedup.ratio:.2f}" if record.speedup else "–",
        f"{record.speedup_eager.ratio:.1f}" if record.speedup_eager else "–",
        count_text(record.macs),
        count_text(record.params_used),
        duration_text(record.training.learning) if record.training else "–",
    )


def _scaled(value: float | None, units: tuple[str, ...]) -> str:
    if value is None:
        return "–"
    for unit in units[:-1]:
        if abs(value) < 999.5:
            return f"{value:.3g} {unit}".strip()
        value /= 1000
    return f"{value:.3g} {units[-1]}"
