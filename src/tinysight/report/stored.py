"""What a run's folder holds for the report. A missing or damaged file costs its section, never the report."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import yaml

from tinysight.errors import UserError
from tinysight.files import read_json
from tinysight.measure.quality import PER_IMAGE, PerImage
from tinysight.models.settings import PROGRAM
from tinysight.runs.folder import PLAN
from tinysight.runs.records import CandidateRecord

__all__ = ["needs_trust", "recipe_text", "stored_plan", "stored_statistics"]


def stored_statistics(run: Path, record: CandidateRecord) -> PerImage | None:
    """Return a candidate's statistics on the validation split; None where they are missing or damaged."""
    path = run / (record.artifact or "") / PER_IMAGE
    if not record.artifact or not path.is_file():
        return None
    try:
        return PerImage.load(path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def stored_plan(run: Path) -> dict[str, Any]:
    """Return the run's resolved recipe; empty where it is missing or damaged."""
    path = run / PLAN
    try:
        plan = read_json(path) if path.is_file() else {}
    except UserError:
        return {}
    return plan if isinstance(plan, dict) else {}


def needs_trust(plan: dict[str, Any]) -> bool:
    """Tell whether the recipe of a plan runs code that is not tinysight's: a class, or a program in a file."""
    model = plan.get("model")
    model = model if isinstance(model, dict) else {}
    return ":" in str(model.get("name", "")) or str(model.get("checkpoint", "")).endswith(PROGRAM)


def recipe_text(plan: dict[str, Any]) -> str:
    """Return the plan as a recipe, YAML; empty where the run came from live objects, which only its script has."""
    data = plan.get("data")
    if not isinstance(data, dict) or "reader" not in data:
        return ""
    return yaml.safe_dump(plan, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
