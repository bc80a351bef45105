"""Network: modules with the specification and steps that rebuild them; on disk JSON and safetensors."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from tinysight.config import Config, digest_of
from tinysight.data import InputPolicy
from tinysight.engines.bundle import DESCRIPTION
from tinysight.errors import UserError, one_line, some_of
from tinysight.files import read_json, write_atomically, write_json
from tinysight.models.liveness import live_parameters
from tinysight.models.scores import Scores
from tinysight.models.settings import CHECKPOINT, ONNX_FILE, PROGRAM
from tinysight.models.spec import ModelSpec
from tinysight.models.zoo import ZOO
from tinysight.reduction.brought import read_program
from tinysight.reduction.onnx_file import ONNX, OnnxFile, onnx_of_checkpoint, read_onnx
from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.step import InputReduction, NotApplicable, Step, StructureReduction
from tinysight.reduction.table import METHODS, is_untrained

__all__ = [
    "CHECKPOINT",
    "CLASSES",
    "WEIGHTS",
    "Network",
    "Versioned",
    "checkpoint_folder",
    "load_network",
    "refuse_other_classes",
]

SCHEMA = 1
WEIGHTS = "weights.safetensors"
CLASSES = "classes.json"
"""What a training beside which no bundle is made was for."""
NAMED = 5


@dataclass(frozen=True)
class Network:
    """A network with its lineage. Reductions make new ones; none is ever changed.

    ``origin`` is the reference's input policy; the ``input`` in force is what the recorded input steps made of it.
    """

    module: nn.Module
    spec: ModelSpec
    origin: InputPolicy
    steps: tuple[Step, ...] = ()

    @property
    def input(self) -> InputPolicy:
        """The input policy in force."""
        policy = self.origin
        for step in self.steps:
            method = METHODS[step.method]
            if issubclass(method, InputReduction):
                policy = method.replay(policy, step.record)
        return policy

    @property
    def scores(self) -> nn.Module:
        """The network as image batch -> score tensor; shares its weights with ``module``."""
        return Scores(self.module, self.spec.output)

    @property
    def live(self) -> frozenset[str]:
        """The names of the module's parameters that reach the scores; it runs the network to find out."""
        prefix = "network."  # Scores holds the module under this name
        return frozenset(name.removeprefix(prefix) for name in live_parameters(self.scores, self.example()))

    @property
    def file(self) -> OnnxFile | None:
        """The ONNX file this network is, where it is one: nothing in it can be trained or taken apart."""
        return self.module if isinstance(self.module, OnnxFile) else None

    @property
    def is_untrained(self) -> bool:
        """Whether its weights are still random."""
        return is_untrained(step.method for step in self.steps)

    @property
    def is_sparse(self) -> bool:
        """Whether weights were set to zero for good."""
        return any(METHODS[step.method].sparsifies for step in self.steps)

    @property
    def precision(self) -> PrecisionRecord:
        """The precision record of the last step, or plain float32."""
        if self.steps and self.steps[-1].kind == "precision":
            return PrecisionRecord.model_validate(self.steps[-1].record)
        return PrecisionRecord()

    @property
    def float_part(self) -> Network:
        """The network without its precision step: what the clean float export is made of."""
        return replace(self, steps=tuple(step for step in self.steps if step.kind != "precision"))

    def example(self, batch: int = 1, seed: int = 0) -> Tensor:
        """Return a random input batch of the network's shape, equal for equal seeds."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch, *self.input.shape[1:], generator=generator)

    def copy(self) -> Network:
        """Return an independent copy, weights included."""
        return replace(self, module=copy.deepcopy(self.module))

    def drawn_anew(self, seed: int) -> Network:
        """Return a copy with random weights: every layer draws its own, and what no layer draws is built anew.

        Raises:
            NotApplicable: it holds parameters that no layer draws, and was not built by the zoo.
        """
        drawn = self.copy()
        owned: set[Tensor] = set()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for module in drawn.module.modules():
                reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
                if callable(reset):
                    reset()
                    owned.update(module.parameters())
            left = {name: each for name, each in drawn.module.named_parameters() if each not in owned}
            if left and self.spec.builder not in ZOO:
                raise NotApplicable(
                    f"no layer draws {some_of(sorted(left), NAMED)} anew: give the modules that hold them a "
                    "reset_parameters()"
                )
            fresh = dict(_built(self.spec, self.steps).named_parameters()) if left else {}
        with torch.no_grad():
            for name, parameter in left.items():
                parameter.copy_(fresh[name])
        return drawn

    def with_step(self, step: Step, module: nn.Module | None = None) -> Network:
        """Return a network with ``step`` appended and, where given, a new module."""
        return replace(self, module=self.module if module is None else module, steps=(*self.steps, step))

    def rebuilt(self, spec: ModelSpec, step: Step) -> Network:
        """Return a fresh network, with random weights; of the steps, the input's live on.

        So do those of the structure where the specification is the same as before.
        """
        same = spec.model_copy(update={"parent": self.spec.parent}) == self.spec
        kept = tuple(step for step in self.steps if step.kind == "input" or (same and step.kind == "structure"))
        named = spec.model_copy(update={"parent": digest_of(self.spec.model_dump(mode="json"))})
        return Network(_built(spec, kept).eval(), named, self.origin, (*kept, step))

    def inheriting(self, parent: Network) -> Network:
        """Return a copy in which every tensor has the parent's values where its name and shape are the same."""
        heir = self.copy()
        own, given = heir.module.state_dict(), parent.module.state_dict()
        heir.module.load_state_dict(
            own | {name: tensor for name, tensor in given.items() if name in own and tensor.shape == own[name].shape}
        )
        return heir

    def save(self, folder: Path | str) -> None:
        """Write spec.json, steps.json and weights.safetensors into ``folder``; no file is ever half-written."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        spec = {
            "schema": SCHEMA,
            "spec": self.spec.model_dump(mode="json"),
            "input": self.origin.model_dump(mode="json"),
        }
        write_json(folder / "spec.json", spec)
        write_json(folder / "steps.json", [step.model_dump(mode="json") for step in self.steps])
        write_atomically(folder / WEIGHTS, lambda path: save_model(self.module.cpu(), str(path)))


def load_network(folder: Path | str, *, into: nn.Module | None = None, trust: bool = False) -> Network:
    """Rebuild a network: build its spec, replay its structure steps, load its weights; or read one from its file.

    Args:
        folder: what ``Network.save`` wrote, or a candidate's folder that holds it; or a ``.pt2`` of ``torch.export``,
            or an ``.onnx`` file, whose input counts as normalised.
        into: for a checkpoint of a live network, a fresh instance of it, as it was before any reduction; it is copied.
        trust: allow a builder that is an import path, or a ``.pt2`` file; their code then runs.

    Raises:
        UserError: files are missing, the builder is not trusted or not given, or the weights do not fit.
    """
    if not isinstance(folder, str | Path):
        raise UserError(
            f"a checkpoint is a folder, a .pt2 or an .onnx file, got {type(folder).__name__}: give its path"
        )
    folder = Path(folder)
    if folder.suffix == PROGRAM:
        return Network(*read_program(folder, trust=trust))
    if folder.suffix == ONNX_FILE:
        return Network(*read_onnx(folder))
    folder = checkpoint_folder(folder)
    stored = _read(folder / "spec.json", _Stored)
    steps = _read(folder / "steps.json", tuple[Step, ...])
    # A student has a builder, whatever it was made from.
    given = into if stored.spec.parent is None else None
    if stored.spec.builder == ONNX:
        module: nn.Module = onnx_of_checkpoint(folder / WEIGHTS)
    else:
        module = stored.spec.build(trust=trust) if given is None else copy.deepcopy(given)
    for step in steps:
        method = METHODS.get(step.method)
        if method is None or step.version > method.version:
            raise UserError(
                f"{folder} holds a '{step.method}' step of version {step.version}: update tinysight to load it"
            )
        if issubclass(method, StructureReduction):
            module = _replay(method, module, step, folder)
    _load_weights(module, folder / WEIGHTS)
    network = Network(module.eval(), stored.spec, stored.input, steps)
    _refuse_strange_records(network, folder)
    return network


def checkpoint_folder(path: Path) -> Path:
    """Return the folder of a checkpoint: ``path``, or the one inside it where it is a candidate's.

    Raises:
        UserError: there is none.
    """
    folder = path / CHECKPOINT if (path / CHECKPOINT).is_dir() else path
    for name in ("spec.json", "steps.json", WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} does not exist: {_where_checkpoints_are(path)}")
    return folder


def refuse_other_classes(whose: str, path: Path, classes: Sequence[str], remedy: str) -> None:
    """Refuse a checkpoint whose scores are those of other classes, or of the same in another order.

    Raises:
        UserError: it was trained for them, as far as the files beside it tell; the message ends with ``remedy``.
    """
    names = _classes_of(path)
    if names and names != tuple(classes):
        raise UserError(
            f"the {whose} {path} was trained for the classes {', '.join(names)}, and the data has "
            f"{', '.join(classes)}: {remedy}"
        )


def _classes_of(path: Path) -> tuple[str, ...]:
    """Return what a candidate's bundle says, or what ``tinysight train`` wrote down; () where neither lies there."""
    folder = checkpoint_folder(path)
    for file in (folder.parent / DESCRIPTION, folder.parent / CLASSES):
        try:
            names = read_json(file).get("classes") if file.is_file() else None
        except (UserError, AttributeError):  # damaged: nothing is told
            continue
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return tuple(names)
    return ()


def _where_checkpoints_are(path: Path) -> str:
    if (path / "bundle.json").is_file() or (path / "candidates").is_dir():
        kind = "bundle, which holds no checkpoint" if (path / "bundle.json").is_file() else "whole run"
        return f"{path} is a {kind}: give the folder of one of the run's candidates, candidates/ID"
    return f"give the folder of a checkpoint (spec.json, steps.json, {WEIGHTS}), such as 'tinysight train' prints"


def _replay(method: type[StructureReduction], module: nn.Module, step: Step, folder: Path) -> nn.Module:
    try:
        return method.replay(module, step.record)
    except Exception as error:  # whatever a record of another network, or of another type, leads to
        raise UserError(
            f"the '{step.method}' step of {folder} does not fit this network ({one_line(error)}): "
            "load it into the network it was made from"
        ) from error


def _refuse_strange_records(network: Network, folder: Path) -> None:
    """Replay what is replayed on use only, so that a damaged record is told when it is read."""
    try:
        _ = network.input, network.precision
    except Exception as error:
        raise UserError(
            f"{folder / 'steps.json'} is damaged ({one_line(error)}): restore it or save the checkpoint again"
        ) from error


class _Stored(Config):
    """What spec.json holds."""

    schema_: int = Field(alias="schema")
    spec: ModelSpec
    input: InputPolicy


def _built(spec: ModelSpec, steps: Iterable[Step]) -> nn.Module:
    """Build a network with random weights and replay what ``steps`` say of its structure."""
    module = spec.build()
    for step in steps:
        method = METHODS[step.method]
        if issubclass(method, StructureReduction):
            module = method.replay(module, step.record)
    return module


def _read(path: Path, kind: Any) -> Any:
    remedy = "restore it or save the checkpoint again"
    content = read_json(path, remedy)
    schema = content.get("schema") if isinstance(content, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise UserError(f"{path} has schema {content['schema']}, newer than this tinysight knows: update tinysight")
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        reason = one_line(error)
        raise UserError(f"{path} is not part of a checkpoint ({reason}): {remedy}") from error


def _load_weights(module: nn.Module, path: Path) -> None:
    try:
        load_model(Versioned(module), str(path), strict=True)  # type: ignore[arg-type]
    except (RuntimeError, SafetensorError) as error:
        reason = one_line(error, 400)
        raise UserError(
            f"the weights in {path} do not fit the network ({reason}): load them into the same network"
        ) from error


class Versioned:
    """A network as safetensors loads it, whose layers are told which version of them the weights are of.

    PyTorch keeps versions beside the tensors, safetensors does not. The weights were saved by the same code.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def state_dict(self) -> dict[str, Any]:
        """Return the network's tensors."""
        return self._module.state_dict()

    def load_state_dict(self, tensors: dict[str, Tensor], *, strict: bool) -> Any:
        """Load stored tensors as being of the versions that the network's layers have now."""
        told = OrderedDict(tensors)
        told._metadata = self._module.state_dict()._metadata  # type: ignore[attr-defined]
        return self._module.load_state_dict(told, strict=strict)
