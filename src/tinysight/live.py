"""Reducing a live network on live data, from Python."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parameter import is_lazy

from tinysight.config import digest_of
from tinysight.data import Dataset, InputPolicy, Sample
from tinysight.data.live import live_samples
from tinysight.data.readers.arrays import Arrays, kept_array_sample, write_array_sample
from tinysight.data.splits import TEST_FRACTION, hold_out
from tinysight.engines import ENGINES
from tinysight.engines.settings import EngineSettings
from tinysight.errors import UserError, one_line, unknown_name
from tinysight.job import Job, fit_reference, refuse_one_class, refuse_unknown_names, set_aside
from tinysight.models.spec import LIVE, ModelSpec
from tinysight.pipeline import Result, run
from tinysight.progress import Progress
from tinysight.recipe import parse_stages
from tinysight.reduction.network import Network
from tinysight.reduction.verify import run as run_once
from tinysight.report.text import counted
from tinysight.runs.folder import RunFolder, next_free
from tinysight.search.goal import Goal
from tinysight.search.walk import Stage
from tinysight.tasks import TASKS, Task
from tinysight.training.loop import choose_device
from tinysight.training.settings import Training

__all__ = ["reduce"]

DEFAULT_STAGES: tuple[Any, ...] = ("trim", {"name": "precision", "variants": ["bf16", "fp16", "int8"]})

WANTED: dict[str, tuple[Any, str]] = {
    "model": (nn.Module, "a torch.nn.Module, the object and not its class or weights"),
    "goal": (Goal, "a Goal(…)"),
    "stages": (list | tuple, "a list, one entry a stage"),
    "task": (str, "a task's name"),
    "input": (InputPolicy | None, "an InputPolicy(…)"),
    "output": (str | int | None, "a key, an index or an attribute's name"),
    "train": (Training | None, "a Training(…)"),
    "ignore_index": (int | None, "a whole number"),
    "engine": (EngineSettings, "EngineSettings(name=…, threads=…)"),
    "seed": (int, "a whole number"),
    "device": (str, "'auto', 'cpu' or 'cuda'"),
}
"""The type each argument must have, and how to say so."""


def reduce(
    model: nn.Module,
    data: Mapping[str, Any],
    *,
    goal: Goal | None = None,
    classes: Sequence[str] | None = None,
    stages: Sequence[Any] = DEFAULT_STAGES,
    task: str = "segmentation",
    input: InputPolicy | None = None,
    output: str | int | None = None,
    train: Training | None = None,
    ignore_index: int | None = None,
    engine: EngineSettings | None = None,
    out: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    quiet: bool = False,
) -> Result:
    """Return the smallest, fastest form of ``model`` that holds the goal's floor, measured on the exported file.

    Args:
        model: any ``nn.Module`` that maps images (batch, channels, height, width) to class scores; it is copied, not
            changed.
        data: ``{"train": …, "val": …}`` and perhaps ``"test"``, data sets of (image, target). PIL pictures and uint8
            images are normalised here; float tensors (channels, height, width) count as normalised, and the bundle says
            so. Without a test split, part of train is set aside.
        goal: what to minimise and the floor; by default latency, losing at most 0.5 points.
        classes: class names; by default numbered, as many as the network's scores have.
        stages: as in a recipe, in order.
        task: what is predicted.
        input: size and normalisation; by default the size of the first validation image, with ImageNet's mean and std
            for uint8 images.
        output: which part of the model's result holds the scores: a key, an index or an attribute.
        train: train the model first; by default it is trained already.
        ignore_index: label of pixels or images that count nowhere; by default 255 in masks, -1 for class numbers.
        engine: engine and threads.
        out: the run's folder, new or of the same run, which is then continued; by default a new one under ``./runs``.
        seed: of every random choice.
        device: where training runs, ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        quiet: show no progress.

    Raises:
        UserError: something in the arguments or the data is wrong; the message says what.
    """
    goal, engine = Goal() if goal is None else goal, EngineSettings() if engine is None else engine
    order = _Order(
        model, goal, classes, stages, task, input, output, train, ignore_index, engine, seed, device
    )  # fmt: skip
    order.refuse()
    if out is not None and (not isinstance(out, str | Path) or out == ""):
        raise UserError(f"out must be a folder, a path or its name, got {out!r}: leave it out for one under ./runs")
    progress = Progress(quiet=quiet)
    prepared = _prepare(order, data)
    path = Path(out) if out else next_free(Path("runs"), type(model).__name__.lower())
    with RunFolder(path, prepared.plan) as folder:
        return run(_job(order, prepared, folder, progress), folder, progress)


@dataclass(frozen=True)
class _Order:
    """What was asked for: the arguments of ``reduce``, with defaults filled in."""

    model: nn.Module
    goal: Goal
    classes: Sequence[str] | None
    stages: Sequence[Any]
    task: str
    input: InputPolicy | None
    output: str | int | None
    train: Training | None
    ignore_index: int | None
    engine: EngineSettings
    seed: int
    device: str

    def refuse(self) -> None:
        """Refuse what cannot be right, whatever the data.

        Raises:
            UserError: an argument has the wrong type or is outside its range; the message says which.
        """
        for name, (kind, wanted) in WANTED.items():
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise UserError(f"{name} must be {wanted}, got {type(value).__name__}")
        _refuse_parameters(self.model)
        if self.classes is not None:
            _refuse_classes(self.classes)
        if self.ignore_index is not None and not -1 <= self.ignore_index <= 255:
            raise UserError(
                f"ignore_index is {self.ignore_index}, but masks hold numbers from 0 to 255: give 255 to pixels that "
                "count nowhere (where they are -100, as in PyTorch, they become 255) and leave ignore_index out"
            )
        if not 0 <= self.seed < 2**31:
            raise UserError(f"seed is {self.seed}: give a whole number from 0 to {2**31 - 1}")
        choose_device(self.device)
        if self.engine.name not in ENGINES:
            raise unknown_name("engine", self.engine.name, ENGINES)
        if self.task not in TASKS:
            raise unknown_name("task", self.task, TASKS)
        if self.train and (reason := self.train.refuse_for(TASKS[self.task])):
            raise UserError(f"train: {reason}")


def _refuse_parameters(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise UserError(f"the model's '{name}' is not initialised yet: run the model once on an image first")
        if parameter.is_meta:
            raise UserError(f"the model's '{name}' is on the meta device and has no values: load its weights first")
        if parameter.dtype != torch.float32:
            raise UserError(f"the model's '{name}' is {parameter.dtype}, not float32: convert it with model.float()")


def _refuse_classes(classes: Sequence[str]) -> None:
    names = [] if isinstance(classes, str) or not isinstance(classes, Sequence) else list(classes)
    if len(names) < 2 or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise UserError(f"classes must be a list of at least two different names, got {classes!r}")


@dataclass(frozen=True)
class _Prepared:
    """An order brought together with its data: nothing is written yet."""

    plan: Mapping[str, Any]
    given: Dataset
    arranged: Dataset
    stages: tuple[Stage, ...]
    network: Network
    task: Task
    weights: str


def _prepare(order: _Order, data: Mapping[str, Any]) -> _Prepared:
    """Read what is needed of the data, and try that the network takes it."""
    problems: list[str] = []
    stages = parse_stages(list(order.stages), problems)
    if problems:
        raise UserError("\n  ".join([f"{counted(len(problems), 'problem')} in stages:", *problems]))
    given, arranged = _samples(data)
    policy = order.input or _policy_of(arranged.splits["val"][0])
    spec = ModelSpec(builder=LIVE, args={"class": type(order.model).__qualname__}, output=order.output)
    network = Network(_copied(order.model), spec, policy)
    kind, names = TASKS[order.task], _class_names(network, order.classes)
    task = kind(names) if order.ignore_index is None else kind(names, order.ignore_index)
    if order.train:
        refuse_one_class(arranged.split("train"), task)
    weights = _weights_digest(order.model)
    plan = {
        "model": {"name": type(order.model).__qualname__, "weights": weights, "output": order.output},
        "data": {split: len(members) for split, members in arranged.splits.items()},
        "task": order.task,
        "classes": list(task.classes),
        "input": policy.model_dump(mode="json"),
        "train": order.train.model_dump(mode="json") if order.train else None,
        "stages": [stage.plan() for stage in stages],
        "goal": order.goal.model_dump(mode="json"),
        "engine": order.engine.model_dump(mode="json"),
        "seed": order.seed,
    }
    return _Prepared(plan, given, arranged, stages, network, task, weights)


def _job(order: _Order, prepared: _Prepared, folder: RunFolder, progress: Progress) -> Job:
    """Write validation and test data into the run's folder and return the job."""
    torch.manual_seed(order.seed)
    plan, network, task, settings = prepared.plan, prepared.network, prepared.task, order.train
    refuse_unknown_names(prepared.stages, network.module)
    train = prepared.arranged.split("train")
    dataset, reader = _spill(prepared.arranged.splits, task, folder.path / "data", progress)
    digest = dataset.digest()

    def make_reference(state: Path, progress: Progress) -> Network:
        if settings:
            device = choose_device(order.device)
            fit_reference(network, task, train, dataset.split("val"), settings, device, order.seed, state, progress)
        return network

    refuse_one_class(dataset.split("val"), task)
    return Job(
        plan=plan,
        task=task,
        reader=reader,
        dataset=dataset,
        data_digest=digest,
        weights_digest=prepared.weights,
        train=train,
        augment=False,
        training=f"reference-{digest_of([plan['model'], plan['train'], digest, order.seed])}",
        make_reference=make_reference,
        pristine=order.model,
        stages=prepared.stages,
        goal=order.goal,
        engine=order.engine,
        seed=order.seed,
        device=order.device,
        cautions=tuple(set_aside(prepared.given, prepared.arranged, trained_elsewhere=settings is None)),
    )


def _copied(model: nn.Module) -> nn.Module:
    """Return a copy on the processor, to be reduced: the model itself stays as it is."""
    try:
        return copy.deepcopy(model).cpu().eval()
    except Exception as error:  # whatever a module's own __deepcopy__ raises
        raise UserError(
            f"the model cannot be copied ({one_line(error)}): a reduction works on a copy; take off what computes "
            "weights anew (remove_weight_norm, prune.remove of torch), or give it a __deepcopy__ that works"
        ) from error


def _samples(data: Mapping[str, Any]) -> tuple[Dataset, Dataset]:
    """Return the data as it was given, and with a test split."""
    if not isinstance(data, Mapping):
        raise UserError(f"data must be {{'train': …, 'val': …}}, got {type(data).__name__}")
    for split in data:
        if split not in {"train", "val", "test"}:
            raise unknown_name("split in data", str(split), ("train", "val", "test"))
    for split in ("train", "val"):
        if split not in data:
            raise UserError(f"data has no '{split}': give {{'train': …, 'val': …}}, and 'test' if there is one")
    if data["train"] is data["val"]:
        raise UserError("data['train'] and data['val'] are the same data set: decide on images of their own")
    samples = {split: live_samples(dataset, split) for split, dataset in data.items()}
    given = Dataset(("any",), samples)
    return given, hold_out(given, TEST_FRACTION)


def _policy_of(sample: Sample) -> InputPolicy:
    """Choose an input policy that takes the first image as it is.

    Raises:
        UserError: no network takes an image of this shape.
    """
    image, _ = sample.read()
    pictures = image.dtype == np.uint8
    height, width, channels = image.shape if pictures else (*image.shape[1:], image.shape[0])
    what = f"the image of {sample.name} is {image.dtype} {image.shape}"
    if pictures and channels != 3:
        raise UserError(
            f"{what}: give uint8 arrays as (height, width, 3), uint8 tensors as (3, height, width), or say how other "
            "channels are normalised with input=InputPolicy(mean=…, std=…)"
        )
    if not pictures and width <= 4 < min(channels, height):
        raise UserError(f"{what}: give float images channels first, (channels, height, width)")
    if not (16 <= height <= 8192 and 16 <= width <= 8192):
        raise UserError(
            f"{what}: a network's input has 16 to 8192 pixels a side; choose one with input=InputPolicy(height=…, "
            "width=…)"
        )
    if pictures:
        return InputPolicy(height=height, width=width)
    if not channels:
        raise UserError(f"{what}, without a single channel: give (channels, height, width)")
    zeros, ones = (0.0,) * channels, (1.0,) * channels
    return InputPolicy(height=height, width=width, mean=zeros, std=ones, normalised_by="caller")


def _class_names(network: Network, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the given names, or numbered ones for the planes of the scores, after trying that the network runs."""
    try:
        shape = run_once(network.scores, network.example()).shape
    except UserError:
        raise
    except Exception as error:  # whatever a network raises for images it was not made for
        size = " x ".join(str(edge) for edge in network.input.shape[1:])
        reason = one_line(error)
        raise UserError(
            f"the network does not take images of {size}: {reason}: give its own size and channels with input=…"
        ) from error
    count = shape[1] if len(shape) > 1 else 1
    if count < 2 and not classes:
        raise UserError(f"the network's output has the shape {tuple(shape)}: at least 2 classes are needed")
    return tuple(classes) if classes else tuple(f"class {number}" for number in range(count))


def _weights_digest(model: nn.Module) -> str:
    content = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        content.update(name.encode())
        content.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return content.hexdigest()[:16]


def _spill(
    samples: Mapping[str, Sequence[Sample]], task: Task, folder: Path, progress: Progress
) -> tuple[Dataset, Arrays]:
    """Write validation and test data where processes without torch can read them; training data stays live."""
    kept = [split for split in samples if split != "train"]
    with progress.track("keeping validation and test data", sum(len(samples[split]) for split in kept)) as tick:
        for split in kept:
            for sample in samples[split]:
                _keep(sample, split, task, folder / split / f"{sample.name}.npz")
                tick(1)
    reader = Arrays(path=folder, classes=task.classes, ignore_index=task.ignore_index)
    return reader.read(), reader


def _keep(sample: Sample, split: str, task: Task, path: Path) -> None:
    """Write a sample, or see that a run that goes on was made with this very one."""
    item = sample.read()
    if reason := task.refuse_target(item[1]):
        raise UserError(f"data['{split}'], item {sample.name}: {reason}")
    kept = kept_array_sample(path)
    if kept is None:
        write_array_sample(path, *item)
    # What a data set draws at random is another each time: it stays as it was first drawn.
    elif not _are_equal(kept, item) and _are_equal(item, sample.read()):
        raise UserError(
            f"data['{split}'], item {sample.name} is another than the one {path.parent.parent.parent} was made with: "
            "give another out, or the data of that run"
        )


def _are_equal(one: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]]) -> bool:
    return all(np.array_equal(mine, yours) for mine, yours in zip(one, other, strict=True))
