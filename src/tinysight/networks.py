"""Networks by what a user calls them: a recipe, a row of the zoo, a file, or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinysight.errors import UserError
from tinysight.models.catalogue import catalogue
from tinysight.models.zoo import ZOO
from tinysight.recipe import load_recipe, parse_recipe
from tinysight.reduction.network import Network, load_network

__all__ = ["is_recipe", "open_network"]

DRAWN = {"segmentation": {"reader": "facades"}, "classification": {"reader": "goods"}}
"""Data that a recipe may name without a file; nothing of it is drawn."""


def is_recipe(what: str) -> bool:
    """Tell whether ``what`` is meant to name a recipe."""
    return Path(what).suffix.lower() in {".yaml", ".yml"}


def open_network(what: str, overrides: Sequence[str], *, trust: bool) -> tuple[Network | None, Network]:
    """Return the network that ``what`` names, and what it was before its structure was cut, if it was.

    Args:
        what: a recipe, a row of the zoo, a program, or the folder of a checkpoint or candidate. Without a checkpoint
            its weights are random.
        overrides: of a recipe's settings, or of a row of the zoo: ``model.encoder=resnet50``, ``input.height=256``.
        trust: let a recipe import the network it names.

    Raises:
        UserError: there is no such network.
    """
    path = Path(what)
    if is_recipe(what):
        recipe = load_recipe(path, overrides)
        if recipe.model.checkpoint:
            return _loaded(recipe.model.checkpoint, trust)
        spec = recipe.model.spec(len(recipe.data.read().classes))
        return None, Network(spec.build(trust=trust), spec, recipe.input)
    if what in ZOO:
        return None, _of_zoo(what, overrides)
    if overrides:
        raise UserError(f"'{overrides[0]}' changes a recipe or a row of the zoo, and {what} is neither: leave it out")
    if not path.exists():
        raise UserError(
            f"'{what}' is no recipe, no folder and no row of 'tinysight list models': give one of these, such as pspnet"
        )
    return _loaded(path, trust)


def _of_zoo(name: str, overrides: Sequence[str]) -> Network:
    """Build a row of the zoo as it is listed first, with overrides as of a recipe."""
    listed = next(entry for entry in catalogue() if entry.name == name)
    model = {"name": name, "args": dict(listed.args)} | ({"encoder": listed.encoder} if listed.encoder else {})
    size = {"height": listed.size, "width": listed.size}
    content = {"name": name, "task": listed.task, "data": DRAWN[listed.task], "model": model, "input": size}
    recipe = parse_recipe(content, overrides, Path(name))
    spec = recipe.model.spec(listed.classes)
    return Network(spec.build(), spec, recipe.input)


def _loaded(path: Path, trust: bool) -> tuple[Network | None, Network]:
    network = load_network(path, trust=trust)
    if not any(step.kind == "structure" for step in network.steps):
        return None, network
    kept = tuple(step for step in network.steps if step.kind == "input")
    return Network(network.spec.build(trust=trust), network.spec, network.origin, kept), network
