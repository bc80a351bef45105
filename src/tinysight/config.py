"""The base of everything a user may write in a recipe: unknown keys are errors, values do not change."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["Config", "digest_of"]


class Config(BaseModel):
    """A group of settings: immutable, typed, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def digest_of(content: Any) -> str:
    """Return 12 hexadecimal digits that identify JSON-like ``content``, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
