"""Weights from files that others wrote: safetensors, or state dicts of torch. Nothing is ever unpickled but tensors."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tinysight.errors import UserError, one_line

__all__ = ["Adapt", "load_weights", "read_weights"]

Adapt = Callable[[Mapping[str, Tensor], Any], Mapping[str, Tensor]]
"""(tensors of another implementation, network) -> tensors by the network's own names."""

CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""Keys under which training scripts keep the tensors beside their epoch and optimizer."""

PARALLEL = "module."
"""What DataParallel puts before every name."""

COUNTER = "num_batches_tracked"
"""Of batch norm: counts steps of training and decides nothing afterwards; old files lack it."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file, or of one that ``torch.save`` wrote, by name.

    Raises:
        UserError: the file is missing, damaged, holds no tensors by name, or needs more than tensors to be unpickled.
    """
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except FileNotFoundError:
        raise UserError(f"the weights {path} do not exist: check model.weights") from None
    except pickle.UnpicklingError as error:
        if not _looks_pickled(path):
            raise UserError(f"{path} is no file of weights: give what torch.save or safetensors wrote") from error
        raise UserError(
            f"{path} holds more than tensors, and loading it could run its maker's code: save the state dict alone, "
            "with torch.save(model.state_dict(), …)"
        ) from error
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UserError(
            f"{path} cannot be read as weights ({one_line(error) or 'it ends too early'}): give a state dict"
        ) from error
    for key in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise UserError(f"{path} holds no tensors by name: give a state dict")
    return {str(name).removeprefix(PARALLEL): tensor for name, tensor in content.items()}


def _unpickled(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about foreign pickles, which are refused in a sentence anyway
        return torch.load(path, "cpu", weights_only=True)


def _looks_pickled(path: Path) -> bool:
    """Tell what torch.save and pickle write, archives and old ones, by its beginning."""
    with path.open("rb") as file:
        return file.read(2).startswith((b"PK", b"\x80"))


def load_weights(module: nn.Module, path: Path, adapt: Adapt | None, *, partly: bool) -> list[str]:
    """Put the weights of ``path`` into ``module``, in place; returns the names of its tensors that were not there.

    Args:
        module: whose tensors are filled.
        path: see ``read_weights``.
        adapt: what another implementation's names are turned into the module's with, where they are not its own.
        partly: leave tensors that the file lacks, or has in another shape, as they are: for a network that is trained
            next, such as one with a new head.

    Raises:
        UserError: the file cannot be read, or does not fit.
    """
    given, own = read_weights(path), module.state_dict()
    if adapt and not given.keys() <= own.keys():
        given = _adapted(given, module, adapt)
    fits = {name: tensor for name, tensor in given.items() if name in own and _fits(tensor, own[name])}
    lacking = [name for name in own if name not in fits and not name.endswith(COUNTER)]
    strange = [name for name in given if name not in own]
    if (not partly and (lacking or strange)) or 2 * len(lacking) > len(own):
        first = lacking[0] if lacking else strange[0]
        raise UserError(
            f"the weights {path} do not fit the network: {len(lacking)} of its {len(own)} tensors are not there in the "
            f"same shape and kind, {len(strange)} others are there besides, the first is '{first}': give weights of "
            "this network"
        )
    module.load_state_dict(own | fits)
    return lacking


def _fits(tensor: Tensor, own: Tensor) -> bool:
    """Tell whether a tensor can stand for another: of its shape and kind of numbers, and not sparse or without values.

    Integers in the place of weights are a quantizer's, whose scales lie elsewhere.
    """
    plain = tensor.layout == torch.strided and not tensor.is_meta
    return plain and tensor.shape == own.shape and tensor.is_floating_point() == own.is_floating_point()


def _adapted(given: dict[str, Tensor], module: nn.Module, adapt: Adapt) -> dict[str, Tensor]:
    try:
        return dict(adapt(given, module))
    except (KeyError, RuntimeError):  # of neither implementation: what does not fit is told by name
        return given
