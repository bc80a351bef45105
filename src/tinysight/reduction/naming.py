"""Layers as recipes name them: by module path, with all that lies inside."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tinysight.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import nn

__all__ = ["is_inside", "is_wanted", "refuse_unknown_layers"]


def is_inside(path: str, wholes: Collection[str]) -> bool:
    """Tell whether a module is one of ``wholes`` or lies inside one."""
    return any(path == whole or path.startswith(f"{whole}.") for whole in wholes)


def is_wanted(paths: Collection[str], layers: Collection[str], protect: Collection[str]) -> bool:
    """Tell whether one of ``paths`` lies in ``layers``, which where empty mean all, and none in ``protect``."""
    asked = not layers or any(is_inside(path, layers) for path in paths)
    return asked and not any(is_inside(path, protect) for path in paths)


def refuse_unknown_layers(method: str, module: nn.Module, layers: Collection[str]) -> None:
    """Refuse names that the network has not.

    Raises:
        UserError: with the nearest name there is.
    """
    paths = dict(module.named_modules())
    for layer in layers:
        if layer not in paths:
            close = nearest(layer, paths)
            hint = f"did you mean '{close}'?" if close else "name a module by its path; 'tinysight draw' lists them"
            raise UserError(f"{method}: there is no layer '{layer}': {hint}")
