"""The contract of every reduction: what a step records, which order is legal, and what a method may use.

A method is one file: a class whose fields are its settings and whose ``reduce`` makes steps. Method files import torch
inside their methods only, so that recipes are checked, and mistakes reported, before torch is loaded.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tinysight.config import Config
from tinysight.data import InputPolicy, Sample
from tinysight.models.settings import CHECKPOINT
from tinysight.models.zoo import defaults_of
from tinysight.progress import Progress
from tinysight.reduction.summary import Summary
from tinysight.tasks import Task
from tinysight.training.settings import Augmentation

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.models.spec import ModelSpec
    from tinysight.reduction.network import Network
    from tinysight.training.teachers import Teacher

__all__ = [
    "ArchitectureReduction",
    "Context",
    "InputReduction",
    "Kind",
    "NotApplicable",
    "PrecisionReduction",
    "Reduction",
    "Step",
    "StructureReduction",
    "WeightsReduction",
]

Kind = Literal["input", "architecture", "structure", "weights", "precision"]
"""What a step changes: the input policy, the whole network, its modules, the values of the weights, or the number
formats in the file."""


class Step(Config):
    """One recorded change to a network.

    ``input`` and ``structure`` steps replay from ``record`` alone: no data, no randomness. An ``architecture`` step
    says what the network's specification was made from. A ``weights`` step says how the stored weights came to be. A
    ``precision`` step holds the precision record that the writer puts into a float export. ``remark`` is what else a
    reader of the table should know.
    """

    kind: Kind
    method: str
    version: int
    record: dict[str, Any]
    summary: Summary | None = None
    remark: str = ""

    def __repr__(self) -> str:
        """Name the step; the record of a precision would fill pages."""
        return f"Step({self.kind}, {self.method} {self.version})"


class NotApplicable(Exception):  # noqa: N818 - not an error: the reason a candidate is skipped
    """A method has nothing to do on this network or machine; the text says why, and the candidate is ``skipped``."""


@dataclass(frozen=True)
class Context:
    """What a reduction may use besides the network: never validation or test data.

    ``held_out`` reads the digests of those images, for methods that bring images of their own. ``teacher`` is the
    reference, and ``ask_teacher`` makes what gives its scores fastest here. ``parent`` identifies the network that is
    reduced. ``folder`` keeps the state of long work between interruptions; ``shared`` gives the folder of what
    candidates have in common, by a JSON-like key. ``float_export`` gives the clean float ONNX file of the network that
    is reduced. ``engine`` names the engine the run is for. ``times_as_fast`` times two modules on it, given what both
    read, and returns how many times as fast the second is.
    """

    task: Task
    train: Sequence[Sample]
    held_out: Callable[[], Collection[str]]
    teacher: Network
    ask_teacher: Callable[[], Teacher]
    parent: str
    device: str
    seed: int
    engine: str
    threads: int
    augment: Augmentation
    folder: Path
    shared: Callable[[Any], Path]
    float_export: Callable[[Network], Path]
    refuse_execution: Callable[[str], str | None]
    times_as_fast: Callable[[nn.Module, nn.Module, Tensor], float]
    progress: Progress


class Reduction(Config, ABC):
    """A method that makes steps. Its fields are its configuration, and with ``version`` part of a candidate's identity.

    ``follows`` and ``precedes`` name the kinds of steps that may stand before and after it; the two must agree between
    methods (a test holds it). ``lossless`` methods promise equal outputs; those that ``damages`` is true of
    take away so much that quality says little before a training; ``recovers`` methods can raise quality again,
    and those that ``train`` can do so from random weights.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    changes: ClassVar[Kind]
    follows: ClassVar[frozenset[Kind]]
    precedes: ClassVar[frozenset[Kind]]
    lossless: ClassVar[bool] = False
    damages: ClassVar[bool] = False
    recovers: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    sparsifies: ClassVar[bool] = False
    """Whether it sets weights to zero that every later training must hold at zero."""
    storage_only: ClassVar[bool] = False
    """Whether what it makes is smaller at most, and never faster: engines convert the weights back, or multiply by
    zeros."""
    main: ClassVar[tuple[str, ...]] = ()
    """Settings that its label names although they have their defaults."""
    takes_files: ClassVar[bool] = False
    """Whether it can reduce a network that is an ONNX file, without modules or weights in torch."""

    @abstractmethod
    def reduce(self, network: Network, context: Context) -> Network:
        """Return a new network with this method's step appended; ``network`` itself is left as it was.

        Raises:
            NotApplicable: there is nothing to do, with the reason.
        """

    @property
    def label(self) -> str:
        """A short name for tables: the method with its main settings, and those that differ from their defaults."""
        changed = self.model_dump(exclude_defaults=True)
        named = self.model_dump(include=set(self.main))
        settings = [f"{key} {_written(value)}" for key, value in (named | changed).items()]
        return f"{self.name} ({', '.join(settings)})" if settings else self.name

    @property
    def outside(self) -> str:
        """Identifies the content of files the settings name besides the recipe's data; part of the identity.

        Raises:
            UserError: they are missing or cannot be read.
        """
        return ""

    @property
    def void_settings(self) -> tuple[str, ...]:
        """Settings that are not read because of others; tables leave them out."""
        return ()

    @property
    def named_layers(self) -> tuple[str, ...]:
        """The modules that the settings name by path; they must exist in the network that is reduced."""
        return ()

    @property
    def teachers_layers(self) -> tuple[str, ...]:
        """The modules of the reference that the settings name by path."""
        return ()

    @classmethod
    def refuse_after(cls, kinds: Sequence[Kind]) -> str | None:
        """Say why this method cannot follow steps of these kinds; None where it can."""
        for kind in kinds:
            if kind not in cls.follows:
                if kind == cls.changes:
                    return f"{cls.name} cannot follow another {kind} step: make both variants of one stage"
                return f"{cls.name} changes {cls.changes} and cannot follow a {kind} step: put it before"
        return None

    def step(self, record: dict[str, Any], summary: Summary | None = None, remark: str = "") -> Step:
        """Make this method's step."""
        return Step(
            kind=self.changes, method=self.name, version=self.version, record=record, summary=summary, remark=remark
        )


def _written(value: Any) -> str:
    """Write a setting for people; a folder by its name alone: where it lies is nothing for a table that is shared."""
    if isinstance(value, Path):
        return value.parent.name if value.name == CHECKPOINT else value.name
    if isinstance(value, dict):
        return " ".join(f"{key} {_written(each)}".strip() for key, each in value.items())
    return " + ".join(map(_written, value)) if isinstance(value, list | tuple) else str(value)


_FLOAT: frozenset[Kind] = frozenset({"input", "architecture", "structure", "weights"})
_ANY: frozenset[Kind] = _FLOAT | {"precision"}


class InputReduction(Reduction):
    """Changes how pictures are prepared; replays on the input policy."""

    changes: ClassVar[Kind] = "input"
    follows: ClassVar[frozenset[Kind]] = _FLOAT
    precedes: ClassVar[frozenset[Kind]] = _ANY

    @staticmethod
    @abstractmethod
    def replay(policy: InputPolicy, record: dict[str, Any]) -> InputPolicy:
        """Apply a recorded step to a policy."""


class ArchitectureReduction(Reduction):
    """Makes a new network, a student: its specification replaces the old one, and its weights wait to be trained.

    Of the steps before, only those of the input live on: the others changed modules that are gone. A method that
    ``inherits`` keeps the weights whose names and shapes are the same.
    """

    changes: ClassVar[Kind] = "architecture"
    follows: ClassVar[frozenset[Kind]] = _FLOAT
    precedes: ClassVar[frozenset[Kind]] = _ANY
    inherits: ClassVar[bool] = False
    takes_files: ClassVar[bool] = True

    @abstractmethod
    def design(self, spec: ModelSpec, classes: int) -> ModelSpec:
        """Return the student's specification, for a task of so many classes.

        Raises:
            NotApplicable: the network's builder has nothing to change.
            UserError: an argument is wrong.
        """

    def reduce(self, network: Network, context: Context) -> Network:
        """Build the student; the record says what it was made from."""
        spec = self.design(network.spec, len(context.task.classes))
        if _spelled_out(spec) == _spelled_out(network.spec):
            raise NotApplicable("the network is built like this already")
        student = network.rebuilt(spec, self.step({"from": network.spec.model_dump(mode="json")}))
        return student.inheriting(network) if self.inherits else student


def _spelled_out(spec: ModelSpec) -> str:
    """Write a specification with its library's defaults filled in, so that equal networks are equal."""
    return json.dumps([spec.builder, (defaults_of(spec.builder) or {}) | spec.args], sort_keys=True, default=str)


class StructureReduction(Reduction):
    """Changes modules; replays on a freshly built network."""

    changes: ClassVar[Kind] = "structure"
    damages: ClassVar[bool] = True
    follows: ClassVar[frozenset[Kind]] = _FLOAT
    precedes: ClassVar[frozenset[Kind]] = _ANY

    @staticmethod
    @abstractmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Apply a recorded step to ``module``, which may be changed in place, and return the result.

        Weights are cut or kept so that a network that holds the parent's weights ends up with the child's.
        """


class WeightsReduction(Reduction):
    """Changes the values of weights and leaves every shape as it was."""

    changes: ClassVar[Kind] = "weights"
    follows: ClassVar[frozenset[Kind]] = _FLOAT
    precedes: ClassVar[frozenset[Kind]] = _ANY


class PrecisionReduction(Reduction):
    """Changes number formats in the exported file; a network carries at most one, and it is the last step."""

    changes: ClassVar[Kind] = "precision"
    follows: ClassVar[frozenset[Kind]] = _FLOAT
    precedes: ClassVar[frozenset[Kind]] = frozenset()
    takes_files: ClassVar[bool] = True

    @property
    def unchecked(self) -> PrecisionReduction:
        """What makes a network of the same speed, whatever it says: for networks that are not trained yet."""
        return self
