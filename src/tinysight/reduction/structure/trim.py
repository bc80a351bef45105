"""Trim: take out the modules that do not reach the output. Lossless, and proven so on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tinysight.reduction.step import Context, NotApplicable, StructureReduction

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.reduction.network import Network

__all__ = ["Trim"]


class Trim(StructureReduction):
    """Replace every module whose parameters do not reach the output by one that hands its input on.

    Many libraries build more than a network uses: segmentation-models-pytorch's PSPNet keeps the deep encoder stages,
    and an auxiliary head is dead once only the main output is used. Each replacement is kept only when the outputs stay
    equal to the last bit and training mode still runs; otherwise it is rolled back and its parts are tried one by one.
    """

    name: ClassVar[str] = "trim"
    lossless: ClassVar[bool] = True

    def reduce(self, network: Network, context: Context) -> Network:
        """Find dead modules, take them out one by one, and record their paths."""
        trimmed = network.copy()
        dead = _take_out_dead(trimmed, network)
        if not dead:
            raise NotApplicable("every parameter reaches the output: there is nothing to trim")
        return trimmed.with_step(self.step({"dead": dead}))

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Replace the recorded modules."""
        for path in record["dead"]:
            _replace(module, path)
        return module


def _take_out_dead(trimmed: Network, original: Network) -> list[str]:
    from tinysight.models.liveness import live_parameters

    prefix = "network."  # Scores holds the user's module under this name
    alive = {name.removeprefix(prefix) for name in live_parameters(original.scores, original.example())}
    modules = dict(original.module.named_modules())
    taken: list[str] = []
    for path, module in modules.items():
        names = [name for name, _ in module.named_parameters(prefix=path)]
        inside_taken = any(path.startswith(f"{gone}.") for gone in taken)
        if not path or not names or inside_taken or alive.intersection(names):
            continue
        if _try_without(trimmed, original, path):
            taken.append(path)
    return taken


def _try_without(trimmed: Network, original: Network, path: str) -> bool:
    """Take ``path`` out of ``trimmed``; put it back and return False unless nothing else changes."""
    removed = _replace(trimmed.module, path)
    if _equal_outputs(trimmed, original):
        return True
    _put(trimmed.module, path, removed)
    return False


def _equal_outputs(trimmed: Network, original: Network) -> bool:
    from tinysight.reduction.verify import largest_difference, trains

    batches: list[Tensor] = [original.example(batch=2, seed=seed) for seed in (1, 2)]
    try:
        equal = all(largest_difference(original.scores, trimmed.scores, batch) == 0 for batch in batches)
    except Exception:  # the network's own code may fail in any way without the module
        return False
    return equal and trains(trimmed.scores, batches[0])


def _replace(network: nn.Module, path: str) -> nn.Module:
    """Put an identity at ``path`` and return what stood there."""
    from torch import nn

    removed = network.get_submodule(path)
    _put(network, path, nn.Identity())
    return removed


def _put(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
