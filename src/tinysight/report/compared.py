"""A run as a comparison sees it: finished or not, with whatever it has measured so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tinysight.errors import UserError
from tinysight.files import read_json
from tinysight.measure.records import Quality
from tinysight.runs.folder import CANDIDATES, PLAN, RESULT, read_candidates
from tinysight.runs.records import CandidateRecord
from tinysight.search.choice import choose
from tinysight.search.goal import Goal

__all__ = ["ComparedRun", "Outcome", "open_runs"]


class Check(BaseModel):
    """The check of the choice on test images, as ``result.json`` has it."""

    images: int
    reference: Quality
    best: Quality
    verdict: str
    why: str


class Outcome(BaseModel):
    """What a comparison reads of ``result.json``."""

    best: str
    reference: str
    test: Check
    broken_limits: list[str]
    cautions: list[str]
    metric_definition: str
    data: dict[str, int | str]
    environment: dict[str, Any]


@dataclass(frozen=True)
class ComparedRun:
    """A run to compare: ``outcome`` is None while it is unfinished; ``path`` is the folder as the user named it."""

    name: str
    path: Path
    plan: Mapping[str, Any]
    records: Sequence[CandidateRecord]
    outcome: Outcome | None

    @property
    def reference(self) -> CandidateRecord | None:
        """The reference, once it is measured."""
        return next((record for record in self.records if record.verdict == "reference"), None)

    @property
    def best(self) -> CandidateRecord | None:
        """What was chosen; of an unfinished run the choice as it stands, None where the goal cannot be read."""
        chosen = next((record for record in self.records if record.verdict == "best"), None)
        if chosen or self.outcome:
            return chosen or self.reference
        held = [record for record in self.records if record.verdict in {"reference", "acceptable"}]
        return choose(held, self.goal) if held and self.goal else None

    @property
    def goal(self) -> Goal | None:
        """The goal, unless the plan was written by a version that says it in other words."""
        try:
            return Goal.model_validate(self.plan.get("goal"))
        except ValidationError:
            return None

    @property
    def metric(self) -> str:
        """The name of what is measured; "" before anything is."""
        measured = self.reference.quality if self.reference else None
        return measured.metric if measured else ""

    @property
    def digest(self) -> str:
        """The content hash of the run's data; "" until it is finished."""
        return str(self.outcome.data.get("digest", "")) if self.outcome else ""


def open_runs(folders: Sequence[Path]) -> list[ComparedRun]:
    """Read runs, finished or not.

    Raises:
        UserError: a folder is no run, is damaged, or was named twice.
    """
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise UserError(f"{folder} and {seen[folder.resolve()]} are one run: name each run once")
        seen[folder.resolve()] = folder
    return [_open(folder, name) for folder, name in zip(folders, _names(list(seen)), strict=True)]


def _open(folder: Path, name: str) -> ComparedRun:
    plan = folder / PLAN
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give the folders of runs, which 'reduce' names at its beginning")
    if not plan.is_file():
        raise UserError(
            f"{folder} is not a run (it has no {PLAN}): give the folders of runs, which 'reduce' names at its beginning"
        )
    remedy = f"run 'tinysight reduce' with its recipe and --out {folder} --update to write it anew"
    content = read_json(plan, remedy)
    if not isinstance(content, dict) or not content:
        raise UserError(f"{plan} is damaged (it holds no plan): {remedy}")
    outcome = _outcome(folder)
    # A run that has only begun has no table yet; a finished one must have it.
    begun = outcome is None and not (folder / CANDIDATES).is_file()
    records = [] if begun else read_candidates(folder)
    # Begun again with another recipe, it is unfinished, whatever the first one left behind.
    verdicts = {record.id: record.verdict for record in records}
    stale = outcome and (verdicts.get(outcome.best) not in {"best", "reference"} or outcome.reference not in verdicts)
    return ComparedRun(name, folder, content, records, None if stale else outcome)


def _outcome(folder: Path) -> Outcome | None:
    path = folder / RESULT
    if not path.is_file():
        return None
    remedy = f"run 'tinysight resume {folder}' to write it anew"
    try:
        return Outcome.model_validate(read_json(path, remedy))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "all of it"
        raise UserError(f"{path} is damaged ({where} is not as it should be): {remedy}") from error


def _names(paths: Sequence[Path]) -> list[str]:
    """Name each folder by its last parts, as many as tell all of them apart."""
    depth = max(len(path.parts) for path in paths)
    for count in range(1, depth + 1):
        names = ["/".join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names
