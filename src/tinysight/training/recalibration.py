"""Batch-norm statistics, measured again."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tinysight.progress import Tick
from tinysight.training.batches import Batch

__all__ = ["batch_norms", "recalibrate"]


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms that keep running statistics."""
    return [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


def recalibrate(network: nn.Module, batches: Iterable[Batch], *, device: str, tick: Tick) -> None:
    """Replace running means and variances by plain averages over ``batches``; everything else stays as it is."""
    norms = batch_norms(network)
    momenta = [norm.momentum for norm in norms]
    network.to(device).eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch then averages all batches alike
        norm.train()
    with torch.no_grad():
        for images, *_ in batches:
            # Batch norm needs two values a channel even at 1 x 1 pixels.
            shown = images if len(images) > 1 else torch.cat([images, images])
            network(shown.to(device))
            tick(len(images))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.to("cpu").eval()
