"""Transfer learning: parts of a network that stay as they are for some epochs, or learn at a rate of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from torch import nn

from tinysight.errors import UserError, nearest
from tinysight.training.settings import Training

__all__ = ["freeze", "rate_groups", "refuse_unknown_parts"]

Value = TypeVar("Value", int, float)

WRAPPED = "network."
"""What ``Scores`` puts before the names of a network's modules."""


def refuse_unknown_parts(network: nn.Module, settings: Training) -> None:
    """Look for the parts that ``rates`` and ``freeze`` name.

    Raises:
        UserError: the network has no module of such a name.
    """
    known = [_plain(name) for name, _ in network.named_modules() if name]
    for setting, parts in (("rates", settings.rates), ("freeze", settings.freeze)):
        for part in parts:
            if part not in known:
                close = nearest(part, known)
                hint = f"did you mean '{close}'?" if close else "'tinysight draw' lists the names"
                raise UserError(f"train.{setting}: the network has no part '{part}': {hint}")


def rate_groups(network: nn.Module, settings: Training) -> list[dict[str, Any]]:
    """Return an optimizer's groups: the weights to train, by the rate that the most particular part gives them."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(_particular(_plain(name), settings.rates, 1.0), []).append(parameter)
    return [{"params": members, "lr": settings.learning_rate * rate} for rate, members in groups.items()]


def freeze(network: nn.Module, settings: Training, epoch: int, trained: Iterable[str]) -> None:
    """Put the network into training mode for an epoch, counted from 0, but for the parts that stay as they are.

    Those keep their weights and the statistics of their batch norms. ``trained`` are the names of the weights that
    may change at all.

    Raises:
        UserError: nothing is left to train.
    """
    network.train()
    for name, module in network.named_modules():
        if epoch < _particular(_plain(name), settings.freeze, 0):
            module.training = False
    allowed = set(trained)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in allowed and epoch >= _particular(_plain(name), settings.freeze, 0))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UserError(f"train.freeze leaves no weight to train in epoch {epoch + 1}: leave a part of the network out")


def _plain(name: str) -> str:
    return name.removeprefix(WRAPPED)


def _particular(name: str, parts: Mapping[str, Value], otherwise: Value) -> Value:
    """Return what the longest of the ``parts`` says that ``name`` lies in."""
    inside = [part for part in parts if name == part or name.startswith(f"{part}.")]
    return parts[max(inside, key=len)] if inside else otherwise
