"""Which parameters of a network reach its output, found by asking autograd."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

__all__ = ["live_parameters", "parameter_counts"]


def live_parameters(scores: nn.Module, example: Tensor) -> set[str]:
    """Return the names of the parameters that the output for ``example`` depends on.

    A parameter is live when the output's graph holds it, whatever its gradient's value. Networks that cut the graph
    themselves (argmax, detach inside forward) make live parameters look dead: prove a removal by comparing outputs.
    Where the network's code cannot be differentiated, because it overwrites what gradients need, all count as live.
    """
    probe = copy.deepcopy(scores).eval().requires_grad_(True)
    # Aliased parameters are one tensor under several names: all of them live or die together.
    named = dict(probe.named_parameters(remove_duplicate=False))
    tensors = list({id(parameter): parameter for parameter in named.values()}.values())
    _leave_inplace(probe)
    with torch.enable_grad():
        output = probe(example)
        if not tensors or not output.requires_grad:
            return set()
        try:
            gradients = torch.autograd.grad(output.sum(), tensors, allow_unused=True)
        except RuntimeError:
            return set(named)
    alive = {id(tensor) for tensor, gradient in zip(tensors, gradients, strict=True) if gradient is not None}
    return {name for name, parameter in named.items() if id(parameter) in alive}


def parameter_counts(scores: nn.Module, example: Tensor) -> tuple[int, int, int]:
    """Return the numbers of parameters: all, those that reach the output, and those of the latter that are not zero."""
    live = live_parameters(scores, example)
    total = used = nonzero = 0
    for name, parameter in scores.named_parameters():
        total += parameter.numel()
        if name in live:
            used += parameter.numel()
            nonzero += int(torch.count_nonzero(parameter))
    return total, used, nonzero


def _leave_inplace(network: nn.Module) -> None:
    """Switch off in-place activations, which could overwrite what autograd still needs."""
    for module in network.modules():
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010 - torch types every attribute of a module as tensor or module
