"""Bundle: a folder that can be deployed alone. Reading one runs no code of its maker and needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from tinysight.config import Config
from tinysight.data import InputPolicy
from tinysight.engines.base import Compiled
from tinysight.errors import UserError, unknown_name
from tinysight.files import read_json, write_json
from tinysight.tasks import TASKS, Task

__all__ = ["DESCRIPTION", "Bundle", "compile_bundle"]

SCHEMA = 1
DESCRIPTION = "bundle.json"


class Bundle(Config):
    """What ``bundle.json`` says: everything needed to run the model file beside it, and where its numbers come from.

    ``stored`` is the number format of the weights in the file, ``execute`` what the engine is asked to compute in where
    nothing is quantized. ``lineage`` holds the specification and the names of the steps, ``measurement`` the
    candidate's record, ``agreement`` how far the engines differ, ``versions`` the libraries that made it.
    """

    schema_: int = Field(SCHEMA, alias="schema")
    task: str
    classes: tuple[str, ...]
    ignore_index: int
    input: InputPolicy
    stored: str = "float32"
    execute: Literal["f32", "bf16"] = "f32"
    lineage: dict[str, Any] = {}
    measurement: dict[str, Any] | None = None
    agreement: dict[str, Any] | None = None
    versions: dict[str, str] = {}
    licences: dict[str, str] = {}

    def make_task(self) -> Task:
        """Return the task that scores and draws its predictions."""
        if self.task not in TASKS:
            raise unknown_name("task", self.task, TASKS)
        return TASKS[self.task](self.classes, self.ignore_index)

    def save(self, folder: Path) -> None:
        """Write ``bundle.json``."""
        write_json(folder / DESCRIPTION, self.model_dump(mode="json", by_alias=True))

    @staticmethod
    def open(folder: Path) -> Bundle:
        """Read the bundle in ``folder``.

        Raises:
            UserError: there is none, or it is of a newer schema or broken.
        """
        path, remedy = folder / DESCRIPTION, "export the bundle again"
        if not path.is_file():
            raise UserError(
                f"{folder} is not a bundle: it has no {DESCRIPTION}; give the folder 'tinysight export' wrote"
            )
        content = read_json(path, remedy)
        try:
            if content.get("schema", 0) > SCHEMA:
                raise UserError(
                    f"{path} has schema {content['schema']}, newer than this tinysight knows: update tinysight"
                )
            return Bundle.model_validate(content)
        except (ValidationError, AttributeError, TypeError) as error:
            raise UserError(f"{path} is damaged ({' '.join(str(error).split())[:200]}): {remedy}") from error


def compile_bundle(folder: Path, engine: str, threads: int) -> tuple[Bundle, Compiled, str]:
    """Open the bundle in ``folder`` and compile its model file; returns also the engine's version.

    Raises:
        UserError: an unknown engine, no bundle, a file the engine refuses, or one with another input than described.
    """
    from tinysight.engines import ENGINES

    bundle = Bundle.open(folder)
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    compiled = ENGINES[engine].compile(folder, threads=threads, execute=bundle.execute)
    if compiled.input_shape not in (None, bundle.input.shape):
        raise UserError(
            f"the model file in {folder} takes {compiled.input_shape}, but its {DESCRIPTION} says "
            f"{bundle.input.shape}: the two do not belong together, export the bundle again"
        )
    return bundle, compiled, ENGINES[engine].version()
