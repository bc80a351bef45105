"""Layers as recipes name them: by module path, with all that lies inside."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tinysight.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import nn

    from tinysight.reduction.step import Reduction

__all__ = ["is_inside", "is_wanted", "refuse_nothing_left", "refuse_unknown_layers"]


def is_inside(path: str, wholes: Collection[str]) -> bool:
    """Tell whether a module is one of ``wholes`` or lies inside one."""
    return any(path == whole or path.startswith(f"{whole}.") for whole in wholes)


def is_wanted(paths: Collection[str], layers: Collection[str], protect: Collection[str]) -> bool:
    """Tell whether one of ``paths`` lies in ``layers``, which where empty mean all, and none in ``protect``."""
    asked = not layers or any(is_inside(path, layers) for path in paths)
    return asked and not any(is_inside(path, protect) for path in paths)


def refuse_nothing_left(layers: Collection[str], protect: Collection[str]) -> None:
    """Refuse settings by which every layer that is asked for is protected.

    Raises:
        ValueError: it is so.
    """
    if layers and all(is_inside(layer, protect) for layer in layers):
        raise ValueError("protect covers all of layers, so nothing is left to change: leave one of them out")


def refuse_unknown_layers(method: Reduction, module: nn.Module, *, of_teacher: bool = False) -> None:
    """Refuse names among a method's settings that ``module`` has not: the network that is reduced, or the teacher.

    Raises:
        UserError: with the nearest name there is.
    """
    from tinysight.reduction.onnx_file import OnnxFile

    paths = _paths(module)
    if of_teacher and method.teachers_layers and isinstance(module, OnnxFile):
        raise UserError(
            f"{method.name}: the reference is an ONNX file, whose modules cannot be tapped: use terms on scores"
        )
    named, whose = (method.teachers_layers, " in the teacher") if of_teacher else (method.named_layers, "")
    for layer in named:
        if not layer or layer not in paths:
            close = nearest(layer, paths)
            hint = f"did you mean '{close}'?" if close else "name a module by its path; 'tinysight draw' lists them"
            raise UserError(f"{method.name}: there is no layer '{layer}'{whose}: {hint}")


def _paths(module: nn.Module) -> set[str]:
    """Return what can be named: modules, weights that a network reads without a module, the layers of an ONNX file."""
    from tinysight.reduction.onnx_file import OnnxFile
    from tinysight.reduction.precision.placement import layers_of

    if isinstance(module, OnnxFile):
        return {layer.name for layer in layers_of(module.model())}
    modules = {path for path, _ in module.named_modules(remove_duplicate=False)}
    parameters = {path for path, _ in module.named_parameters(remove_duplicate=False)}
    return modules | {path for path in parameters if path.rpartition(".")[2] not in ("weight", "bias")}
