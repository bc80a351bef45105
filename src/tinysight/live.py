"""Reducing a live network on live data, from Python."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tinysight.config import digest_of
from tinysight.data import Dataset, InputPolicy, Sample
from tinysight.data.live import live_samples
from tinysight.data.readers.arrays import Arrays, write_array_sample
from tinysight.data.splits import hold_out
from tinysight.engines import ENGINES
from tinysight.engines.settings import EngineSettings
from tinysight.errors import UserError, unknown_name
from tinysight.job import Job, fit_reference, refuse_one_class, set_aside
from tinysight.models.spec import LIVE, ModelSpec
from tinysight.pipeline import Result, run
from tinysight.progress import Progress
from tinysight.recipe import parse_stages
from tinysight.reduction.network import Network
from tinysight.reduction.verify import run as run_once
from tinysight.runs.folder import RunFolder, next_free
from tinysight.search.goal import Goal
from tinysight.tasks import TASKS, Task
from tinysight.training.loop import choose_device
from tinysight.training.settings import Training

__all__ = ["reduce"]

DEFAULT_STAGES: tuple[Any, ...] = ("trim", {"name": "precision", "variants": ["bf16", "fp16", "int8"]})


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
    ignore_index: int = 255,
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
        ignore_index: label of pixels that count nowhere.
        engine: engine and threads.
        out: the run's folder, new or of the same run, which is then continued; by default a new one under ``./runs``.
        seed: of every random choice.
        device: where training runs, ``auto``, ``cpu`` or ``cuda``.
        quiet: show no progress.

    Raises:
        UserError: something in the arguments or the data is wrong; the message says what.
    """
    progress = Progress(quiet=quiet)
    settings = engine or EngineSettings()
    if settings.name not in ENGINES:
        raise unknown_name("engine", settings.name, ENGINES)
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    problems: list[str] = []
    parsed = parse_stages(list(stages), problems)
    if problems:
        raise UserError("\n  ".join([f"{len(problems)} problem(s) in stages:", *problems]))
    given, arranged = _samples(data)
    samples = arranged.splits
    policy = input or _policy_of(samples["val"][0])
    spec = ModelSpec(builder=LIVE, args={"class": type(model).__qualname__}, output=output)
    network = Network(copy.deepcopy(model).cpu().eval(), spec, policy)
    kind = TASKS[task](_class_names(network, classes), ignore_index)
    weights = _weights_digest(model)
    plan = {
        "model": {"name": type(model).__qualname__, "weights": weights, "output": output},
        "data": {split: len(members) for split, members in samples.items()},
        "task": task,
        "classes": list(kind.classes),
        "input": policy.model_dump(mode="json"),
        "train": train.model_dump(mode="json") if train else None,
        "stages": [
            {"name": s.name, "variants": [{v.name: v.model_dump(mode="json")} for v in s.variants]} for s in parsed
        ],
        "goal": (goal or Goal()).model_dump(mode="json"),
        "engine": settings.model_dump(mode="json"),
        "seed": seed,
    }
    path = Path(out) if out else next_free(Path("runs"), type(model).__name__.lower())
    with RunFolder(path, plan) as folder:
        torch.manual_seed(seed)
        dataset, reader = _spill(samples, kind, folder.path / "data", progress)
        digest = dataset.digest()

        def make_reference(scratch: Path, progress: Progress) -> Network:
            if train:
                state = scratch / f"reference-{digest_of([plan['model'], plan['train'], digest, seed])}"
                fit_reference(network, kind, samples["train"], train, choose_device(device), seed, state, progress)
            return network

        refuse_one_class(dataset.split("val"), kind)
        job = Job(
            plan=plan, task=kind, reader=reader, dataset=dataset, data_digest=digest,
            weights_digest=str(weights), train=samples["train"],
            augment=False,
            make_reference=make_reference, pristine=model, stages=parsed, goal=goal or Goal(), engine=settings,
            seed=seed,
            device=device,
            caution=set_aside(given, arranged, trained_elsewhere=train is None),
        )  # fmt: skip
        return run(job, folder, progress)


def _samples(data: Mapping[str, Any]) -> tuple[Dataset, Dataset]:
    """Return the data as it was given, and with a test split."""
    for split in data:
        if split not in {"train", "val", "test"}:
            raise unknown_name("split in data", str(split), ("train", "val", "test"))
    for split in ("train", "val"):
        if split not in data:
            raise UserError(f"data has no '{split}': give {{'train': …, 'val': …}}, and 'test' if there is one")
    samples = {split: live_samples(dataset, split) for split, dataset in data.items()}
    given = Dataset(("any",), samples)
    return given, hold_out(given, 0.15)


def _policy_of(sample: Sample) -> InputPolicy:
    """Choose an input policy that takes the first image as it is."""
    image, _ = sample.read()
    if image.dtype == np.uint8:
        return InputPolicy(height=image.shape[0], width=image.shape[1])
    channels, height, width = image.shape
    return InputPolicy(
        height=height, width=width, mean=(0.0,) * channels, std=(1.0,) * channels, normalised_by="caller"
    )


def _class_names(network: Network, classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the given names, or numbered ones for the planes of the scores, after trying that the network runs."""
    try:
        shape = run_once(network.scores, network.example()).shape
    except UserError:
        raise
    except Exception as error:  # whatever a network raises for images it was not made for
        size = " x ".join(str(edge) for edge in network.input.shape[1:])
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the network does not take images of {size}: {reason}: give its own size and channels with input=…"
        ) from error
    count = shape[1] if len(shape) > 1 else 1
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
                path = folder / split / f"{sample.name}.npz"
                if not path.exists():
                    image, target = sample.read()
                    if reason := task.refuse_target(target):
                        raise UserError(f"data['{split}'], item {sample.name}: {reason}")
                    write_array_sample(path, image, target)
                tick(1)
    reader = Arrays(path=folder, classes=task.classes, ignore_index=task.ignore_index)
    return reader.read(), reader
