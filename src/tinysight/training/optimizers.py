"""The optimizers a recipe may name: a row each. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["OPTIMIZERS", "OptimizerRow", "optimizer_of"]


@dataclass(frozen=True)
class OptimizerRow:
    """The class of ``torch.optim``, what it is given besides rate and weight decay, and where it comes from."""

    torch_class: str
    about: str
    given: Mapping[str, Any] = field(default_factory=dict)


OPTIMIZERS: dict[str, OptimizerRow] = {
    "adamw": OptimizerRow("AdamW", "Adam with decoupled weight decay (Loshchilov and Hutter 2019)"),
    "adam": OptimizerRow("Adam", "adaptive moments (Kingma and Ba 2015)"),
    "adamax": OptimizerRow("Adamax", "Adam by the infinity norm (Kingma and Ba 2015)"),
    "nadam": OptimizerRow("NAdam", "Adam with Nesterov momentum (Dozat 2016)"),
    "radam": OptimizerRow("RAdam", "Adam with rectified variance (Liu et al. 2020)"),
    "rmsprop": OptimizerRow("RMSprop", "a running mean of squared gradients (Tieleman and Hinton 2012)"),
    "adagrad": OptimizerRow("Adagrad", "the sum of squared gradients (Duchi et al. 2011)"),
    "adadelta": OptimizerRow("Adadelta", "a running mean of squared updates too (Zeiler 2012)"),
    "sgd": OptimizerRow("SGD", "gradient descent with Nesterov momentum 0.9", {"momentum": 0.9, "nesterov": True}),
    "sgd_plain": OptimizerRow("SGD", "gradient descent without momentum"),
}


def optimizer_of(name: str, groups: list[dict[str, Any]], weight_decay: float) -> torch.optim.Optimizer:
    """Return the optimizer ``name`` of parameter groups that hold their own rates."""
    import torch

    row = OPTIMIZERS[name]
    made: torch.optim.Optimizer = getattr(torch.optim, row.torch_class)(groups, weight_decay=weight_decay, **row.given)
    return made
