"""tinysight: the smallest, fastest network that still meets your accuracy floor, measured on the file that ships.

Importing this package imports neither torch nor an engine; each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinysight.data import Dataset as Dataset
    from tinysight.data import InputPolicy as InputPolicy
    from tinysight.dry_run import cuttable as cuttable
    from tinysight.engines.bundle import Bundle as Bundle
    from tinysight.engines.settings import EngineSettings as EngineSettings
    from tinysight.errors import UserError as UserError
    from tinysight.live import reduce as reduce
    from tinysight.models.spec import ModelSpec as ModelSpec
    from tinysight.pipeline import Result as Result
    from tinysight.recipe import load_recipe as load_recipe
    from tinysight.reduction.network import Network as Network
    from tinysight.reduction.network import load_network as load  # noqa: F401
    from tinysight.reduction.step import Step as Step
    from tinysight.search.goal import Goal as Goal
    from tinysight.search.goal import Limits as Limits
    from tinysight.training.settings import Training as Training
    from tinysight.verbs import reduce_recipe as reduce_recipe

_HOMES = {
    "Bundle": "engines.bundle:Bundle",
    "Dataset": "data:Dataset",
    "EngineSettings": "engines.settings:EngineSettings",
    "Goal": "search.goal:Goal",
    "InputPolicy": "data:InputPolicy",
    "Limits": "search.goal:Limits",
    "ModelSpec": "models.spec:ModelSpec",
    "Network": "reduction.network:Network",
    "Result": "pipeline:Result",
    "Step": "reduction.step:Step",
    "Training": "training.settings:Training",
    "UserError": "errors:UserError",
    "cuttable": "dry_run:cuttable",
    "load": "reduction.network:load_network",
    "load_recipe": "recipe:load_recipe",
    "reduce": "live:reduce",
    "reduce_recipe": "verbs:reduce_recipe",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tinysight' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(f"tinysight.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(_HOMES)
