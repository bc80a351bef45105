"""Scores: how much each single weight matters. Add a function, add a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from tinysight.reduction.network import Network
from tinysight.reduction.sparsity.masks import weights_of
from tinysight.reduction.verify import InDouble

__all__ = ["SCORES", "Evidence", "Scores"]

Scores = dict[str, Tensor]
"""By a weight's name a number for each of its entries; the least go first."""


@dataclass(frozen=True)
class Evidence:
    """What scores may look at; whatever runs the network runs a copy of it.

    ``weights`` are the network's own that are judged, by name; ``guesses`` runs a network and gives the loss of each of
    some training batches on labels drawn from its own scores.
    """

    network: Network
    weights: Mapping[str, Tensor]
    guesses: Callable[[Network], Iterator[Tensor]]
    seed: int


def _magnitude(evidence: Evidence) -> Scores:
    """The absolute value (Han et al. 2015). L1 and L2 rank single weights alike, so there is one of them."""
    return {name: weight.detach().abs() for name, weight in evidence.weights.items()}


def _random(evidence: Evidence) -> Scores:
    """A number by chance, the same for the same seed; what is zero already goes first."""
    chance = torch.Generator().manual_seed(evidence.seed)
    drawn = {name: torch.rand(weight.shape, generator=chance) for name, weight in evidence.weights.items()}
    return {
        name: each.to(evidence.weights[name].device) * (evidence.weights[name] != 0) for name, each in drawn.items()
    }


def _obd(evidence: Evidence) -> Scores:
    """Optimal Brain Damage: half the loss's second derivative times the weight squared (LeCun et al. 1990, eq. 5).

    Of the Hessian the diagonal of its Gauss-Newton part, as there: the mean squared gradient on drawn labels.
    """
    network = evidence.network.copy()
    own = weights_of(network.module)
    squares = {name: torch.zeros_like(own[name]) for name in evidence.weights}
    batches = 0
    for loss in evidence.guesses(network):
        network.module.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        batches += 1
        for name, square in squares.items():
            gradient = own[name].grad
            if gradient is not None:
                square += gradient.square()
    return {name: weight.detach().square() * squares[name] / (2 * batches) for name, weight in evidence.weights.items()}


def _synflow(evidence: Evidence) -> Scores:
    """How much flows through a weight, |θ ∂R/∂θ| (Tanaka et al. 2020, eq. 1).

    R is the sum of outputs for an image of ones when all weights are positive. It needs no data. In double
    precision: the flow through a deep network leaves the range of single precision.
    """
    module = evidence.network.copy().module.double().eval()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.abs_()
    own = {name: weight.requires_grad_() for name, weight in weights_of(module).items()}
    ones = torch.ones_like(evidence.network.example()).to(next(iter(own.values())))
    with InDouble():
        flow = sum(each.sum() for each in tree_leaves(module(ones)))
    gradients = torch.autograd.grad(torch.as_tensor(flow), [own[name] for name in evidence.weights], allow_unused=True)
    pairs = zip(evidence.weights, gradients, strict=True)
    return {
        name: torch.zeros_like(own[name]) if gradient is None else (own[name] * gradient).detach().abs()
        for name, gradient in pairs
    }


SCORES: dict[str, Callable[[Evidence], Scores]] = {
    "magnitude": _magnitude,
    "random": _random,
    "obd": _obd,
    "synflow": _synflow,
}
