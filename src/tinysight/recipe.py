"""Recipe: the schema of a whole run, with overrides, and every mistake reported at once. Imports no torch."""

from __future__ import annotations

import math
import os
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, InstanceOf, ValidationError, ValidationInfo, field_validator, model_validator

from tinysight.config import Config
from tinysight.data import InputPolicy
from tinysight.data.readers import READERS, Reader
from tinysight.data.splits import TEST_FRACTION, VAL_FRACTION
from tinysight.engines import ENGINES
from tinysight.engines.settings import EngineSettings
from tinysight.errors import UserError, nearest, unknown_name
from tinysight.files import parse_yaml, read_json
from tinysight.models.settings import ONNX_FILE, ModelSettings
from tinysight.reduction.step import Kind, Reduction
from tinysight.reduction.table import METHODS
from tinysight.search.goal import Goal
from tinysight.search.recovery import with_recovery
from tinysight.search.walk import SHORTLIST, Stage
from tinysight.tasks import TASKS
from tinysight.training.settings import Training

__all__ = ["Recipe", "load_recipe", "parse_recipe", "parse_stages", "recipe_of_run"]

LONGEST_NAME = 60
MOST_VARIANTS = 1000
"""A sweep of more is a mistyped list: nobody waits for it."""
MOST_SET_ASIDE = 0.9
NAMES_OF_USERS = "classes"
"""What stands under it are names: a class may be called path."""
STAGE_KEYS = {"heals", "name", "recover", "shortlist", "variants"}
_LIST, _SETTINGS = "must be a list, such as [a, b]", "must be settings, such as {name: value}"
KINDS = {
    "tuple_type": _LIST, "list_type": _LIST, "dict_type": _SETTINGS, "model_type": _SETTINGS,
    "path_type": "must be one path",
}  # fmt: skip
"""What YAML calls the things that pydantic names by their types in Python."""


class Recipe(Config):
    """A whole run.

    ``val_fraction`` and ``test_fraction`` of the training images are set aside where the data has no val or no test
    split. ``train`` says how the reference is trained; leave it out for a checkpoint that is trained already.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    task: str = "segmentation"
    data: Reader
    val_fraction: float = Field(VAL_FRACTION, gt=0, lt=0.9)
    test_fraction: float = Field(TEST_FRACTION, gt=0, lt=0.9)
    model: ModelSettings = ModelSettings()
    input: InputPolicy = InputPolicy()
    train: Training | None = None
    stages: tuple[InstanceOf[Stage], ...] = ()
    goal: Goal = Goal()
    engine: EngineSettings = Field(default_factory=EngineSettings)
    seed: int = Field(0, ge=0, le=2**31 - 1)
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")

    @field_validator("test_fraction")
    @classmethod
    def _leaves_some_to_train(cls, test_fraction: float, known: ValidationInfo) -> float:
        if known.data.get("val_fraction", 0) + test_fraction > MOST_SET_ASIDE:
            raise ValueError(f"with val_fraction it is more than {MOST_SET_ASIDE:g}: leave images to train on")
        return test_fraction

    @field_validator("train")
    @classmethod
    def _suits_the_task(cls, train: Training | None, known: ValidationInfo) -> Training | None:
        task = TASKS.get(known.data.get("task", ""))
        if train and task and (reason := train.refuse_for(task)):
            raise ValueError(reason)
        return train

    @model_validator(mode="after")
    def _trains_what_can_be_trained(self) -> Recipe:
        if self.train and self.model.whole and self.model.whole.suffix == ONNX_FILE:
            raise ValueError("train: an ONNX file cannot be trained: leave train out")
        return self

    def plan(self) -> dict[str, Any]:
        """Return the resolved recipe, JSON-like: equal plans are equal runs."""
        content = self.model_dump(mode="json", exclude={"data", "stages"})
        content["data"] = self.data.model_dump(mode="json")
        content["stages"] = [stage.plan() for stage in self.stages]
        if self.val_fraction == VAL_FRACTION:  # plans without it mean the same
            del content["val_fraction"]
        if self.model.whole:
            content["model"] = {"checkpoint": content["model"]["checkpoint"], "output": self.model.output}
            content["input"] = self.input.model_dump(mode="json", exclude_unset=True)  # the file says the rest
        elif self.model.checkpoint:  # whose settings these are not
            content["model"] = {"checkpoint": content["model"]["checkpoint"]}
            del content["input"]
            if views := self.input.asked_views:
                content["input"] = views
        if self.normalised_by_weights:
            del content["input"]["mean"], content["input"]["std"]
        return content

    @property
    def normalised_by_weights(self) -> bool:
        """Whether mean and std are left to the pretrained weights, which know what they were trained with."""
        said = {"mean", "std"} & self.input.model_fields_set
        return bool(self.model.pretrained) and not said and self.input.normalised_by == "tinysight"


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML recipe, apply ``key.path=value`` overrides, and check everything.

    Relative paths in it count from the recipe, in overrides from the working directory; ``$NAME`` stands for an
    environment variable.

    Raises:
        UserError: the file is missing or broken, or its settings are wrong: all of them in one message.
    """
    path = Path(path)
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"the recipe {path} does not exist: check the path") from None
    except OSError as error:
        raise UserError(
            f"the recipe {path} cannot be read ({error.strerror}): give a YAML file you may read"
        ) from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise UserError(f"the recipe {path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"the recipe {path} must hold keys and values, such as 'data: …'")
    content.setdefault("name", re.sub(r"[^A-Za-z0-9._-]", "-", path.stem))
    return parse_recipe(content, overrides, path)


def parse_recipe(content: dict[str, Any], overrides: Sequence[str], path: Path) -> Recipe:
    """Turn what stands in a recipe at ``path`` into a recipe, with overrides.

    Raises:
        UserError: its settings are wrong: all of them in one message.
    """
    _spell_engine_out(content)
    problems = _apply_overrides(content, overrides)
    recipe = _parse(content, path.parent, problems)
    if recipe is None:
        raise UserError(_report(problems, path))
    return recipe


def parse_stages(content: Any, problems: list[str], base: Path = Path()) -> tuple[Stage, ...]:
    """Turn a recipe's ``stages`` into stages; what is wrong is appended to ``problems``.

    A stage is a method's name, ``method: {settings}``, or ``name: …`` with ``variants``, a list of the former, and
    perhaps a ``shortlist``, ``recover: false`` or ``heals: true``. ``sweep: {method: {settings}}`` stands for one
    variant for every combination of the values listed. Relative paths are relative to ``base``. Behind stages that
    cut, a recovery is added where no stage trains.
    """
    if not isinstance(content, list):
        problems.append("stages: must be a list, such as [trim, int8]")
        return ()
    stages = []
    for number, entry in enumerate(content):
        where = f"stages.{number}"
        if isinstance(entry, dict) and "variants" in entry:
            strangers = sorted(_brief(key) for key in entry.keys() - STAGE_KEYS)
            problems += [_unknown_key(f"{where}.{key}", key, sorted(STAGE_KEYS)) for key in strangers]
            listed = entry["variants"] if isinstance(entry["variants"], list) else [entry["variants"]]
            places = [(item, f"{where}.variants.{i}") for i, item in enumerate(listed)]
            variants = [variant for item, place in places for variant in _variants(item, place, base, problems)]
            if not listed:
                problems.append(f"{where}.variants: is empty, name at least one method, or take the stage out")
            name, shortlist = _brief(entry.get("name", where)), _shortlist(entry, where, problems)
            recover = _flag(entry, "recover", True, where, problems)
            heals = _flag(entry, "heals", False, where, problems)
        else:
            variants = _variants(entry, where, base, problems)
            name, shortlist, recover, heals = variants[0].name if variants else where, SHORTLIST, True, False
        problems += _twice(variants, where)
        stages.append(Stage(name, tuple(variants), shortlist, recover, heals))
    problems += _illegal_orders(stages)
    return with_recovery(stages)


def _twice(variants: Sequence[Reduction], where: str) -> Iterator[str]:
    """Name every variant that stands twice: one candidate would come of both."""
    plans = [(variant.name, variant.model_dump_json()) for variant in variants]
    for number, variant in enumerate(variants):
        if plans[number] in plans[:number]:
            yield f"{where}: the variant '{variant.label}' stands twice: take one out"


def _shortlist(entry: Mapping[str, Any], where: str, problems: list[str]) -> int | Literal["all"]:
    count = entry.get("shortlist", SHORTLIST)
    if count == "all":
        return "all"
    if isinstance(count, int) and not isinstance(count, bool) and count >= 1:
        return count
    problems.append(f"{where}.shortlist: must be a whole number from 1 on, or all (got {_shown(count)})")
    return SHORTLIST


def _flag(entry: Mapping[str, Any], key: str, default: bool, where: str, problems: list[str]) -> bool:
    flag = entry.get(key, default)
    if not isinstance(flag, bool):
        problems.append(f"{where}.{key}: must be true or false (got {_shown(flag)})")
    return bool(flag)


def _parse(content: dict[str, Any], base: Path, problems: list[str]) -> Recipe | None:
    """Build the recipe from its sections, each checked by its own schema so that all mistakes are found."""
    content = dict(content)
    values: dict[str, Any] = {}
    data = content.pop("data", None)
    values["data"] = _reader(data, base, problems)
    if "stages" in content:
        values["stages"] = parse_stages(content.pop("stages"), problems, base)
    for key in ("weights", "checkpoint"):
        if isinstance(content.get("model"), dict) and content["model"].get(key):
            content["model"] = content["model"] | {key: _path(content["model"][key], base, f"model.{key}", problems)}
    _check_name(content.get("task", "segmentation"), "task", TASKS, problems)
    _spell_engine_out(content)
    engine = content.get("engine")
    if isinstance(engine, dict):
        _check_name(engine.get("name", "openvino"), "engine", ENGINES, problems)
    try:
        recipe = Recipe.model_validate(content | values)
    except ValidationError as error:
        # What is wrong with the data section has been said above, in its own schema's words.
        problems.extend(line for line in _describe(error, "", Recipe) if not line.startswith("data:"))
        return None
    return None if problems else recipe


def _spell_engine_out(content: dict[str, Any]) -> None:
    """Turn ``engine: onnxruntime`` into ``engine: {name: onnxruntime}``, so that its other settings have a place."""
    if isinstance(content.get("engine"), str):
        content["engine"] = {"name": content["engine"]}


def _checked(model: type[BaseModel], settings: Any, where: str, problems: list[str]) -> Any:
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        problems.extend(_describe(error, where, model))
        return None


def _reader(settings: Any, base: Path, problems: list[str]) -> Reader | None:
    if not isinstance(settings, dict):
        problems.append("data: missing; say which reader and where, such as {reader: image_mask, path: photos}")
        return None
    if "reader" not in settings:
        problems.append(f"data.reader: missing; choose one of: {', '.join(sorted(READERS))}")
        return None
    if not _is_in(READERS, settings["reader"]):
        problems.append(f"data: {unknown_name('reader', _brief(settings['reader']), READERS)}")
        return None
    if "path" in settings:
        settings = settings | {"path": _path(settings["path"], base, "data.path", problems)}
    built: Reader | None = _checked(READERS[settings["reader"]], settings, "data", problems)
    return built


def _path(value: Any, base: Path, where: str, problems: list[str]) -> Any:
    if isinstance(value, list):
        return [_path(each, base, where, problems) for each in value]
    if not isinstance(value, str):
        return value  # the schema says what is wrong with it
    if not value.strip():
        problems.append(f"{where}: is empty: name a file or folder, or leave it out")
    expanded = os.path.expanduser(os.path.expandvars(value))
    if missing := re.search(r"\$\{?(\w+)", expanded):
        problems.append(f"{where}: the environment variable {missing[1]} is not set: export it, or write the path")
    return (base / expanded).absolute()


def _variants(entry: Any, where: str, base: Path, problems: list[str]) -> list[Reduction]:
    """Return the variant that ``entry`` describes, or those of its sweep; none where something is wrong."""
    swept = isinstance(entry, dict) and list(entry) == ["sweep"]
    if swept and (count := _combinations(entry["sweep"])) > MOST_VARIANTS:
        problems.append(
            f"{where}.sweep: has {_shown(count)} combinations, more than {MOST_VARIANTS}: list fewer values"
        )
        return []
    entries = _swept(entry["sweep"]) if swept else [entry]
    if not entries:
        problems.append(f"{where}.sweep: a list is empty, so there is nothing to go through: give it values")
    before = len(problems)
    variants = [_variant(one, where, base, problems) for one in entries]
    problems[before:] = dict.fromkeys(problems[before:])  # what is wrong with a whole sweep is said once
    return [variant for variant in variants if variant is not None]


def _combinations(sweep: Any) -> int:
    settings = next(iter(sweep.values())) if isinstance(sweep, dict) and len(sweep) == 1 else None
    values = settings.values() if isinstance(settings, dict) else []
    return math.prod(len(value) for value in values if isinstance(value, list))


def _swept(sweep: Any) -> list[Any]:
    """Return one entry for every combination of the values that ``{method: {setting: [values]}}`` lists."""
    if not isinstance(sweep, dict) or len(sweep) != 1 or not isinstance(next(iter(sweep.values())), dict):
        return [[sweep]]  # which no method is: the message is the usual one
    (name, settings) = next(iter(sweep.items()))
    ranges = [value if isinstance(value, list) else [value] for value in settings.values()]
    return [{name: dict(zip(settings, values, strict=True))} for values in product(*ranges)]


def _variant(entry: Any, where: str, base: Path, problems: list[str]) -> Reduction | None:
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        problems.append(
            f"{where}: write a method's name, or one method with its settings, such as 'int8: {{images: 100}}'"
        )
        return None
    (name, settings) = next(iter(entry.items()))
    if not _is_in(METHODS, name):
        problems.append(f"{where}: {unknown_name('method', _brief(name), METHODS)}")
        return None
    settings = {} if settings is None else settings
    if isinstance(settings, dict):
        paths = _path_settings(METHODS[name]) & settings.keys()
        settings = settings | {key: _path(settings[key], base, f"{where}.{name}.{key}", problems) for key in paths}
    built: Reduction | None = _checked(METHODS[name], settings, f"{where}.{name}", problems)
    return built


def _path_settings(method: type[Reduction]) -> set[str]:
    """Return the settings of a method that name files."""
    return {
        key for key, field in method.model_fields.items() if Path in (field.annotation, *get_args(field.annotation))
    }


def _illegal_orders(stages: Sequence[Stage]) -> Iterator[str]:
    """Name every stage that stands after a kind of change it cannot follow, each reason once."""
    before: dict[Kind, str] = {}
    for number, stage in enumerate(stages):
        reasons = (variant.refuse_after(list(before)) for variant in stage.variants)
        yield from dict.fromkeys(f"stages.{number}: {reason}" for reason in reasons if reason)
        for variant in stage.variants:
            before.setdefault(variant.changes, stage.name)


def _apply_overrides(content: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    problems = []
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            problems.append(f"'{override}': write an override as key=value, such as train.epochs=3")
            continue
        try:
            value = parse_yaml(text)
        except ValueError as error:
            problems.append(f"'{override}': the value is not valid YAML ({error})")
            continue
        if NAMES_OF_USERS not in key.split("."):
            value = _from_here(key.split(".")[-1], value)
        try:
            _set(content, key.split("."), value)
        except (IndexError, ValueError, TypeError):
            problems.append(f"'{override}': the recipe has no place '{key}'")
    return problems


def _from_here(key: str, value: Any) -> Any:
    """Return a value of the command line, in which every path counts from the working folder."""
    if isinstance(value, dict) and key != NAMES_OF_USERS:
        return {name: _from_here(name, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_from_here(key, each) for each in value]
    if isinstance(value, str) and value and key in _path_keys():
        return os.path.join(os.getcwd(), os.path.expanduser(os.path.expandvars(value)))
    return value


def _path_keys() -> set[str]:
    """Return the names of all settings that are paths."""
    return {"path", "checkpoint", "weights"}.union(*(_path_settings(method) for method in METHODS.values()))


def _set(place: Any, keys: Sequence[str], value: Any) -> None:
    """Set ``value`` at the path ``keys``; numbers index lists, missing groups are made."""
    first, rest = (int(keys[0]) if isinstance(place, list) else keys[0]), keys[1:]
    if not rest:
        place[first] = value
        return
    if isinstance(place, dict) and place.get(first) is None:
        place[first] = {}
    _set(place[first], rest, value)


def _check_name(name: Any, where: str, table: Mapping[str, Any], problems: list[str]) -> None:
    if not _is_in(table, name):
        problems.append(f"{where}: {unknown_name(where, _brief(name), table)}")


def _is_in(table: Mapping[str, Any], name: Any) -> bool:
    return isinstance(name, str) and name in table


def _brief(value: Any) -> str:
    """Show what stands where a name should: a name as it is, anything else as a value."""
    plain = isinstance(value, str) and len(value) <= LONGEST_NAME and value.isprintable()
    return value if plain else _shown(value)


def _shown(value: Any) -> str:
    """Show a value in a message, shortened."""
    try:
        return reprlib.repr(str(value) if isinstance(value, Path) else value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"


def _describe(error: ValidationError, prefix: str, model: type[BaseModel]) -> Iterator[str]:
    """Turn pydantic's findings into lines 'key: what is wrong', with the nearest valid key for an unknown one."""
    for problem in error.errors():
        place = [_brief(part) for part in problem["loc"]]
        where = ".".join(([prefix] if prefix else []) + place)
        if problem["type"] == "extra_forbidden":
            yield _unknown_key(where, place[-1], _valid_keys(model, place[:-1]))
        else:
            message = KINDS.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
            shown = "" if problem["type"] == "missing" else f" (got {_shown(problem['input'])})"
            # What is wrong between sections names them itself, and the whole recipe is no value to show.
            yield f"{where}: {message[0].lower()}{message[1:]}{shown}" if where else message


def _valid_keys(model: type[BaseModel], place: Sequence[str]) -> list[str]:
    """Follow ``place`` into the sections of ``model`` and return the keys that are valid there."""
    current: Any = model
    for part in place:
        annotation = current.model_fields[part].annotation
        arguments = [annotation, *getattr(annotation, "__args__", ())]
        current = next(kind for kind in arguments if isinstance(kind, type) and issubclass(kind, BaseModel))
    return list(current.model_fields)


def _unknown_key(where: str, key: str, valid: Sequence[str]) -> str:
    if not valid:
        return f"{where}: unknown key, it takes no settings"
    close = nearest(key, valid)
    return f"{where}: unknown key, " + (
        f"did you mean '{close}'?" if close else f"valid are {', '.join(sorted(valid))}"
    )


def _report(problems: Sequence[str], path: Path) -> str:
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {path}:"
    return "\n".join([count, *(f"  {problem}" for problem in problems)])


def recipe_of_run(run: Path) -> Recipe:
    """Rebuild the recipe of a run from its ``plan.json``.

    Raises:
        UserError: the folder is no run, its plan is damaged, or the run came from live objects, which only its script
            can continue.
    """
    path = run / "plan.json"
    if not path.is_file():
        raise UserError(
            f"{run} is not a run: it has no plan.json; give the folder that 'reduce' named at its beginning"
        )
    remedy = f"run reduce with the recipe, --out {run} and --update"
    content = read_json(path, remedy)
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict):
        raise UserError(f"{path} is damaged (it holds no plan): {remedy}")
    if "reader" not in data:
        raise UserError(
            f"{run} was made from live objects in Python: only the same script, with out='{run}', can continue it and "
            "read its data"
        )
    problems: list[str] = []
    recipe = _parse(content, run, problems)
    if recipe is None:
        raise UserError(_report(problems, path))
    return recipe
