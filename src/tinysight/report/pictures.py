"""Photos side by side: truth, reference and reduced, as the exported files predict them on the run's engine."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tinysight.data import Sample
from tinysight.data.images import visible
from tinysight.data.sample import Array
from tinysight.data.source import DATA, open_data
from tinysight.engines.bundle import compile_bundle
from tinysight.errors import UserError
from tinysight.files import write_atomically
from tinysight.measure.quality import PerImage, predict_one
from tinysight.runs.records import CandidateRecord
from tinysight.tasks import Task

__all__ = ["Gallery", "Panel", "Row", "choose_photos", "galleries", "write_samples"]

SAMPLES = "samples"
KINDS = ("typical", "lost", "worst", "worst_before")
TYPICAL, WORST = 6, 4
LONGEST_SIDE, JPEG_QUALITY = 320, 84
# Pixels and RGB of the sample pictures.
GAP, CAPTION, TEXT = 10, 26, 15
PAPER, INK = (255, 255, 255), (28, 32, 38)

Predict = Callable[[Array, tuple[int, ...]], Array]
"""(image, the target's shape) -> prediction."""


@dataclass(frozen=True)
class Panel:
    """One picture of a row, uint8 RGB; a prediction's ``score`` is the task's metric on this image alone, in [0, 1]."""

    name: str
    picture: NDArray[np.uint8]
    score: float | None = None

    def uri(self) -> str:
        """Return the picture as a ``data:`` URI."""
        return "data:image/jpeg;base64," + base64.b64encode(_jpeg(self.picture)).decode("ascii")


@dataclass(frozen=True)
class Row:
    """One photo: itself, its truth, and what each network makes of it.

    ``hatched`` says that part of it does not count, ``stretched`` that its owner normalised it, so that its colours are
    not its own.
    """

    name: str
    panels: tuple[Panel, ...]
    hatched: bool
    stretched: bool


@dataclass(frozen=True)
class Gallery:
    """Photos shown for one reason."""

    kind: str
    rows: tuple[Row, ...]


def choose_photos(task: Task, reference: PerImage, reduced: PerImage | None) -> dict[str, list[int]]:
    """Choose positions of photos by the task's score of each: what was ``lost``, the ``worst``, and ``typical`` ones.

    ``lost`` are those on which the reduced network falls most behind the reference, ``worst`` those on which the
    network that ships scores least, ``worst_before`` those on which the reference does, ``typical`` lie around the
    middle of the former's scores. An image on which nothing counts is never chosen.
    """
    before, scores = (task.image_scores(network.statistics) for network in (reference, reduced or reference))
    counts = np.flatnonzero(~np.isnan(scores))
    chosen: dict[str, list[int]] = {}
    if reduced:
        loss = before - scores
        falling = counts[np.argsort(-loss[counts], kind="stable")]
        chosen["lost"] = [int(index) for index in falling[:WORST] if loss[index] > 0]
        chosen["worst_before"] = _rising(before, counts)[: _few(counts)]
    ranked = _rising(scores, counts)
    chosen["worst"] = ranked[: _few(counts)]
    shown = {index for kind in chosen.values() for index in kind}
    middle = [index for index in ranked[round(0.3 * len(ranked)) : round(0.8 * len(ranked))] if index not in shown]
    chosen["typical"] = [middle[place * len(middle) // TYPICAL] for place in range(TYPICAL)] if middle else []
    return {kind: list(dict.fromkeys(chosen[kind])) for kind in KINDS if chosen.get(kind)}


def _rising(scores: NDArray[np.float64], counts: NDArray[np.int64]) -> list[int]:
    """Return the positions that count, the least score first."""
    ranked: list[int] = counts[np.argsort(scores[counts], kind="stable")].tolist()
    return ranked


def _few(counts: NDArray[np.int64]) -> int:
    return min(WORST, len(counts) // 2)


def galleries(
    run: Path, task: Task, networks: Sequence[tuple[str, CandidateRecord]], chosen: dict[str, list[int]],
    names: Sequence[str],
) -> list[Gallery]:  # fmt: skip
    """Predict and draw the chosen photos of the validation split.

    Args:
        run: the run's folder.
        task: draws and scores.
        networks: name and record of each network, in the order of the pictures.
        chosen: positions in ``names``, by the reason they are shown for.
        names: of the validation images.

    Raises:
        UserError: the photos or the exported files are gone or damaged.
    """
    samples = {sample.name: sample for sample in open_data(run / DATA).split("val")}
    predictors = [(name, _predictor(run, record)) for name, record in networks]
    if missing := [names[index] for kind in chosen.values() for index in kind if names[index] not in samples]:
        raise UserError(f"the photo '{missing[0]}' is no longer among the validation images of {run / DATA}")
    positions = dict.fromkeys(index for kind in chosen.values() for index in kind)
    rows = {index: _row(task, samples[names[index]], predictors) for index in positions}
    return [Gallery(kind, tuple(rows[index] for index in indices)) for kind, indices in chosen.items()]


def write_samples(run: Path, shown: Sequence[Gallery]) -> None:
    """Write each row as one picture into ``samples``, and take away what an earlier report left there."""
    folder = run / SAMPLES
    wanted = {
        f"{gallery.kind}_{number}_{_file_name(row.name)}.jpg": row
        for gallery in shown
        for number, row in enumerate(gallery.rows, 1)
    }
    for old in folder.glob("*.jpg"):
        if old.name not in wanted and re.match(r"[a-z_]+_\d+_", old.name):
            old.unlink()
    for name, row in wanted.items():
        _store(folder / name, _jpeg(_side_by_side(row)))


def _predictor(run: Path, record: CandidateRecord) -> Predict:
    assert record.artifact
    assert record.latency_ms
    conditions = record.latency_ms
    bundle, network, _ = compile_bundle(run / record.artifact, conditions.engine, conditions.threads)
    task = bundle.make_task()
    return lambda image, size: predict_one(network, bundle.input, task, image, size)


def _row(task: Task, sample: Sample, predictors: Sequence[tuple[str, Predict]]) -> Row:
    image, target = sample.read()
    photo = _scaled(visible(image))
    panels = [Panel("photo", photo), Panel("truth", task.draw(photo, target))]
    for name, predict in predictors:
        prediction = predict(image, target.shape[:2])
        score = float(task.image_scores(task.statistic(prediction, target)[None])[0])
        panels.append(Panel(name, task.draw(photo, prediction), score))
    return Row(sample.name, tuple(panels), bool((target == task.ignore_index).any()), image.dtype != np.uint8)


def _scaled(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink a picture whose longer side is longer than ``LONGEST_SIDE``; small ones stay as they are."""
    height, width = picture.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    # Colours at full resolution: outlines are one or two pixels wide.
    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return content.getvalue()


def _store(path: Path, content: bytes) -> None:
    write_atomically(path, lambda draft: draft.write_bytes(content))


def _side_by_side(row: Row) -> NDArray[np.uint8]:
    height, width = row.panels[0].picture.shape[:2]
    font = ImageFont.load_default(TEXT)
    captions = [panel.name if panel.score is None else f"{panel.name}  {100 * panel.score:.1f}" for panel in row.panels]
    # Small photos stand apart as far as their captions are wide.
    column = GAP + max(width, *(math.ceil(font.getlength(caption)) for caption in captions))
    paper = Image.new("RGB", (len(captions) * column - GAP, height + CAPTION), PAPER)
    draw = ImageDraw.Draw(paper)
    for number, (panel, caption) in enumerate(zip(row.panels, captions, strict=True)):
        paper.paste(Image.fromarray(panel.picture), (number * column, CAPTION))
        draw.text((number * column, CAPTION // 2), caption, INK, font, anchor="lm")
    return np.asarray(paper, np.uint8)


def _file_name(name: str) -> str:
    stem = re.sub(r"\.(jpe?g|png|webp|bmp|tiff?)$", "", name.rpartition("/")[2], flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9.-]+", "-", stem)[-60:].strip(".-") or "photo"
