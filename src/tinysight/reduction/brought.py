"""Networks that come as one file: a program of ``torch.export``, whose code runs, so it must be trusted."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from tinysight.data import InputPolicy
from tinysight.errors import UserError, one_line
from tinysight.models.scores import FixedMode
from tinysight.models.settings import PROGRAM
from tinysight.models.spec import LIVE, ModelSpec

__all__ = ["plain_input", "read_program"]

AGAIN = "write it with torch.export.save(torch.export.export(model.eval(), (images,)), path)"


def read_program(path: Path, *, trust: bool) -> tuple[nn.Module, ModelSpec, InputPolicy]:
    """Read a ``.pt2`` program: its module, a specification that names it, and an input of the size it was exported at.

    Args:
        path: what ``torch.export.save`` wrote.
        trust: allow what reading it may run.

    Raises:
        UserError: it is missing, not trusted, damaged, takes something else than one batch of float32 images, or was
            exported in training mode.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist: give a program written by torch.export.save")
    if not trust:
        raise UserError(
            f"{path} is a torch.export program: loading it unpickles what its maker stored and runs the operators it "
            "names; add --trust, or trust=True, if you know where it comes from"
        )
    try:
        with _silence():
            program = torch.export.load(path)
    except Exception as error:  # a file of another kind or version fails in many ways
        raise UserError(f"{path} cannot be read as a {PROGRAM} program ({one_line(error)}): {AGAIN}") from error
    _refuse_training_mode(path, program)
    return FixedMode(program.module()), ModelSpec(builder=LIVE, args={"class": path.name}), _input_of(path, program)


def plain_input(path: Path, shape: tuple[int, ...]) -> InputPolicy:
    """Return the policy of an input of ``shape`` (batch, channels, height, width) that arrives normalised.

    Raises:
        UserError: no picture has such a shape.
    """
    try:
        _, channels, height, width = shape
        zeros, ones = (0.0,) * channels, (1.0,) * channels
        return InputPolicy(height=height, width=width, mean=zeros, std=ones, normalised_by="caller")
    except ValueError as error:  # pydantic's errors are such, too
        raise UserError(
            f"{path} takes an input of {tuple(shape)}: give a network for images (batch, channels, height, width), of "
            "16 to 8192 pixels a side"
        ) from error


def _input_of(path: Path, program: ExportedProgram) -> InputPolicy:
    positional, named = program.example_inputs
    images = [*positional, *named.values()]
    if len(images) != 1 or not isinstance(images[0], torch.Tensor) or images[0].dtype != torch.float32:
        found = ", ".join(str(getattr(given, "dtype", type(given).__name__)) for given in images) or "nothing"
        raise UserError(f"{path} takes {found}: give a network of one input, a batch of float32 images")
    return plain_input(path, tuple(images[0].shape))


def _refuse_training_mode(path: Path, program: ExportedProgram) -> None:
    """A program keeps the mode it was exported in: dropout would stay on, and statistics would move for ever."""
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        names = [argument.name for argument in schema.arguments] if schema else []
        if any(name in {"train", "training"} and value is True for name, value in zip(names, node.args, strict=False)):
            raise UserError(f"{path} was exported in training mode, and keeps to it: {AGAIN}")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Reading talks about the library's own internals, and logs a traceback before it raises."""
    logger = logging.getLogger("torch.export")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(before)
