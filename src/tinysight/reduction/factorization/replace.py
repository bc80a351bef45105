"""Putting factors into a network, and proving that it computes what their products say."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tinysight.errors import one_line
from tinysight.reduction.factorization.forms import FORMS
from tinysight.reduction.verify import EXACT, InDouble, relative_difference, run, trains

__all__ = ["Factors", "refused", "replaced"]

Factors = Mapping[str, Mapping[str, Any]]
"""By a layer's path, its ``form`` and its ``ranks``: the record of a factorization."""


def replaced(module: nn.Module, factors: Factors) -> nn.Module:
    """Replace layers of ``module``, which is changed in place, by their factors."""
    for path, one in factors.items():
        layer: Any = module.get_submodule(path)
        made = FORMS[one["form"]](layer).factors(tuple(one["ranks"]))
        module.set_submodule(path, made.train(layer.training))
    return module


def refused(module: nn.Module, factors: Factors, images: Tensor) -> dict[str, str]:
    """Say by layer why its factors do not stand in for it in this network's own code; empty where all do."""
    if not _fault(module, factors, images):
        return {}
    faults = {path: _fault(module, {path: one}, images) for path, one in factors.items()}
    together = "does not go together with the other layers' factors"
    return {path: fault for path, fault in faults.items() if fault} or dict.fromkeys(factors, together)


def _fault(module: nn.Module, factors: Factors, images: Tensor) -> str:
    """Compare with the original in which every layer has the product of its factors for a weight, in float64."""
    thinner = replaced(copy.deepcopy(module), factors)
    original = copy.deepcopy(module).double()
    with torch.no_grad():
        for path, one in factors.items():
            layer: Any = original.get_submodule(path)
            parts: Any = thinner.get_submodule(path)
            layer.weight.copy_(FORMS[one["form"]](layer).product([part.weight.double() for part in parts]))
    try:
        with InDouble():
            found = run(copy.deepcopy(thinner).double(), images.double())
    except Exception as error:  # whatever the network's own code raises where it looks into the layer
        return f"the network does not run with its factors: {one_line(error, 160)}"
    if trains(module, images) and not trains(thinner, images):
        return "the network cannot be trained with its factors"
    with InDouble():
        off = relative_difference(run(original, images.double()), found)
    return "" if off <= EXACT else f"is also used otherwise: outputs differ by {off:.2g}"
