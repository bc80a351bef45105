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
    and an auxiliary head is dead once only the main output is used. Replacements are kept only when the outputs stay
    equal to the last bit and training mode still runs; otherwise dead modules and their parts are tried one by one.
    """

    name: ClassVar[str] = "trim"
    lossless: ClassVar[bool] = True
    damages: ClassVar[bool] = False

    def reduce(self, network: Network, context: Context) -> Network:
        """Find dead modules, take them out, and record their paths."""
        dead = _dead_modules(network)
        if not dead:
            raise NotApplicable("every parameter reaches the output: there is nothing to trim")
        trimmed = network.copy()
        taken = _take_out(trimmed, dead, _Proof(network))
        if not taken:
            raise NotApplicable(f"the network does not run without what is dead in it: {', '.join(dead)[:160]}")
        return trimmed.with_step(self.step({"dead": [path for path in dead if path in taken]}))

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Replace the recorded modules."""
        for path in record["dead"]:
            _replace(module, path)
        return module


class _Proof:
    """What must stay as it was: the outputs to the last bit, and training mode running."""

    def __init__(self, original: Network) -> None:
        from tinysight.reduction.verify import run, trains

        self._batches: list[Tensor] = [original.example(batch=2, seed=seed) for seed in (1, 2)]
        self._expected = [run(original.scores, batch) for batch in self._batches]
        self._trains = trains(original.scores, self._batches[0])

    def holds(self, trimmed: Network) -> bool:
        import torch

        from tinysight.reduction.verify import run, trains

        try:
            outputs = [run(trimmed.scores, batch) for batch in self._batches]
        except Exception:  # the network's own code may fail in any way without the module
            return False
        equal = all(torch.equal(one, other) for one, other in zip(outputs, self._expected, strict=True))
        return equal and (not self._trains or trains(trimmed.scores, self._batches[0]))


def _dead_modules(network: Network) -> list[str]:
    """Return the paths of all modules that hold parameters of which none reaches the output, in the network's order."""
    alive = network.live
    dead = []
    for path, module in network.module.named_modules(remove_duplicate=False):
        names = [name for name, _ in module.named_parameters(prefix=path)]
        if path and names and not alive.intersection(names):
            dead.append(path)
    return dead


def _take_out(trimmed: Network, dead: list[str], proof: _Proof) -> set[str]:
    """Take dead modules out of ``trimmed``: all at once where that holds, else one by one, wholes before parts."""
    whole = _without_parts(dead)
    if _try_without(trimmed, whole, proof):
        return set(whole)
    taken: set[str] = set()
    for path in _last_first(dead, trimmed.module):
        inside_taken = any(path.startswith(f"{gone}.") for gone in taken)
        if not inside_taken and _try_without(trimmed, [path], proof):
            taken.add(path)
    return taken


def _without_parts(paths: list[str]) -> list[str]:
    return [path for path in paths if not any(path.startswith(f"{other}.") for other in paths)]


def _last_first(paths: list[str], module: nn.Module) -> list[str]:
    """Order wholes before parts and later siblings first: the end of a chain can go while the rest still fits."""
    position = {path: number for number, (path, _) in enumerate(module.named_modules(remove_duplicate=False))}

    def key(path: str) -> tuple[int, ...]:
        parts = path.split(".")
        return tuple(-position[".".join(parts[: depth + 1])] for depth in range(len(parts)))

    return sorted(paths, key=key)


def _try_without(trimmed: Network, paths: list[str], proof: _Proof) -> bool:
    """Take ``paths`` out of ``trimmed``; put them back and return False unless nothing else changes."""
    removed = {path: _replace(trimmed.module, path) for path in paths}
    if proof.holds(trimmed):
        return True
    for path, module in removed.items():
        _put(trimmed.module, path, module)
    return False


def _replace(network: nn.Module, path: str) -> nn.Module:
    """Put an identity at ``path`` and return what stood there."""
    from torch import nn

    removed = network.get_submodule(path)
    _put(network, path, nn.Identity())
    return removed


def _put(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
