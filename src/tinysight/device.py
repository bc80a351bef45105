"""The verbs that run on a device, with the runtime alone: no torch is imported here or below."""

from __future__ import annotations

import glob
import math
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tinysight.data import Dataset
from tinysight.data.check import CheckReport, check
from tinysight.data.convert import convert, lost_by
from tinysight.data.distribution import class_distribution
from tinysight.data.images import IMAGE_SUFFIXES, find_images, is_own_png, read_image, write_png
from tinysight.data.readers import Reader
from tinysight.data.sheet import contact_sheet
from tinysight.data.source import open_data, save_data
from tinysight.data.splits import divided, missing_splits, said_of_made
from tinysight.engines import ENGINES
from tinysight.engines.bundle import Bundle, compile_bundle
from tinysight.engines.hardware import processor
from tinysight.errors import UserError, one_line, printable, unknown_name
from tinysight.files import write_json
from tinysight.measure.candidate import Bench, Measured
from tinysight.measure.quality import PerImage, predict_one
from tinysight.measure.records import PrecisionRead
from tinysight.models.settings import PROGRAM
from tinysight.progress import Progress
from tinysight.recipe import Recipe, load_recipe
from tinysight.report.text import counted
from tinysight.runs.folder import PLAN, next_free
from tinysight.tasks import TASKS, Task
from tinysight.training.settings import Training

__all__ = ["check_data", "convert_data", "measure_bundle", "predict_photos"]

PICTURES = {
    "contact_sheet": "contact sheet",
    "class_distribution": "class distribution",
    "augmentation": "augmentation preview",
}
"""What a check draws: the files' names without suffix, and what they are."""

MOST_OF_A_KIND = 8
"""Problems of one kind that are shown: the ninth says nothing new."""


def measure_bundle(bundle: Path, data: Path, split: str, engine: str, threads: int | None, out: Path | None) -> Path:
    """Measure ``bundle`` on ``split`` of ``data`` and write ``measurement.json``; returns its path.

    Raises:
        UserError: not a bundle, no such split or engine, or data whose classes are not the bundle's.
    """
    described = Bundle.open(bundle)
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    dataset, source = _data(data)
    if dataset.classes != described.classes:
        raise UserError(
            f"the bundle predicts {', '.join(described.classes)}, but {data} has {', '.join(dataset.classes)}: "
            "measure it on data with the same classes"
        )
    dataset.split(split)
    folder = _new_folder(out, "measure")
    if isinstance(source, Reader):
        save_data(folder / "data.json", source, dataset)
        source = folder / "data.json"
    bench = Bench(engine, threads or processor().usable_cores, source.absolute(), Progress())
    measured = bench.measure(bundle.absolute(), split, folder / "per_image.npz", {}, {})
    metrics = described.make_task().metrics(PerImage.load(folder / "per_image.npz").statistics)
    content = _content(measured) | {"metrics": {name: None if math.isnan(v) else v for name, v in metrics.items()}}
    write_json(folder / "measurement.json", content)
    _print(content)
    return (folder / "measurement.json").resolve()


def predict_photos(bundle: Path, photos: Sequence[str], engine: str, threads: int | None, out: Path | None) -> Path:
    """Write what the task makes of every photo, such as a mask, and a picture of it; returns the folder.

    Raises:
        UserError: not a bundle, no photo found, or one that a result would overwrite; or, when all others are done,
            photos that could not be predicted.
    """
    description, network, _ = compile_bundle(bundle, engine, threads or processor().usable_cores)
    files = _photos(photos, description)
    task = description.make_task()
    _refuse_overwriting(files, out, task)
    folder = _new_folder(out, "predict")
    failures: list[str] = []
    with Progress().track("predicting", len(files)) as tick:
        for file in files:
            try:
                image = _load(file)
                prediction = predict_one(network, description.input, task, image)
            except UserError as error:  # one bad photo of a thousand costs that photo
                failures.append(str(error))
                continue
            finally:
                tick(1)
            task.write(prediction, folder / f"{file.stem}{task.suffix}")
            if image.dtype == np.uint8:
                write_png(folder / f"{file.stem}.overlay.png", task.draw(image, prediction))
    if failures:
        others = f"; the results of the others are in {folder.resolve()}" if len(failures) < len(files) else ""
        first = (
            failures[0] if len(files) == 1 else f"{len(failures)} of {len(files)} photos failed, first: {failures[0]}"
        )
        raise UserError(first + others)
    return folder.resolve()


def _load(file: Path) -> NDArray[Any]:
    """Read a photo, or an array prepared by the caller's own code."""
    if file.suffix != ".npy":
        return read_image(file)
    try:
        array: NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file} cannot be read as an array ({one_line(error)}): save it with np.save") from None
    return array


def check_data(recipe: Path, overrides: list[str], out: Path | None) -> Path:
    """Check the data of a recipe, divided as a run would, print what was found, and draw it.

    Beside the contact sheet, whose path is returned, lie the class distribution and, where torch is installed, what
    augmentation makes of some training images.

    Raises:
        UserError: the data has errors; they are listed first.
    """
    loaded = load_recipe(recipe, overrides)
    given = loaded.data.read()
    dataset, missing = _divided(given, loaded)
    progress = Progress()
    with progress.track("checking", sum(len(samples) for samples in dataset.splits.values())) as tick:
        report = check(dataset, lambda: tick(1))
    folder = _new_folder(out, "check")
    sheet, distribution, augmentation = (folder / f"{name}.png" for name in PICTURES)
    for picture, what in zip((sheet, distribution, augmentation), PICTURES.values(), strict=True):
        if picture.exists() and not is_own_png(picture):
            raise UserError(f"the {what} would overwrite {picture}, which is none: give another --out")
    write_png(sheet, contact_sheet(dataset))
    write_png(distribution, class_distribution(report))
    for sentence in said_of_made(given, dataset) if not missing else []:
        print(sentence)
    _print_check(report, dataset)
    print(f"class distribution: {distribution.resolve()}")
    left_out = _draw_preview(loaded, dataset, augmentation)
    print(f"augmentation: left out, {left_out}" if left_out else f"augmentation: {augmentation.resolve()}")
    if missing:
        print(f"error: missing split: {missing}")
    elif not report.problems:
        print("no problems: every file can be read, no label is strange, and no image stands in two splits")
    if count := len(report.errors) + bool(missing):
        raise UserError(
            f"{count} error{'s' if count > 1 else ''} in the data, listed above (contact sheet: {sheet.resolve()}): "
            "mend what is broken"
        )
    return sheet.resolve()


def _draw_preview(recipe: Recipe, dataset: Dataset, path: Path) -> str:
    """Draw some training samples as the recipe's training sees them; returns why not, where that cannot be."""
    if lacking := [name for name in ("torch", "torchvision") if find_spec(name) is None]:
        return f"it needs {' and '.join(lacking)}: run pip install 'tinysight[reduce]'"
    if recipe.model.whole and recipe.model.whole.suffix == PROGRAM:
        return "opening the .pt2 file to learn its input would run code, and a check runs none"
    from tinysight.reduction.network import load_network
    from tinysight.training.preview import augmentation_preview

    task = TASKS[recipe.task](dataset.classes, dataset.ignore_index)
    try:
        # A checkpoint brings its own input.
        policy = load_network(recipe.model.checkpoint).input if recipe.model.checkpoint else recipe.input
        settings = recipe.train or Training()  # with which stages train where the reference comes trained
        write_png(path, augmentation_preview(dataset.split("train"), policy, task, settings, recipe.seed))
    except UserError as error:
        return str(error)
    return ""


def _divided(given: Dataset, recipe: Recipe) -> tuple[Dataset, str]:
    """Return the data with the splits a run would make, or as given and why none can be made."""
    if missing := missing_splits(given):
        return given, missing
    try:
        return divided(given, recipe.val_fraction, recipe.test_fraction), ""
    except UserError as error:
        return given, str(error)


def convert_data(recipe: Path, overrides: list[str], form: str, out: Path) -> str:
    """Write the data of a recipe in another form; returns the ``data`` section that reads it, as YAML on one line.

    Raises:
        UserError: the data is broken, or see ``convert``.
    """
    dataset = load_recipe(recipe, overrides).data.read()
    progress = Progress()
    with progress.track("converting", sum(len(samples) for samples in dataset.splits.values())) as tick:
        section = convert(dataset, form, out, lambda: tick(1))
    if note := lost_by(dataset, form):
        progress.say(note)
    return yaml.safe_dump(dict(section), default_flow_style=True, width=1000, sort_keys=False).strip()


def _data(data: Path) -> tuple[Dataset, Reader | Path]:
    """Open a run's data description, or the data of a recipe with the splits a run would make."""
    if data.suffix.lower() in {".yaml", ".yml"}:
        recipe = load_recipe(data)
        return divided(recipe.data.read(), recipe.val_fraction, recipe.test_fraction), recipe.data
    return open_data(data), data


def _photos(photos: Sequence[str], bundle: Bundle) -> list[Path]:
    suffixes = {".npy"} if bundle.input.normalised_by == "caller" else IMAGE_SUFFIXES
    found = [file for pattern in photos for file in _matches(pattern, suffixes)]
    strangers = [file for file in found if file.suffix.lower() not in suffixes]
    if strangers:
        raise UserError(f"{strangers[0]} is not a {' or '.join(sorted(suffixes))} file: {_taken(bundle)}")
    if special := [file for file in found if not file.is_file()]:
        raise UserError(f"{special[0]} is not a regular file: give image files, folders or globs")
    if not found:
        raise UserError(f"no .npy file in {', '.join(photos)}: {_taken(bundle)}")
    return found


def _taken(bundle: Bundle) -> str:
    """Say what files a bundle takes."""
    if bundle.input.normalised_by == "tinysight":
        return "this bundle takes photos in one of these formats"
    channels, height, width = bundle.input.shape[1:]
    return (
        "this bundle takes arrays normalised by your own code, float32, channels x height x width "
        f"({channels} x {height} x {width}, or another size), saved with np.save as .npy"
    )


def _refuse_overwriting(files: Sequence[Path], out: Path | None, task: Task) -> None:
    """Refuse photos whose results would overwrite a photo, somebody's label, or each other."""
    folder = (out or Path("runs")).resolve()
    inputs = {file.resolve() for file in files} if out else set()
    written: dict[str, Path] = {}
    for file in files:
        for name, is_own in ((f"{file.stem}{task.suffix}", task.wrote), (f"{file.stem}.overlay.png", is_own_png)):
            if (folder / name).resolve() in inputs:
                raise UserError(f"the result {folder / name} would overwrite that photo: give another --out")
            if out and (folder / name).exists() and not is_own(folder / name):
                raise UserError(f"the result would overwrite {folder / name}, which is no result: give another --out")
            if name in written:
                raise UserError(
                    f"several photos are called '{file.stem}', or one as another's result: {written[name]} and {file} "
                    f"would both write {name}, and so overwrite each other: predict in parts"
                )
            written[name] = file


def _matches(pattern: str, suffixes: Collection[str]) -> list[Path]:
    if not pattern:
        raise UserError("an empty name stands where a photo should: give an image, a folder or a glob")
    path = Path(pattern)
    if path.is_dir():
        return sorted(path.glob("*.npy")) if ".npy" in suffixes else find_images(path)
    found = [path] if path.is_file() else sorted(Path(name) for name in glob.glob(pattern, recursive=True))
    if not found:
        raise UserError(f"'{pattern}' matches no photo: give an image, a folder or a glob such as 'photos/*.jpg'")
    return found


def _new_folder(out: Path | None, kind: str) -> Path:
    if out is None:
        return next_free(Path("runs"), kind)
    if (out / PLAN).is_file():
        raise UserError(f"--out {out} is a run, whose files this would overwrite: give a new or empty folder")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _content(measured: Measured) -> dict[str, Any]:
    parts = (
        ("quality", measured.quality), ("bytes", measured.bytes), ("latency_ms", measured.latency_ms),
        ("e2e_ms", measured.e2e_ms), ("precision", measured.precision),
    )  # fmt: skip
    return {name: part.model_dump(mode="json") for name, part in parts} | {"peak_rss_mb": measured.peak_rss_mb}


def _print(content: dict[str, Any]) -> None:
    quality, latency, size = content["quality"], content["latency_ms"], content["bytes"]
    print(f"{quality['metric']} {100 * quality['value']:.2f} on {quality['split']}", end=" ")
    print(f"(95 % interval {100 * quality['low']:.2f}–{100 * quality['high']:.2f})")
    print(f"latency {latency['p50']:.2f} ms, p90 {latency['p90']:.2f}", end=" ")
    threads = counted(latency["threads"], "thread")
    print(f"({latency['engine']} {latency['engine_version']}, {threads}, {latency['cpu']})")
    print(f"end to end {content['e2e_ms']['p50']:.2f} ms; peak memory {content['peak_rss_mb']:.0f} MiB")
    precision = PrecisionRead.model_validate(content["precision"])
    print(f"file {size['total']:,} bytes; stored {precision.stored}, executed {precision.sentence}")


def _print_check(report: CheckReport, dataset: Dataset) -> None:
    for split, count in report.samples.items():
        labels = report.labels[split]
        total = max(1, sum(labels.values()))
        shares = ", ".join(f"{name} {100 * labels[name] / total:.1f} %" for name in dataset.classes)
        print(f"{split}: {count} images; labels: {shares}; ignored: {report.ignored[split]}")
    if report.heights and report.widths:
        print("heights {}–{}, widths {}–{}".format(*report.heights, *report.widths))
    for kind, problems in groupby(sorted(report.problems, key=attrgetter("kind")), key=attrgetter("kind")):
        alike = list(problems)
        for problem in alike[:MOST_OF_A_KIND]:
            print(printable(f"{problem.severity}: {kind}: {problem.where}: {problem.what}"))
        if len(alike) > MOST_OF_A_KIND:
            print(f"… and {len(alike) - MOST_OF_A_KIND} more: {kind}")
