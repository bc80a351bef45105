"""Zeros and their places: which of a network's weights are zero, and keeping them so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Scope", "chosen", "hold", "holding", "places_of_zeros", "sparsity_of", "weights_of"]

Scope = Literal["layer", "global"]

LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def weights_of(module: nn.Module, wanted: Collection[str] | None = None) -> dict[str, nn.Parameter]:
    """Return the weights of convolutions and linear layers by name; biases and norms are few and matter each.

    A weight that layers share is one; ``wanted`` are paths of layers, by default all.
    """
    found: dict[int, tuple[str, nn.Parameter]] = {}
    for path, layer in module.named_modules():
        if isinstance(layer, LAYERS) and (wanted is None or path in wanted):
            weight = layer._parameters.get("weight")
            if weight is not None:  # computed anew at every run, it is no weight of its own
                found.setdefault(id(weight), (f"{path}.weight" if path else "weight", weight))
    return dict(found.values())


def chosen(scores: Mapping[str, Tensor], sparsity: float, scope: Scope) -> dict[str, Tensor]:
    """Return which weights stay: of every layer, or of all together, all but the share ``sparsity`` that scores least.

    Exactly that share goes, to the nearest whole weight: among equal scores the first go.
    """
    if scope == "layer":
        return {name: _all_but_least(each.flatten(), sparsity).reshape(each.shape) for name, each in scores.items()}
    together = _all_but_least(torch.cat([each.flatten() for each in scores.values()]), sparsity)
    parts = torch.split(together, [each.numel() for each in scores.values()])
    return {name: part.reshape(each.shape) for (name, each), part in zip(scores.items(), parts, strict=True)}


def hold(weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
    """Set to zero, in place, what ``masks`` leave out."""
    with torch.no_grad():
        for name, mask in masks.items():
            weights[name].mul_(mask.to(weights[name].device))


def holding(student: Network) -> Callable[[int], None]:
    """Return what keeps, after every step of a training, the zeros that ``student`` has now."""
    weights = weights_of(student.module)
    masks = places_of_zeros(weights)
    return lambda _step: hold(weights, masks)


def places_of_zeros(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the masks of weights as they are: what is zero stays zero."""
    return {name: weight.detach() != 0 for name, weight in weights.items()}


def sparsity_of(weights: Mapping[str, Tensor]) -> float:
    """Return the share of zeros."""
    total = sum(weight.numel() for weight in weights.values())
    return 1 - sum(int(torch.count_nonzero(weight)) for weight in weights.values()) / total


def _all_but_least(scores: Tensor, sparsity: float) -> Tensor:
    stays = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    stays[scores.argsort(stable=True)[: round(sparsity * len(scores))]] = False
    return stays
