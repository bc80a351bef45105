"""What a training will see: some samples as they are, and beside each the views that augmentation makes of it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from tinysight.data import InputPolicy, Sample
from tinysight.data.images import visible
from tinysight.data.palette import captioned
from tinysight.data.paper import GAP, HEADING, INK, MARGIN, QUIET, SMALL, blank, font, shortened
from tinysight.data.sample import spread
from tinysight.tasks import Task
from tinysight.training.batches import Batch, Batches
from tinysight.training.settings import Training

__all__ = ["augmentation_preview"]

SAMPLES, VIEWS = 6, 5
# Pixels.
SIDE, HEAD, CAPTION, MIXED_NAME = 196, 84, 24, 84


def augmentation_preview(
    samples: Sequence[Sample], policy: InputPolicy, task: Task, settings: Training, seed: int
) -> NDArray[np.uint8]:
    """Draw a few training samples, evenly chosen, each at the network's size and in views as the training makes them.

    The views are batches of the training's own making, so mixed pictures show with whom they are mixed: the next of the
    samples. Equal seeds give equal pictures. Without anything random the samples stand alone.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        UserError: a sample cannot be read, or its label is invalid.
    """
    chosen = spread(samples, SAMPLES)
    batches = Batches(chosen, policy, task, augment=settings.augment, mix=settings.mix)
    columns = [next(batches.plain(len(chosen)))]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        numbers = range(len(chosen))
        columns += [batches.batch(numbers) for _ in range(VIEWS if batches.random else 0)]
    titles = ["at the network's size", *["as trained on"] * (len(columns) - 1)]
    pictures = [[_drawn(batch, row, policy, task) for batch in columns] for row in numbers]
    return _page(pictures, [sample.name for sample in chosen], titles, _said(policy, settings, batches.random))


def _said(policy: InputPolicy, settings: Training, random: bool) -> str:
    """Say what the views were made with."""
    size = f"{policy.width} x {policy.height}, {policy.mode}"
    if not random:
        return f"{size}; no augmentation"
    augment = "mirror, crop, colour" if settings.augment else "no augmentation"
    if settings.augment == "randaugment":
        augment += ", randaugment"
    if policy.normalised_by == "caller":
        augment = "no augmentation"
    return f"{size}; {augment}" + (f"; {settings.mix}" if settings.mix != "none" else "")


def _drawn(batch: Batch, row: int, policy: InputPolicy, task: Task) -> NDArray[np.uint8]:
    """Return one image of a batch with its target drawn over it, as large as a cell."""
    picture = _picture(batch.images[row], policy)
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    target = batch.targets[row].numpy()
    if target.dtype.kind == "f":
        return captioned(small, _mixed_name(target, task))
    if target.ndim:
        target = cv2.resize(target.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return task.draw(small, target)


def _picture(image: Tensor, policy: InputPolicy) -> NDArray[np.uint8]:
    """Take the normalisation back, or stretch what came normalised."""
    if policy.normalised_by == "caller":
        return visible(image.numpy())
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (policy.mean, policy.std))
    pixels = np.round((image.numpy() * std + mean) * 255).clip(0, 255)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0).astype(np.uint8))


def _mixed_name(shares: NDArray[np.float32], task: Task) -> str:
    """Name the classes of a mixed picture with their shares, the larger first."""
    ordered = [int(label) for label in np.argsort(-shares, kind="stable") if shares[label] > 0]
    names = {label: shortened(task.classes[label], MIXED_NAME) for label in ordered}
    return " + ".join(f"{names[label]} {100 * shares[label]:.0f} %" for label in ordered) or "no class"


def _page(
    rows: Sequence[Sequence[NDArray[np.uint8]]], names: Sequence[str], titles: Sequence[str], said: str
) -> NDArray[np.uint8]:
    """Set the pictures in a grid: a row for each sample with its name, a column for each view."""
    height, width = (max(picture.shape[axis] for row in rows for picture in row) for axis in (0, 1))
    across = max(len(titles) * (width + GAP) - GAP, 3 * SIDE)
    page = blank(2 * MARGIN + across, HEAD + len(rows) * (height + CAPTION + GAP) + GAP)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), "What the training sees", INK, font(HEADING), anchor="lm")
    draw.text((page.width - MARGIN, MARGIN + 2), said, QUIET, font(SMALL), anchor="rm")
    for column, title in enumerate(titles[:2]):
        draw.text((MARGIN + column * (width + GAP), HEAD - 14), title, QUIET, font(SMALL), anchor="lm")
    for number, row in enumerate(rows):
        top = HEAD + number * (height + CAPTION + GAP)
        for column, picture in enumerate(row):
            page.paste(Image.fromarray(picture), (MARGIN + column * (width + GAP), top))
        name = shortened(names[number], page.width - 2 * MARGIN)
        draw.text((MARGIN, top + height + 6), name, INK, font(SMALL), anchor="la")
    return np.asarray(page)
