"""Activations: costly ones become ReLU-like ones, which every engine and every integer format computes for nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tinysight.reduction.step import Context, NotApplicable, Step, StructureReduction

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.reduction.network import Network

    Function = Callable[[Tensor], Tensor]

__all__ = ["Activation", "Activations"]

Activation = Literal["relu", "relu6", "leaky_relu", "elu", "selu", "silu", "gelu", "mish", "hardswish", "tanh"]


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
        reduced = _swapped(network, self.to, _costly_functions())
        if reduced is None:
            raise NotApplicable(
                f"no module that runs computes a costlier activation than {self.to}; activations that the network's "
                "own code calls as functions cannot be seen"
            )
        return reduced

    @staticmethod
    def everywhere(network: Network, to: Activation) -> Network:
        """Return ``network`` with every activation function replaced by ``to``, the cheap ones as well.

        Raises:
            NotApplicable: none of its modules is an activation function.
        """
        functions = _costly_functions() | _cheap_functions()
        reduced = _swapped(network, to, functions)
        if reduced is None and not _modules_computing(network.copy().module, functions):
            raise NotApplicable("its code calls activations as functions, which cannot be replaced")
        return reduced or network

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Put a new activation at every recorded path; what was one module under several paths stays one."""
        from torch import nn

        kinds: dict[str, Callable[..., nn.Module]] = {
            "relu": nn.ReLU, "relu6": nn.ReLU6, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "selu": nn.SELU,
            "silu": nn.SiLU, "gelu": nn.GELU, "mish": nn.Mish, "hardswish": nn.Hardswish, "tanh": nn.Tanh,
        }  # fmt: skip
        kind = kinds[record["to"]]
        can_be_inplace = record["to"] not in {"gelu", "tanh"}
        old = {path: module.get_submodule(path) for path in record["replaced"]}
        new = {
            id(one): kind(inplace=True) if can_be_inplace and getattr(one, "inplace", False) else kind()
            for one in old.values()
        }
        for path, one in old.items():
            parent, _, name = path.rpartition(".")
            setattr(module.get_submodule(parent), name, new[id(one)])
        return module


def _swapped(network: Network, to: Activation, functions: Mapping[str, Function]) -> Network | None:
    """Return a copy in which what runs and computes one of ``functions`` computes ``to``; None where nothing does."""
    found = _modules_computing(network.copy().module, {name: one for name, one in functions.items() if name != to})
    running = _running(network.copy(), list(found))
    first = _with(network, to, {path: found[path] for path in running})
    # A module that the code also holds outside the module tree runs on, though its path shows another.
    replaced = {path: found[path] for path in _running(first.copy(), running)}
    if not replaced:
        return None
    return first if len(replaced) == len(running) else _with(network, to, replaced)


def _with(network: Network, to: Activation, replaced: dict[str, str]) -> Network:
    record = {"to": to, "replaced": replaced}
    step = Step(kind=Activations.changes, method=Activations.name, version=Activations.version, record=record)
    reduced = network.copy()
    return reduced.with_step(step, Activations.replay(reduced.module, record))


def _modules_computing(module: nn.Module, functions: Mapping[str, Function]) -> dict[str, str]:
    """Return which of ``functions`` each module without weights computes, by its path, in order.

    A module that holds such a module is not one itself: an activation followed by dropout computes the same in
    evaluation.
    """
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


def _computes(module: nn.Module, functions: Mapping[str, Function]) -> str | None:
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


def _cheap_functions() -> dict[str, Function]:
    """What is one comparison or two; the slopes are those libraries use."""
    from torch.nn import functional as F

    return {
        "relu": F.relu,
        "relu6": F.relu6,
        "leaky_relu": F.leaky_relu,
        "leaky_relu_0.1": lambda values: F.leaky_relu(values, 0.1),
        "leaky_relu_0.2": lambda values: F.leaky_relu(values, 0.2),
    }


def _costly_functions() -> dict[str, Function]:
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
