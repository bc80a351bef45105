"""What tells candidates of one stage apart: their settings, and the seeds they were repeated with."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from tinysight.reduction.table import METHODS
from tinysight.runs.records import CandidateRecord

__all__ = ["Setting", "is_unset", "names_of", "seed_of", "setting_of", "title_of", "words_of"]


class Setting(NamedTuple):
    """What candidates that are shown as one have in common."""

    method: str
    config: str


def setting_of(record: CandidateRecord, alike: Collection[str]) -> Setting:
    """Return a candidate's setting, but for what is ``alike`` whatever it is."""
    method = record.steps[-1]["method"] if record.steps else record.stage
    rest = {key: value for key, value in record.config.items() if key not in alike}
    return Setting(method, json.dumps(rest, sort_keys=True))


def seed_of(record: CandidateRecord) -> Any:
    """Return the seed of a candidate's training: its own, or the run's."""
    seed = record.config.get("seed")
    return record.seed if seed is None else seed


def names_of(settings: Sequence[Setting]) -> list[str]:
    """Name each setting by its method and by what it sets otherwise than others of the same method."""
    return [", ".join([setting.method, *_differing(setting, settings)]) for setting in settings]


def title_of(stage: str, parent: str | None, by_id: Mapping[str, CandidateRecord]) -> str:
    """Name a stage of one parent; where the same was made of several networks, by its own parent too."""
    record = by_id.get(parent or "")
    if record is None:
        return stage
    alike = [other for other in by_id.values() if (other.stage, other.variant) == (record.stage, record.variant)]
    source = by_id.get(record.parent or "")
    made = f"{record.variant} of {source.variant}" if source and len(alike) > 1 else record.variant
    return f"{stage}, from {made}"


def is_unset(value: Any) -> bool:
    """Tell whether nobody gave a setting, or anything in a group of them."""
    return value is None or (isinstance(value, dict | list) and all(map(is_unset, _inside(value))))


def _inside(value: Any) -> Collection[Any]:
    return value.values() if isinstance(value, dict) else value


def words_of(key: str, value: Any) -> str:
    """Write a setting; of a group those that are set, of a path its end."""
    return " ".join([key, *_words(value)])


def _differing(setting: Setting, settings: Sequence[Setting]) -> Iterator[str]:
    alike = [json.loads(other.config) for other in settings if other.method == setting.method]
    void = _void(setting)
    for key, value in json.loads(setting.config).items():
        differs = any(other.get(key) != value for other in alike)
        if differs and key not in void and not _is_off(setting.method, key, value):
            yield words_of(key, value)


def _is_off(method: str, key: str, value: Any) -> bool:
    """Tell whether a setting is unset, or 0 where that is how a method leaves it: noise that is none."""
    if is_unset(value):
        return True
    field = METHODS[method].model_fields.get(key) if method in METHODS else None
    return not value and field is not None and field.default == value


def _void(setting: Setting) -> Collection[str]:
    """Return the settings that others make void; none where the method no longer takes them."""
    try:
        return METHODS[setting.method].model_validate_json(setting.config).void_settings
    except (KeyError, ValidationError):
        return ()


def _words(value: Any) -> Iterator[str]:
    """Write a value; of a group of settings those that are set."""
    if isinstance(value, list):
        yield " + ".join(" ".join(_words(one)) for one in value) or "none"
        return
    if not isinstance(value, dict):
        plain = f"{value:g}" if isinstance(value, float) else str(value)
        yield "none" if value is None else plain.rstrip("/").rpartition("/")[2]
        return
    known = {key: one for key, one in value.items() if not is_unset(one)}
    for key, one in sorted(known.items(), key=lambda item: isinstance(item[1], dict)):  # what is short comes first
        yield from (key,) if key == one else (key, *_words(one))
    if not known:
        yield "none"
