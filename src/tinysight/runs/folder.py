"""The run folder: opened by one process at a time, resumed by the same recipe, never shared by two runs."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tinysight.errors import UserError, one_line
from tinysight.files import DRAFT, read_json, sweep_drafts, write_json, write_text
from tinysight.runs.records import CandidateRecord

__all__ = ["CANDIDATES", "PLAN", "RESULT", "RunFolder", "differences", "next_free", "read_candidates"]

PLAN = "plan.json"
CANDIDATES = "candidates.jsonl"
RECORD = "record.json"
TABLE = "results.csv"
RESULT = "result.json"


class RunFolder:
    """A folder with everything a run made.

    ``plan`` is the resolved recipe, JSON-like. An existing folder with the same plan is continued; one with another
    plan is refused with the differences, unless ``update`` says to go on with the new plan: candidates whose identity
    did not change are then kept.
    """

    def __init__(self, path: Path, plan: Mapping[str, Any], *, update: bool = False) -> None:
        self.path = path.absolute()
        self._make()
        self._lock = self._take_lock()
        self._table: dict[str, CandidateRecord] = {}
        self.continued = (self.path / PLAN).is_file()
        try:
            if self.continued:
                self._compare(plan, update)
            sweep_drafts(self.path)  # not before: the folder may turn out to be somebody else's
            write_json(self.path / PLAN, dict(plan))
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            strangers = [
                entry.name for entry in self.path.iterdir() if entry.name != "lock" and not entry.name.startswith(DRAFT)
            ]
        except (FileExistsError, NotADirectoryError):
            raise UserError(f"--out {self.path} is a file: give a folder") from None
        except ValueError as error:  # a null character
            raise UserError(f"--out {self.path}: {error}: give another name") from None
        if strangers and not (self.path / PLAN).is_file():
            raise UserError(
                f"--out {self.path} holds files that are not a tinysight run ('{sorted(strangers)[0]}'): "
                "give a new or empty folder"
            )

    def _take_lock(self) -> IO[str]:
        handle = (self.path / "lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise UserError(
                f"another process is working in {self.path}: wait for it, or give this run another --out"
            ) from None
        return handle

    def _compare(self, plan: Mapping[str, Any], update: bool) -> None:
        if update:
            return
        remedy = "add --update to write it anew from this recipe, or give another --out"
        before = read_json(self.path / PLAN, remedy)
        if not isinstance(before, dict) or not before:
            raise UserError(f"{self.path / PLAN} is damaged (it holds no plan): {remedy}")
        changed = differences(before, plan)
        if not changed:
            return
        shown = "".join(f"\n  {line}" for line in changed)
        raise UserError(
            f"the run in {self.path} was made with another recipe:{shown}\n"
            f"{_recomputed(changed)}. Add --update to go on with the new recipe, or give another --out"
        )

    def find(self, identity: str) -> CandidateRecord | None:
        """Return what is known of a candidate from this call or an earlier one; None where it was never finished.

        A damaged record counts as none: the candidate can be made again.
        """
        path = self.artifact(identity) / RECORD
        try:
            return CandidateRecord.from_line(read_json(path)) if path.is_file() else None
        except (UserError, ValueError, TypeError):
            return None

    def keep(self, record: CandidateRecord) -> None:
        """Remember a finished candidate for good, and show it in the table."""
        write_json(self.artifact(record.id) / RECORD, record.line())
        self.show(record)

    def show(self, record: CandidateRecord) -> None:
        """Add a record to the table, or replace it there; the table on disk is whole at any moment.

        What the choice adds, final ratios and the best, is only shown: a resumed walk must see what the first one saw.
        """
        self._table[record.id] = record
        lines = [known.line() for known in self._table.values()]
        write_text(self.path / CANDIDATES, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        write_text(self.path / TABLE, _csv(lines))

    @property
    def records(self) -> list[CandidateRecord]:
        """The records in the table, in the order of the walk."""
        return list(self._table.values())

    def artifact(self, identity: str) -> Path:
        """Return the folder of a candidate's exported files."""
        return self.path / "candidates" / identity

    def scratch(self, identity: str) -> Path:
        """Return the folder where long work on ``identity`` keeps its state."""
        return self.path / "training" / identity

    def close(self) -> None:
        """Let other processes in."""
        self._lock.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def read_candidates(run: Path) -> list[CandidateRecord]:
    """Read the table of a run, finished or not.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = run / CANDIDATES
    if not path.is_file():
        raise UserError(f"{run} holds no {CANDIDATES}: give the folder of a run that has measured something")
    try:
        # Not splitlines: a name may hold one of Unicode's other line ends.
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
        records = [CandidateRecord.from_line(json.loads(line)) for line in lines]
    except (ValueError, TypeError, RecursionError) as error:
        reason = one_line(error)
        raise UserError(f"{path} is damaged ({reason}): run 'tinysight resume {run}' to write it anew") from error
    if not records:
        raise UserError(f"{path} is damaged (it is empty): run 'tinysight resume {run}' to write it anew")
    return records


LONGEST_VALUE = 120
"""Characters of a setting that a message quotes."""


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """Name every place where two JSON-like plans differ, as ``key: before -> after``."""
    before, after = json.loads(json.dumps(before, default=str)), json.loads(json.dumps(after, default=str))
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[str] = []
        for key in sorted(before.keys() | after.keys()):
            found += differences(before.get(key), after.get(key), f"{where}.{key}" if where else key)
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = list(zip(before, after, strict=True))
        if any(isinstance(one, dict) for pair in pairs for one in pair):
            return [line for number, pair in enumerate(pairs) for line in differences(*pair, f"{where}.{number}")]
    return [] if before == after else [f"{where}: {' -> '.join(_short(before, after))}"]


def _short(before: Any, after: Any) -> Iterator[str]:
    """Yield both values as text, of long ones the part from a little before they begin to differ."""
    texts = [json.dumps(value, ensure_ascii=False) for value in (before, after)]
    pairs = enumerate(zip(*texts, strict=False))
    alike = next((place for place, (one, other) in pairs if one != other), min(map(len, texts)))
    start = max(0, alike - LONGEST_VALUE // 4) if alike > LONGEST_VALUE // 2 else 0
    for text in texts:
        shown = text[start : start + LONGEST_VALUE]
        yield f"{'…' if start else ''}{shown}{'…' if len(text) > start + LONGEST_VALUE else ''}"


def next_free(folder: Path, name: str) -> Path:
    """Make and return the first of ``name-1``, ``name-2``, … that is not in ``folder``; no two calls share one."""
    number = 1
    while True:
        path = folder / f"{name}-{number}"
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            number += 1


def _recomputed(changed: Iterable[str]) -> str:
    """Say what a changed plan would compute again."""
    keys = {line.split(":")[0].split(".")[0] for line in changed}
    if keys & {"model", "train", "data", "val_fraction", "test_fraction", "input", "seed", "task", "device"}:
        return "Everything would be computed again, the reference included"
    if "engine" in keys:
        return "The reference's training would be kept, every measurement made again"
    if "stages" in keys:
        return "The reference and unchanged stages would be kept; the changed stages and those after them computed"
    return "Nothing would be measured again; the choice would be made anew"


def _csv(lines: list[dict[str, Any]]) -> str:
    """Flatten records into a table: nested fields become ``outer.inner``."""
    flat = [_flatten(line) for line in lines]
    named = dict.fromkeys(key for row in flat for key in row)
    # A field that was not measured is None in one record and a group of columns in another: the group says both.
    columns = [name for name in named if not any(other.startswith(f"{name}.") for other in named)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator=os.linesep)
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and key not in {"config", "files"}:
            row |= _flatten(value, f"{name}.")
        else:
            row[name] = json.dumps(value) if isinstance(value, dict | list) else value
    return row
