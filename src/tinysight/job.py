"""Jobs: what a run needs, made from a recipe or from live objects. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tinysight.config import digest_of
from tinysight.data import Dataset, Sample
from tinysight.data.memory import in_memory
from tinysight.data.readers import Reader
from tinysight.data.sample import file_digest
from tinysight.data.source import divided_as_recorded
from tinysight.data.splits import require_splits, said_of_made, shared_with_train
from tinysight.engines.settings import EngineSettings
from tinysight.errors import UserError, one_line
from tinysight.models.pretrained import Offer, offer_of, with_pretrained_weights
from tinysight.models.spec import ModelSpec
from tinysight.models.weights import load_weights
from tinysight.models.zoo import adapt_of
from tinysight.progress import Progress
from tinysight.recipe import Recipe
from tinysight.reduction.naming import refuse_unknown_layers
from tinysight.reduction.network import WEIGHTS, Network, checkpoint_folder, load_network, refuse_other_classes
from tinysight.reduction.step import ArchitectureReduction, NotApplicable, PrecisionReduction
from tinysight.reduction.verify import refuses_batches, run
from tinysight.report.text import counted
from tinysight.runs.folder import differences
from tinysight.search.goal import Goal
from tinysight.search.walk import Stage
from tinysight.tasks import TASKS, Task
from tinysight.training.batches import Batches
from tinysight.training.class_weights import class_weights
from tinysight.training.loop import choose_device, fit
from tinysight.training.losses import task_loss
from tinysight.training.settings import Augmentation, Training
from tinysight.training.watch import Watch

__all__ = [
    "Job",
    "fit_reference",
    "job_from_recipe",
    "refuse_missing_files",
    "refuse_one_class",
    "refuse_other_network",
    "refuse_unbuildable",
    "refuse_unknown_names",
    "refuse_wrong_output",
    "set_aside",
]


@dataclass(frozen=True)
class Job:
    """Everything a run needs, whether it comes from a recipe or from live objects.

    ``plan`` is what a resumed run must have in common with the first. ``reader`` opens validation and test data in
    processes without torch; ``train`` may be live. ``weights_digest`` identifies weights that come from outside.
    ``make_reference`` builds and, where asked, trains the reference, keeping its state in the folder it is given, whose
    name is to be ``training``: it tells trainings that differ in anything apart.
    ``pristine`` is a live network as it was handed over. ``cautions`` are what a reader must know about the data.
    """

    plan: Mapping[str, Any]
    task: Task
    reader: Reader
    dataset: Dataset
    data_digest: str
    weights_digest: str
    train: Sequence[Sample]
    augment: Augmentation
    training: str
    make_reference: Callable[[Path, Progress], Network]
    pristine: nn.Module | None
    cautions: tuple[str, ...]
    stages: tuple[Stage, ...]
    goal: Goal
    engine: EngineSettings
    seed: int
    device: str

    @property
    def shortlists(self) -> bool:
        """Whether networks are chosen before they are trained."""
        variants = [variant for stage in self.stages for variant in stage.variants]
        heals = any(stage.trains for stage in self.stages)
        return any(variant.changes == "architecture" or (variant.damages and heals) for variant in variants)

    @property
    def faster_precisions(self) -> list[PrecisionReduction]:
        """The precisions the stages try that an engine may execute faster, not only store: one of each speed."""
        variants = [variant for stage in self.stages for variant in stage.variants]
        faster = [v for v in variants if isinstance(v, PrecisionReduction) and not v.storage_only]
        return list(dict.fromkeys(variant.unchecked for variant in faster))


def job_from_recipe(recipe: Recipe, record: Path, *, trust: bool = False) -> Job:
    """Read the data a recipe names and prepare its job.

    Args:
        recipe: what ``load_recipe`` returned.
        record: the run's ``data.json``; splits that were made when the run began are taken from there.
        trust: let the recipe import the network it names; that code then runs.

    Raises:
        UserError: the data is missing or broken, the network's code is not trusted, or the network is neither trained
            nor to be trained.
    """
    if recipe.train is None and not recipe.model.trained:
        raise UserError(
            "the recipe has neither train nor trained weights: a network with random weights has no quality to keep; "
            "add a train section, model.weights, or model.checkpoint"
        )
    offer = _offer(recipe)
    given = recipe.data.read()
    require_splits(given)
    dataset = divided_as_recorded(record, recipe.data, given, recipe.val_fraction, recipe.test_fraction)
    shared = shared_with_train(dataset)
    train = in_memory(dataset.split("train"))
    task = TASKS[recipe.task](dataset.classes, dataset.ignore_index)
    pristine = _pristine(recipe, len(task.classes), trust=trust)
    digest, weights = dataset.digest(), f"{offer.source} {offer.tag}" if offer else _weights_digest(recipe)
    if offer and recipe.train is None and offer.classes != len(task.classes):
        raise UserError(
            f"the pretrained weights {offer.source} leave a last layer for {len(task.classes)} classes untrained: "
            "add a train section, such as train: {epochs: 30}"
        )
    refuse_one_class(train, task)

    def make_reference(folder: Path, progress: Progress) -> Network:
        return _reference_of(recipe, task, train, dataset.split("val"), folder, progress, trust=trust)

    return Job(
        plan=recipe.plan(),
        task=task,
        reader=recipe.data,
        dataset=dataset,
        data_digest=digest,
        weights_digest=weights,
        train=train,
        augment=recipe.train.augment if recipe.train else True,
        training=_training_name(recipe, digest, weights),
        make_reference=make_reference,
        pristine=pristine,
        cautions=(*set_aside(given, dataset, trained_elsewhere=_came_trained(recipe)), *shared),
        stages=recipe.stages,
        goal=recipe.goal,
        engine=recipe.engine,
        seed=recipe.seed,
        device=recipe.device,
    )


def _pristine(recipe: Recipe, classes: int, *, trust: bool) -> nn.Module | None:
    """Return the network before any reduction where its checkpoints cannot rebuild it; None where they can."""
    if recipe.model.foreign:
        return recipe.model.spec(classes).build(trust=trust)
    if recipe.model.checkpoint is None:
        return None
    network = load_network(recipe.model.checkpoint, trust=trust)
    if recipe.model.whole:
        return None if network.file else network.module
    return network.spec.build(trust=trust) if network.spec.foreign else None


def _offer(recipe: Recipe) -> Offer | None:
    """Find the pretrained weights a recipe asks for, without any network; None where it asks for none.

    Raises:
        UserError: there are none, or they are for pictures of other channels.
    """
    if not recipe.model.pretrained:
        return None
    # The number of classes changes nothing about what is offered.
    offer = offer_of(recipe.model.spec(2), recipe.model.pretrained)
    channels = recipe.input.shape[1]
    if offer.channels != channels or recipe.model.args.get("in_chans", channels) != channels:
        raise UserError(
            f"the pretrained weights {offer.source} are for {offer.channels} channels, and the input has {channels}: "
            "give as many values of input.mean and input.std and no in_chans, or weights of your own as model.weights"
        )
    return offer


def _came_trained(recipe: Recipe) -> bool:
    """Whether the network may have learned from the recipe's own images; libraries train theirs on public ones."""
    return recipe.model.trained and not (recipe.model.pretrained and recipe.train)


def _weights_digest(recipe: Recipe) -> str:
    """Identify weights that come from outside; empty where there are none."""
    if recipe.model.whole:
        return file_digest(recipe.model.whole)
    if recipe.model.checkpoint:
        return file_digest(checkpoint_folder(recipe.model.checkpoint) / WEIGHTS)
    if not recipe.model.weights:
        return ""
    if not recipe.model.weights.is_file():
        raise UserError(f"the weights {recipe.model.weights} do not exist: check model.weights")
    return file_digest(recipe.model.weights)


def refuse_missing_files(stages: Sequence[Stage]) -> None:
    """Look for the files that methods name, before anything is trained.

    Raises:
        UserError: some are missing: all of them in one message.
    """
    problems = []
    for number, stage in enumerate(stages):
        for variant in stage.variants:
            try:
                _ = variant.outside
            except UserError as error:
                problems.append(f"stages.{number}: {variant.name}: {error}")
    if problems:
        raise UserError("; ".join(dict.fromkeys(problems)))


def refuse_unbuildable(stages: Sequence[Stage], spec: ModelSpec, classes: int) -> None:
    """Build the students of the first stage that makes any: a mistyped encoder must not cost the reference's training.

    What later stages start from is not known yet.

    Raises:
        UserError: some cannot be built: all of them in one message.
    """
    for number, stage in enumerate(stages):
        students = [variant for variant in stage.variants if isinstance(variant, ArchitectureReduction)]
        problems = []
        for student in students:
            try:
                student.design(spec, classes).build()
            except NotApplicable:  # it will be skipped, with this reason
                continue
            except UserError as error:
                problems.append(f"stages.{number}: {student.name}: {error}")
        if problems:
            raise UserError("; ".join(problems))
        if students:
            return


def refuse_unknown_names(stages: Sequence[Stage], module: nn.Module) -> None:
    """Look for the layers that methods name, before anything is trained.

    Stages behind one that makes students name the students' layers, which are not known yet; the teacher's are.

    Raises:
        UserError: some do not exist: all of them in one message.
    """
    problems, known = [], True
    for number, stage in enumerate(stages):
        known = known and not any(isinstance(variant, ArchitectureReduction) for variant in stage.variants)
        for variant in stage.variants:
            try:
                refuse_unknown_layers(variant, module, of_teacher=True)
                if known:
                    refuse_unknown_layers(variant, module)
            except UserError as error:
                problems.append(f"stages.{number}: {error}")
    if problems:
        raise UserError("; ".join(dict.fromkeys(problems)))


def set_aside(given: Dataset, dataset: Dataset, *, trained_elsewhere: bool) -> list[str]:
    """Say which splits were not given, how many images make them up, and what that means."""
    said = said_of_made(given, dataset)
    if said and trained_elsewhere:
        said[-1] += " The network came trained, perhaps on these very images: the check on them may be too kind."
    if added := _count(given) - _count(dataset):
        said.append(
            "The run keeps the splits that its data.json records, without what was added to the data since it began "
            f"({counted(added, 'image')})."
        )
    return said


def _count(dataset: Dataset) -> int:
    return sum(len(samples) for samples in dataset.splits.values())


def refuse_one_class(train: Sequence[Sample], task: Task) -> None:
    """Look at training targets until two classes have been seen.

    Raises:
        UserError: there is only one: nothing can be learned, and any score would be perfect; or a label is invalid.
    """
    seen: set[int] = set()
    for sample in train:
        seen |= set(np.flatnonzero(task.counts_in(sample)).tolist())
        if len(seen) > 1:
            return
    found = f"only the class '{task.classes[seen.pop()]}'" if seen else "no class at all"
    raise UserError(
        f"the {len(train)} images show {found}: check the labels, and the classes in the recipe's data section"
    )


def _reference_of(
    recipe: Recipe, task: Task, train: Sequence[Sample], val: Sequence[Sample], folder: Path, progress: Progress, *,
    trust: bool,
) -> Network:  # fmt: skip
    """Build the reference of a recipe, or load it, and train it where the recipe says so.

    The training's state lies in ``folder``: an interrupted training goes on, and a finished one is used again.
    """
    device = choose_device(recipe.device)
    if recipe.model.checkpoint:
        network = load_network(recipe.model.checkpoint, trust=trust)
        if recipe.model.whole:
            network = _as_recipe_says(recipe, network)
        else:
            asked = {name: getattr(recipe.input, name) for name in recipe.input.asked_views}
            network = replace(network, origin=network.origin.model_copy(update=asked))
            refuse_other_network(recipe, network)
            if recipe.train is None:
                remedy = "name the same in the same order, or add a train section"
                refuse_other_classes("checkpoint", recipe.model.checkpoint, task.classes, remedy)
    else:
        network = _fresh(recipe, recipe.model.spec(len(task.classes)), folder / "pretrained", progress, trust=trust)
    if recipe.model.weights:
        partly = recipe.train is not None
        lacking = load_weights(network.module, recipe.model.weights, adapt_of(recipe.model.name), partly=partly)
        if lacking:
            progress.say(
                f"{counted(len(lacking), 'tensor')} not among the weights, such as {lacking[0]}: left as they start"
            )
    refuse_unbuildable(recipe.stages, network.spec, len(task.classes))
    refuse_unknown_names(recipe.stages, network.module)
    if recipe.train:
        fit_reference(network, task, train, val, recipe.train, device, recipe.seed, folder, progress)
    return network


def _fresh(recipe: Recipe, spec: ModelSpec, kept: Path, progress: Progress, *, trust: bool) -> Network:
    """Build the network of a recipe; with pretrained weights once, which an interrupted training finds in ``kept``."""
    torch.manual_seed(recipe.seed)
    if not recipe.model.pretrained:
        return Network(spec.build(trust=trust).eval(), spec, recipe.input)
    if (kept / WEIGHTS).is_file():
        return load_network(kept)
    module, spec, expected = with_pretrained_weights(spec, recipe.model.pretrained, progress)
    policy = recipe.input
    if expected is None:
        progress.say("the pretrained weights expect pictures that are not RGB: training has to make up for it")
    elif recipe.normalised_by_weights:
        policy = policy.model_copy(update={"mean": expected.mean, "std": expected.std})
    elif caution := expected.otherwise(policy.mean, policy.std):
        progress.say(caution)
    network = Network(module.eval(), spec, policy)
    network.save(kept)
    return network


def refuse_other_network(recipe: Recipe, network: Network) -> None:
    """A checkpoint brings its own architecture and input; what the recipe says of them beside it must agree.

    Raises:
        UserError: it does not: the network would be another than the reader of the recipe believes.
    """
    model, own = recipe.model, network.spec
    of_recipe = {"name": model.name, "encoder": model.encoder, "args": model.args}
    args = {key: own.args.get(key) for key in model.args}
    of_checkpoint = {"name": own.builder, "encoder": own.args.get("encoder"), "args": args}
    said = {f"model.{key}": value for key, value in of_recipe.items() if key in model.model_fields_set}
    found = {f"model.{key}": value for key, value in of_checkpoint.items() if key in model.model_fields_set}
    for name in recipe.input.model_fields_set:
        said[f"input.{name}"], found[f"input.{name}"] = getattr(recipe.input, name), getattr(network.input, name)
    if differ := differences(said, found):
        raise UserError(
            f"the checkpoint {model.checkpoint} is another network than the recipe says ({'; '.join(differ)}): take "
            "these settings out, or give another checkpoint"
        )


def _as_recipe_says(recipe: Recipe, network: Network) -> Network:
    """A network in one file knows its size at most: all else about its input, and its output, the recipe says.

    Raises:
        UserError: the file takes pictures of other channels.
    """
    mine, own = recipe.input, network.origin
    if len(mine.mean) != len(own.mean):
        raise UserError(
            f"{recipe.model.checkpoint} takes {len(own.mean)} channels, and the input has {len(mine.mean)}: give as "
            "many values of input.mean and input.std"
        )
    sizes = {side: getattr(own, side) for side in ("height", "width") if side not in mine.model_fields_set}
    spec = network.spec.model_copy(update={"output": recipe.model.output})
    return replace(network, origin=mine.model_copy(update=sizes), spec=spec)


def _training_name(recipe: Recipe, data_digest: str, weights_digest: str) -> str:
    """Name the reference's training by all it depends on."""
    made_from = recipe.model_dump(mode="json", include={"task", "model", "input", "train", "seed", "device"})
    if recipe.normalised_by_weights or recipe.model.whole:
        made_from["input"] = recipe.plan()["input"]
    return f"reference-{digest_of([made_from, data_digest, weights_digest])}"


def refuse_wrong_output(network: Network, task: Task) -> None:
    """Run the network once.

    Raises:
        UserError: it does not run at its input size, or its output does not fit the task or is not numbers.
    """
    size = f"{network.input.height}x{network.input.width}"
    try:
        scores = run(network.scores, network.example())
    except UserError:
        raise
    except Exception as error:  # whatever a network raises for a size it was not made for
        cause = one_line(error, 300)
        raise UserError(f"the network does not run on an input of {size} ({cause}): choose another input") from error
    if wrong := task.refuse_output(scores.shape):
        raise UserError(f"{wrong}: check the network's number of classes, or choose its output with output=…")
    if scores.isnan().any():
        raise UserError("the network's scores are not numbers (NaN): check its weights, or train it again")


def fit_reference(
    network: Network, task: Task, train: Sequence[Sample], val: Sequence[Sample], settings: Training, device: str,
    seed: int, folder: Path, progress: Progress,
) -> None:  # fmt: skip
    """Train ``network`` in place on labels alone, once it is known that its output fits them; ``val`` is watched only.

    The training's state lies in ``folder``.
    """
    refuse_wrong_output(network, task)
    if settings.augment == "randaugment" and network.input.normalised_by == "caller":
        raise UserError(
            "train.augment: randaugment changes uint8 pictures, and these arrive normalised by your own code: augment "
            "them there and leave augment out, or give uint8 pictures"
        )
    if reason := refuses_batches(network.scores, network.example(batch=2)):
        raise UserError(f"the network {reason}: it cannot be trained; leave train out, or give one that takes batches")
    batches = Batches(
        train, network.input, task, augment=settings.augment, sampler=settings.sampler, mix=settings.mix
    )  # fmt: skip
    weights = class_weights(train, task) if settings.loss.startswith("weighted") else None
    loss = task_loss(settings.loss, task, weights=weights, smoothing=settings.label_smoothing)
    watch = Watch(train, val, network.input, task, loss, settings.batch_size) if settings.watch else None
    fit(
        network.scores, batches, loss, settings,
        device=device, seed=seed, folder=folder, progress=progress, watch=watch,
    )  # fmt: skip
