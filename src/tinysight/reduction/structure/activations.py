"""Activations: costly ones become ReLU-like ones, which every engine and every integer format computes for nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tinysight.reduction.step import Context, NotApplicable, StructureReduction

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.reduction.network import Network

__all__ = ["Activations"]


class Activations(StructureReduction):
    """Replace costly activation modules (SiLU, GELU, Hardswish, Mish, ELU and their kin) by ``to``; weights stay.

    ``relu`` is the cheapest, ``relu6`` bounds values for low precision, ``hardswish`` (Howard et al. 2019, section 5.2)
    stays closest to SiLU and GELU. Modules are known by what they compute, whatever their class; gates such as Sigmoid
    and Hardsigmoid are left alone. Activations called as functions inside a network's own code cannot be seen.
    """

    name: ClassVar[str] = "activations"

    to: Literal["relu", "relu6", "hardswish"] = "relu"

    @property
    def label(self) -> str:
        """What they become."""
        return f"activations to {self.to}"

    def reduce(self, network: Network, context: Context) -> Network:
        """Find the activations that run, replace them, record their paths and what they were."""
        costly = _costly_modules(network.copy().module, leave=self.to)
        running = _running(network.copy(), list(costly))
        first = self._with(network, {path: costly[path] for path in running})
        # A module that the code also holds outside the module tree runs on, though its path shows another.
        replaced = {path: costly[path] for path in _running(first.copy(), running)}
        if not replaced:
            raise NotApplicable(
                f"no module that runs computes a costlier activation than {self.to}; activations that the network's "
                "own code calls as functions cannot be seen"
            )
        return first if len(replaced) == len(running) else self._with(network, replaced)

    def _with(self, network: Network, replaced: dict[str, str]) -> Network:
        record = {"to": self.to, "replaced": replaced}
        reduced = network.copy()
        return reduced.with_step(self.step(record), self.replay(reduced.module, record))

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Put a new activation at every recorded path; what was one module under several paths stays one."""
        from torch import nn

        make = {"relu": nn.ReLU, "relu6": nn.ReLU6, "hardswish": nn.Hardswish}[record["to"]]
        old = {path: module.get_submodule(path) for path in record["replaced"]}
        new = {id(one): make(inplace=bool(getattr(one, "inplace", False))) for one in old.values()}
        for path, one in old.items():
            parent, _, name = path.rpartition(".")
            setattr(module.get_submodule(parent), name, new[id(one)])
        return module


def _costly_modules(module: nn.Module, leave: str) -> dict[str, str]:
    """Return what each module without weights computes where it is a costly activation, by its path, in order.

    A module that holds such a module is not one itself: an activation followed by dropout computes the same in
    evaluation.
    """
    functions = {name: function for name, function in _costly_functions().items() if name != leave}
    known: dict[int, str | None] = {}
    found: dict[str, str] = {}
    for path, part in reversed(list(module.named_modules(remove_duplicate=False))):
        if any(inner.startswith(f"{path}.") for inner in found) or not path or part.state_dict():
            continue
        if id(part) not in known:
            known[id(part)] = _computes(part, functions)
        if name := known[id(part)]:
            found[path] = name
    return dict(reversed(found.items()))


def _computes(module: nn.Module, functions: dict[str, Callable[[Tensor], Tensor]]) -> str | None:
    """Name the function that ``module`` computes in evaluation and in training, where it is one of ``functions``."""
    import torch

    probe = torch.linspace(-8, 8, 64).reshape(1, 4, 4, 4)
    tried = copy.deepcopy(module)
    try:
        with torch.no_grad():
            outputs = [tried.train(training)(probe.clone()) for training in (False, True)]
        same = [torch.is_tensor(output) and output.shape == probe.shape for output in outputs]
    except Exception:  # not a function of one tensor
        return None
    if not all(same):
        return None
    for name, function in functions.items():
        if all(torch.allclose(output, function(probe), atol=1e-5) for output in outputs):
            return name
    return None


def _costly_functions() -> dict[str, Callable[[Tensor], Tensor]]:
    """What needs an exponential, a division or another pass over the map, by the field's names."""
    from torch.nn import functional as F

    return {
        "silu": F.silu,
        "gelu": F.gelu,
        "gelu_tanh": lambda values: F.gelu(values, approximate="tanh"),
        "quick_gelu": lambda values: values * (1.702 * values).sigmoid(),
        "hardswish": F.hardswish,
        "mish": F.mish,
        "hard_mish": lambda values: 0.5 * values * (values + 2).clamp(0, 2),
        "elu": F.elu,
        "selu": F.selu,
    }


def _running(network: Network, paths: list[str]) -> list[str]:
    """Return those of ``paths`` whose module runs when the network does; ``network`` is left with hooks in it."""
    from tinysight.reduction.verify import run

    ran: set[nn.Module] = set()
    for path in paths:
        network.module.get_submodule(path).register_forward_hook(lambda module, *_: ran.add(module))
    run(network.scores, network.example())
    return [path for path in paths if network.module.get_submodule(path) in ran]
