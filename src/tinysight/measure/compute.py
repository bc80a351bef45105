"""Multiply-accumulates, by one counter: torch's flop counter. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["COUNTER", "count_macs"]

COUNTER = "torch.utils.flop_counter (convolutions and matrix products; one MAC is two of its operations)"


def count_macs(scores: nn.Module, example: Tensor) -> int:
    """Return the multiply-accumulates of one forward pass over ``example``."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        scores.eval()(example)
    return int(counter.get_total_flops()) // 2
