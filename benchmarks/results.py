"""Runs the recipes behind a page of results, or goes on with them, and writes the page from what the runs recorded.

    python benchmarks/results.py facade_ads [--out runs/results]
    python benchmarks/results.py facade_sweep      # begins with the reference of facade_ads
    python benchmarks/results.py camvid
    python benchmarks/results.py unet_plants
    python benchmarks/results.py goods_comparison
    python benchmarks/results.py grocery
    python benchmarks/results.py distillation      # begins with networks of facade_ads, grocery and goods_comparison

Every number on docs/results/NAME.md comes from the runs' own files; what earlier works reached is quoted. Remarks
from docs/results/NAME.notes.md are added at the end.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinysight.files import read_json, write_text
from tinysight.report.curves import sweeps_of
from tinysight.report.headline import headline
from tinysight.report.maps import repeats_of
from tinysight.report.text import bytes_text, duration_text, points_text, reasons, row, titles
from tinysight.runs.folder import RESULT, read_candidates
from tinysight.runs.records import CandidateRecord

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "results"


FIGURES = {
    "results": "quality against time",
    "sweeps": "quality against what was swept over",
    "maps": "quality over two settings at once",
    "seeds": "every setting with the range of its seeds",
    "learning": "how the reference learned",
    "training": "quality against the time of training",
}
"""Pictures that a run may have, and what they show."""


@dataclass(frozen=True)
class Target:
    """What was asked for: at least ``share`` less of something than the reference has."""

    what: str
    share: float


@dataclass(frozen=True)
class Page:
    """A page of results: its runs by name, each a recipe with overrides, the targets, and what others reached.

    ``{RUN.reference}`` and ``{RUN.best}`` in an override stand for networks of a run of another page. ``minutes`` is
    how long a run may take. ``photos`` credits the photos, where their terms allow pictures of them to be published.
    ``compares`` pages are about settings that stand beside each other over several seeds, not about a choice.
    """

    title: str
    about: str
    runs: dict[str, Sequence[str]]
    targets: tuple[Target, ...] = ()
    minutes: float = 0.0
    earlier: str = ""
    photos: str = ""
    compares: bool = False


S1 = """\
The work this repeats (a master's thesis, 2024: 400 facade photos, PSPNet) took one stage after another:

| stage | mIoU | file | time |
|---|---|---|---|
| reference | 84.8 % | 102 MB | 0.19 s |
| weight compression, from | 82.7 % | 22 MB | 0.06 s |
| distillation, from | 73.7 % | 4.5 MB | 0.03 s |
| distilled 15, 25, 50, 75, 100 epochs | 68.0, 74.5, 79.3, 84.3, 83.1 % | 4.5 MB | 0.03 s |
| result | 84.3 % (−0.5) | 4.5 MB (−96 %) | 0.03 s (−84 %) |

Its photos and outlines are not these photos and boxes, so the columns of mIoU do not compare; the changes do."""

# A U-Net works on maps as large as the photo, so it is shown fewer pixels and taught for fewer epochs.
UNET = (
    *("model.name=unet", "name=camvid_unet", "input.height=192", "input.width=256", "train.epochs=12"),
    "stages.3.variants.0.distil.epochs=30",
)

FACADES = "model.checkpoint={facade_ads.reference}"

PAGES_BY_NAME = {
    "facade_ads": Page(
        "Advertising on street facades",
        "Photos of street facades, 367 for training and 80 for validation; labels are boxes drawn as masks, not "
        "outlines.",
        {"facade_ads": ["facade_ads.yaml"]},
        targets=(
            Target("file, against the reference's checkpoint as saved", 0.99),
            Target("file, against the reference's live weights", 0.95),
            Target("time, against the reference in eager PyTorch", 0.97),
        ),
        minutes=90,
        earlier=S1,
    ),
    "facade_sweep": Page(
        "How long to teach a student, and whether a teacher helps",
        "One student of the facade photos, taught for different lengths by its teacher and by the labels alone.",
        {"facade_sweep": ["facade_sweep.yaml", FACADES]},
    ),
    "camvid": Page(
        "CamVid: driving video, 11 classes",
        "367 frames for training and 101 for validation, 480 x 360; void pixels are ignored. Validation is one "
        "sequence, so its frames are not independent, and easier than the published test split.",
        {
            "camvid_pspnet": ["camvid.yaml"],
            "camvid_unet": ["camvid.yaml", *UNET],
            "camvid_fcn": ["camvid_fcn.yaml"],
            "camvid_enet": ["camvid_enet.yaml"],
            "camvid_enet_given": ["camvid_enet_given.yaml"],
        },
    ),
    "unet_plants": Page(
        "A U-Net that tells plants from soil",
        "Photos of a peanut field, 480 x 360: 241 for training and 60 for validation. Crop and weeds are both plant.",
        {"unet_plants": ["unet_plants.yaml"]},
        photos="Photos of the peanut data set, CC BY-SA 4.0; the pictures above are under the same terms.",
    ),
    "goods_comparison": Page(
        "Networks, activation functions and optimizers, compared",
        "Drawn goods on shelves, eight classes; every network is trained alike, from random weights.",
        {"goods_comparison": ["goods_comparison.yaml"]},
    ),
    "facade_ladder": Page(
        "Pruning and factorization of a facade network, from one reference",
        "Photos of street facades, 367 for training and 80 for validation; every variant starts from one PSPNet on a "
        "ResNet-18 and, if it needs it, is trained on for as many epochs. L1 and L2 rank single weights alike: they "
        "are one variant.",
        {"facade_ladder": ["facade_ladder.yaml"]},
    ),
    "sparsity_comparison": Page(
        "Which single weights matter",
        "Drawn goods on shelves, eight classes, a ResNet from random weights. Weights are set to zero at once and the "
        "others trained for two epochs, by four ways to choose them; tickets of the lottery stand beside the same "
        "places with weights drawn anew.",
        {"sparsity_comparison": ["sparsity_comparison.yaml"]},
    ),
    "grocery": Page(
        "Goods in shops: a DenseNet teaches a SqueezeNet",
        "Photos of 81 kinds of goods, 2,640 for training and 296 for validation, of 60 kinds.",
        {"grocery": ["grocery.yaml"]},
    ),
    "distillation": Page(
        "What a teacher gives a student",
        "Students beside the same students without a teacher, at equal epochs, three seeds of order and augmentation "
        "each: every lesson on drawn goods, the lessons for masks on street facades, students that begin in three "
        "ways, and a DenseNet that teaches a SqueezeNet.",
        {
            "goods_distillation": [
                "goods_distillation.yaml",
                "model.checkpoint={goods_comparison.reference}",
                "stages.1.variants.9.sweep.distil.teachers=[[{goods_comparison.best}]]",
            ],
            "facade_distillation": ["facade_distillation.yaml", FACADES],
            "facade_students": ["facade_students.yaml", FACADES],
            "grocery_distillation": ["grocery_distillation.yaml", "model.checkpoint={grocery.reference}"],
        },
        compares=True,
    ),
}


@dataclass(frozen=True)
class Run:
    """What a finished run recorded."""

    folder: Path
    records: list[CandidateRecord]
    summary: dict[str, Any]

    @staticmethod
    def open(folder: Path) -> Run:
        """Read a run's files."""
        return Run(folder, read_candidates(folder), read_json(folder / RESULT))

    def record(self, which: str) -> CandidateRecord:
        """Return the ``reference`` or the ``best``."""
        return next(record for record in self.records if record.id == self.summary[which])


def changes(run: Run) -> dict[str, tuple[float, str]]:
    """Return by name how much less the choice takes than the reference, as share and in words."""
    best, baseline = run.record("best"), run.summary["baseline"]
    assert best.bytes
    assert best.speedup_eager
    size, faster = best.bytes.total, best.speedup_eager
    less = {
        "file, against the reference's checkpoint as saved": (1 - size / baseline["checkpoint_bytes"]),
        "file, against the reference's live weights": (1 - size / baseline["live_weight_bytes"]),
        "time, against the reference in eager PyTorch": 1 - 1 / faster.ratio,
    }
    words = {name: f"{100 * share:.2f} % less" for name, share in less.items()}
    words["time, against the reference in eager PyTorch"] += (
        f" ({100 * (1 - 1 / faster.low):.2f}–{100 * (1 - 1 / faster.high):.2f} % over the rounds)"
    )
    return {name: (share, words[name]) for name, share in less.items()}


def target_lines(run: Run, page: Page) -> Iterator[str]:
    """Yield the table of targets: asked, reached, met or missed."""
    best, goal = run.record("best"), run.summary["goal"]
    assert best.drop
    yield from ("| target | asked | reached | |", "|---|---|---|---|")
    held = best.drop.p_within >= goal["confidence"]
    drop = f"{best.drop.points:+.2f} points, P(drop ≤ {goal['max_drop']:g}) = {best.drop.p_within:.2f}"
    yield f"| drop of mIoU on val | ≤ {goal['max_drop']:g} points | {drop} | {_verdict(held)} |"
    for target in page.targets:
        share, words = changes(run)[target.what]
        yield f"| {target.what} | ≥ {100 * target.share:g} % less | {words} | {_verdict(share >= target.share)} |"
    if page.minutes:
        took = duration_text(seconds_of(run))
        met = _verdict(seconds_of(run) <= 60 * page.minutes)
        yield f"| the whole, from nothing | ≤ {page.minutes:g} min | {took} | {met} |"


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def seconds_of(run: Run) -> float:
    """Return how long all candidates took to make and measure, the reference and its training among them."""
    return sum(record.seconds for record in run.records)


def headline_lines(run: Run) -> Iterator[str]:
    """Yield what the choice gained and lost."""
    yield from ("| | reference | reduced | change |", "|---|---|---|---|")
    for axis in headline(run.record("reference"), run.record("best"), run.summary):
        yield "| " + " | ".join(axis) + " |"


def candidate_lines(run: Run) -> Iterator[str]:
    """Yield the whole table, with every reason."""
    reference = run.record("reference")
    assert reference.quality
    heads = [*titles(reference.quality.metric), "from", "reason"]
    names = {record.id: record.variant for record in run.records}
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for record in run.records:
        cells = [*row(record, reference), names.get(record.parent or "", ""), reasons(record)]
        shown = [f"**{cell}**" if record.verdict == "best" and cell else cell for cell in cells]
        yield "| " + " | ".join(cell.replace("|", "/") for cell in shown) + " |"


def sweep_lines(run: Run) -> Iterator[str]:
    """Yield a table of every sweep: a row for each setting, a column for each place of its axis."""
    quality = run.record("reference").quality
    assert quality
    for sweep in sweeps_of(run.records):
        lengths = sorted({epochs for line in sweep.lines for epochs, _ in line.points})
        spread = f": mean and range of up to {sweep.seeds} seeds" if sweep.seeds > 1 else ""
        yield f"{sweep.title}: {quality.metric} on {quality.split}, %, by {sweep.x}{spread}."
        yield ""
        yield "| | " + " | ".join(f"{length:.3g}" for length in lengths) + " |"
        yield "|" + "---|" * (len(lengths) + 1)
        for line in sweep.lines:
            cells = {epochs: f"{mean:.2f}" for epochs, mean in line.points}
            cells |= {epochs: f"{cells[epochs]} ({low:.2f}–{high:.2f})" for epochs, low, high in line.band}
            yield f"| {line.name} | " + " | ".join(cells.get(length, "") for length in lengths) + " |"
        yield ""


def repeat_lines(run: Run) -> Iterator[str]:
    """Yield, for every stage that repeated settings with several seeds, a table of their spread."""
    quality = run.record("reference").quality
    assert quality
    for repeats in repeats_of(run.records):
        yield from (f"{repeats.title}: {quality.metric} on {quality.split}, %, over seeds.", "")
        yield from ("| setting | mean | least | largest | seeds |", "|---|---|---|---|---|")
        for name, spread in repeats.rows:
            yield f"| {name} | {spread.mean:.2f} | {spread.low:.2f} | {spread.high:.2f} | {spread.seeds} |"
        yield ""


def condition_lines(run: Run) -> Iterator[str]:
    """Yield the conditions of every number."""
    reference, summary = run.record("reference"), run.summary
    latency, test, floor = reference.latency_ms, summary["test"], summary["floor"]
    assert latency
    versions = ", ".join(f"{name} {value}" for name, value in summary["environment"]["versions"].items())
    sizes = ", ".join(f"{count} {split}" for split, count in summary["data"].items() if isinstance(count, int))
    engine = f"{latency.engine} {latency.engine_version}"
    yield f"- **Machine:** {latency.cpu}, {latency.threads} threads, {engine}; {versions}."
    yield (
        "- **Times:** one image at a time, candidate and reference in turn; ratios with the 5th to 95th percentile of "
        "the rounds. Milliseconds are the reference's median divided by the candidate's ratio."
    )
    yield (
        f"- **Images:** {sizes}. The val split can certify an observed drop of at most "
        f"{floor['certifiable_drop']:.2f} points at this confidence."
    )
    if summary["best"] != summary["reference"]:
        yield (
            f"- **Test**, set aside from train and looked at once: {test['verdict']}, drop "
            f"{points_text(test['drop']['points'])} (95 % {points_text(test['drop']['low'])} to "
            f"{points_text(test['drop']['high'])}), {test['why']}."
        )
    yield f"- **{reference.quality.metric if reference.quality else ''}:** {summary['metric_definition']}"
    yield f"- **MACs:** {summary['mac_counter']}."
    yield (
        f"- **Time it took:** {duration_text(seconds_of(run))} for making and measuring all candidates, the "
        "reference's training among them; timing the finalists again, the check on test and the report come on top."
    )
    yield from (f"- **Careful:** {caution}" for caution in summary["cautions"])


def write_page(name: str, page: Page, runs: dict[str, Run]) -> Path:
    """Write docs/results/NAME.md with the runs' charts."""
    lines = [f"# {page.title}", "", page.about, "", f"Made by `python benchmarks/results.py {name}`.", ""]
    for label, run in runs.items():
        taught = "Taught by " if page.compares else ""
        lines += [f"## {taught}{run.record('reference').variant} ({page.runs[label][0]})", ""]
        lines += comparison_lines(label, run) if page.compares else choice_lines(page, label, run)
        lines += [*condition_lines(run), ""]
    if page.earlier:
        lines += ["## What came before", "", page.earlier, ""]
    notes = PAGES / f"{name}.notes.md"
    if notes.is_file():
        lines += [notes.read_text(encoding="utf-8").strip(), ""]
    write_text(PAGES / f"{name}.md", "\n".join(lines))
    return PAGES / f"{name}.md"


def comparison_lines(label: str, run: Run) -> Iterator[str]:
    """Yield settings beside each other: their seeds, and maps."""
    reference = run.record("reference").quality
    assert reference
    yield from (f"The teacher scores {100 * reference.value:.2f} % {reference.metric} on {reference.split}.", "")
    yield from repeat_lines(run)
    yield from figure_lines(label, run, ["seeds", "maps"])


def choice_lines(page: Page, label: str, run: Run) -> Iterator[str]:
    """Yield what was chosen and what it gained, then every candidate."""
    best = run.record("best")
    assert best.bytes
    yield from (f"Ships {bytes_text(best.bytes.total)}.", "")
    if page.targets:
        yield from (*target_lines(run, page), "")
    yield from (*headline_lines(run), "")
    yield from figure_lines(label, run, ["results"])
    if (run.folder / "sweeps.png").is_file():
        yield from sweep_lines(run)
    yield from figure_lines(label, run, ["sweeps"])
    yield from repeat_lines(run)
    yield from figure_lines(label, run, ["maps", "seeds", "learning", "training"])
    if page.photos:
        yield from (*photo_lines(label, run), page.photos, "")
    yield from (*candidate_lines(run), "")


def figure_lines(label: str, run: Run, kinds: Sequence[str]) -> Iterator[str]:
    """Copy pictures that the run has, and yield the lines that show them."""
    for kind in kinds:
        if (run.folder / f"{kind}.png").is_file():
            picture = f"{label}.png" if kind == "results" else f"{label}_{kind}.png"
            shutil.copyfile(run.folder / f"{kind}.png", PAGES / picture)
            yield from (f"![{FIGURES[kind]}, {label}]({picture})", "")


def photo_lines(label: str, run: Run) -> Iterator[str]:
    """Copy some of the photos side by side, and yield the lines that show them."""
    kinds = {"typical": "typical photos", "worst": "where the shipped network errs most"}
    for kind, words in kinds.items():
        for source in sorted((run.folder / "samples").glob(f"{kind}_[0-9]_*.jpg"))[:2]:
            picture = f"{label}_{'_'.join(source.stem.split('_')[:2])}.jpg"
            shutil.copyfile(source, PAGES / picture)
            yield from (f"![photo, truth, reference and reduced: {words}]({picture})", "")


def filled(override: str, runs: Path) -> str:
    """Put the folders of other runs' networks for ``{RUN.reference}`` and ``{RUN.best}``."""

    def network(match: re.Match[str]) -> str:
        folder = runs / match["run"]
        if not (folder / RESULT).is_file():
            sys.exit(f"{folder} holds no finished run: run 'python benchmarks/results.py {match['run']}' first")
        return str((folder / "candidates" / str(read_json(folder / RESULT)[match["which"]])).resolve())

    return re.sub(r"\{(?P<run>\w+)\.(?P<which>reference|best)\}", network, override)


def main() -> int:
    """Run or go on with the recipes, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PAGES_BY_NAME)
    parser.add_argument("--out", type=Path, default=Path("runs/results"), help="where the runs lie")
    options = parser.parse_args()
    page = PAGES_BY_NAME[options.name]
    runs = {}
    for label, (recipe, *overrides) in page.runs.items():
        folder = options.out / label
        given = [filled(override, options.out) for override in overrides]
        command = ["reduce", str(ROOT / "recipes" / recipe), *given, "--out", str(folder)]
        subprocess.run([sys.executable, "-m", "tinysight.cli", *command], check=True)
        runs[label] = Run.open(folder)
    print(f"wrote {write_page(options.name, page, runs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
