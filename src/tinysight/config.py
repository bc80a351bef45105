"""The base of everything a user may write in a recipe: unknown keys are errors, values do not change."""

from __future__ import annotations

import hashlib
import json
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

__all__ = ["Config", "digest_of"]


class Config(BaseModel):
    """A group of settings: immutable, typed, of finite numbers, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_for_numbers(cls, value: Any, about: ValidationInfo) -> Any:
        """Refuse ``yes`` where a number stands, which Python would take for 1."""
        annotation = cls.model_fields[about.field_name or ""].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError("must be a number, not yes or no")
        return value

    def differs(self, setting: str) -> bool:
        """Tell whether a setting is not its default; a plan that is read again spells defaults out."""
        return bool(getattr(self, setting) != type(self).model_fields[setting].default)


def digest_of(content: Any) -> str:
    """Return 12 hexadecimal digits that identify JSON-like ``content``, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
