"""The model card: what the bundle is, how to run it, what was measured and under which conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from tinysight.engines.bundle import Bundle
from tinysight.report.snippet import snippet
from tinysight.report.text import bytes_text, count_text, counted, latency_text, points_text, speedup_text
from tinysight.runs.records import CandidateRecord

__all__ = ["model_card", "slow_elsewhere"]

FEW = 0.5
"""Of the layers that the run's engine computes in integers: an engine with no more gains little."""


def model_card(bundle: Bundle, record: CandidateRecord) -> str:
    """Return the card as Markdown."""
    parts = (_what(bundle, record), _numbers(record), list(_proof(bundle, record)), _versions(bundle))
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _what(bundle: Bundle, record: CandidateRecord) -> list[str]:
    size = bundle.input
    methods = [name for name, _ in groupby(step["method"] for step in bundle.lineage.get("steps", []))]
    steps = " → ".join(methods) or "none: this is the reference"
    prepared = (
        f"{size.described}, normalised by mean {size.mean} and std {size.std} of RGB/255"
        if size.normalised_by == "tinysight"
        else f"float arrays that arrive normalised by your own code, channels first, {size.described}"
    )
    return [
        f"# {bundle.task} of {', '.join(bundle.classes)}",
        "",
        f"Candidate `{record.id}`, verdict **{record.verdict}**. Reductions: {steps}.",
        f"Network: `{bundle.lineage.get('spec', {}).get('builder')}` {bundle.lineage.get('spec', {}).get('args')}.",
        f"Input: {prepared}. Weights stored as {bundle.stored}; {_executed(bundle, record)}.{_remarked(record)}",
        "",
        "```",
        "tinysight predict . photo.jpg",
        "```",
        "",
        "or, in your own program:",
        "",
        "```python",
        snippet(size, bundle.make_task()),
        "```",
    ]


def _executed(bundle: Bundle, record: CandidateRecord) -> str:
    """Say what the engine computes in, as it told itself, and in what the layers are computed that are left."""
    if record.precision is None or not record.precision.integer_share:
        return f"computed in {bundle.execute}"
    return f"the engine runs {record.precision.sentence}, and what is left in {bundle.execute}"


def _remarked(record: CandidateRecord) -> str:
    """Return what the last method says of what it made."""
    return f" Said by {record.steps[-1]['method']}: {record.remark}." if record.steps and record.remark else ""


def _numbers(record: CandidateRecord) -> list[str]:
    lines = ["## Measured on these files", "", "| what | value | conditions |", "|---|---|---|"]
    if record.quality:
        q = record.quality
        interval = f"{q.split} split, 95 % interval {100 * q.low:.2f}–{100 * q.high:.2f}"
        lines.append(f"| {q.metric} | {100 * q.value:.2f} | {interval} |")
    if record.drop:
        interval = f"{points_text(record.drop.low)} to {points_text(record.drop.high)}"
        spread = f"points lost against the reference (below 0: gained), 95 % interval {interval}"
        lines.append(f"| drop | {points_text(record.drop.points)} | {spread} |")
    if record.bytes:
        files = ", ".join(f"{name} {bytes_text(size)}" for name, size in record.bytes.files.items())
        lines.append(f"| file | {bytes_text(record.bytes.total)} | {files}; {record.bytes.engine} loads these |")
    for name, latency in (("latency", record.latency_ms), ("end to end", record.e2e_ms)):
        if latency:
            apart = "end to end" if name == "latency" else "latency"
            threads = counted(latency.threads, "thread")
            where = f"{latency.engine} {latency.engine_version}, {threads}, batch 1, {latency.cpu}"
            lines.append(
                f"| {name} | {latency_text(latency)} ms (p90 {latency.p90:.2f}) | median of {latency.runs} runs, timed "
                f"apart from {apart}, {where} |"
            )
    faster_than = {
        "compiled reference": record.speedup,
        "eager PyTorch reference": record.speedup_eager,
        "compiled reference, end to end": record.speedup_e2e,
    }
    for name, faster in faster_than.items():
        if faster:
            lines.append(
                f"| times faster than the {name} | {speedup_text(faster)} | in turn with it, round by round, 5–95 % |"
            )
    lines.append(f"| multiply-accumulates | {count_text(record.macs)} | one image |")
    lines.append(f"| peak memory | {record.peak_rss_mb or 0:.0f} MiB | whole engine process |")
    return lines


def slow_elsewhere(record: CandidateRecord, agreement: Mapping[str, Any]) -> list[str]:
    """Say which engines compute far fewer layers in integers than the one that the file was rounded for."""
    layers = agreement.get("layers", {})
    own = record.latency_ms.engine if record.latency_ms else ""
    most, _ = layers.get(own, (0, 0))
    return [
        f"This file is rounded for {own}: {name} computes {found} of {count} layers in integers and gains little; "
        f"engine: {name} in the recipe rounds for that one."
        for name, (found, count) in layers.items()
        if most and found <= FEW * most
    ]


def _proof(bundle: Bundle, record: CandidateRecord) -> Iterator[str]:
    """Yield what the engines made of the same photos; rounding, and what engines differ by, are told apart."""
    proof = bundle.agreement or {}
    if not proof:
        return
    ran = f"; torch ran {proof['torch']}" if proof["torch"] else ""
    yield from (f"## The file on every engine ({counted(proof['photos'], 'photo')}{ran})", "")
    yield from ("| engine | metric | layers in integers |", "|---|---|---|")
    layers = proof.get("layers", {})
    for name, metrics in proof["metric"].items():
        metric = ", ".join(f"{key} {100 * value:.2f}" for key, value in metrics.items())
        yield f"| {name} | {metric} | {'{} of {}'.format(*layers[name]) if name in layers else '–'} |"
    yield ""
    rounding = [pair for pair in proof["max_difference"] if "torch" in pair and bundle.stored != "float32"]
    between = [pair for pair in proof["max_difference"] if pair not in rounding]
    for said, pairs in (("between engines", between), ("by rounding, against float32", rounding)):
        if pairs:
            listed = ", ".join(f"{pair}: {proof['max_difference'][pair]:.2g}" for pair in pairs)
            yield f"Largest difference of raw scores (range ±{proof['score_range']:.3g}) {said}: {listed}."
    yield from slow_elsewhere(record, proof)


def _versions(bundle: Bundle) -> list[str]:
    listed = ", ".join(f"{name} {version}" for name, version in bundle.versions.items())
    licences = ", ".join(f"{name}: {licence}" for name, licence in bundle.licences.items())
    return [f"Made with {listed}.", "", f"Licences: {licences}."]
