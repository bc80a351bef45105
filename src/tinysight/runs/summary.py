"""What ``result.json`` says of a finished run: its field names are the contract with users' scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tinysight.config import Config
from tinysight.errors import UserError
from tinysight.files import read_json
from tinysight.measure.records import Quality
from tinysight.runs.folder import RESULT
from tinysight.runs.records import Drop

__all__ = ["Summary", "read_summary"]


class Check(Config):
    """The choice on test images, which no decision has seen."""

    images: int
    reference: Quality
    best: Quality
    drop: Drop
    verdict: str
    why: str


class Floor(Config):
    """What the validation images can certify."""

    split: str
    unit: str
    units: int
    certifiable_drop: float


class Baseline(Config):
    """What the reductions are held against besides the compiled reference; bytes, milliseconds.

    A reference that is no PyTorch network has no eager time.
    """

    checkpoint_bytes: int
    live_weight_bytes: int
    eager_latency_ms: float | None = Field(gt=0)


class Environment(Config, extra="allow"):
    """Where everything was measured; more may stand here than is named."""

    cpu: str
    versions: dict[str, str]


def read_summary(run: Path) -> dict[str, Any] | None:
    """Return what ``result.json`` of a run says; None where there is none yet, or it is damaged."""
    try:
        known: dict[str, Any] = read_json(run / RESULT)
        Summary.model_validate(known)
    except (FileNotFoundError, UserError, ValidationError):
        return None
    return known


class Summary(Config):
    """The whole file. A file that is not of this form counts as never written: the check is made again."""

    schema_: int = Field(alias="schema")
    best: str
    reference: str
    goal: dict[str, Any]
    test: Check
    broken_limits: list[str]
    floor: Floor
    baseline: Baseline
    cautions: list[str]
    metric_definition: str
    mac_counter: str
    data: dict[str, int | str]
    environment: Environment
