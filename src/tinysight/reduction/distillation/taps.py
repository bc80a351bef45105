"""Taps: what modules of a network give, noted while it runs, without a change to the network."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from tinysight.errors import UserError, nearest

__all__ = ["as_maps", "tapped"]


@contextmanager
def tapped(module: nn.Module, paths: Collection[str], whose: str) -> Iterator[dict[str, Tensor]]:
    """Yield what the modules at ``paths`` gave when ``module`` last ran, by path, as maps.

    Args:
        module: watched until the end of the context, and then as it was.
        paths: of its modules.
        whose: of the student or the teacher, for messages.

    Raises:
        UserError: there is no such module, or, when it runs, it gives something that is no tensor of features.
    """
    modules = dict(module.named_modules())
    seen: dict[str, Tensor] = {}
    handles = []
    for path in paths:
        if not path or path not in modules:
            close = nearest(path, modules)
            hint = f"did you mean '{close}'?" if close else "'tinysight draw' lists its modules"
            raise UserError(f"the {whose} has no module '{path}': {hint}")

        def note(_module: nn.Module, _inputs: Any, output: Any, path: str = path) -> None:
            seen[path] = as_maps(output, f"the {whose}'s module '{path}'")

        handles.append(modules[path].register_forward_hook(note))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def as_maps(output: Any, whose: str) -> Tensor:
    """Return features as (batch, channels, height, width): vectors are one place, tokens lie below each other.

    Raises:
        UserError: they are no tensor, or none of two to four axes.
    """
    if not isinstance(output, Tensor) or not 2 <= output.dim() <= 4:
        kind = f"a tensor of {output.dim()} axes" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise UserError(
            f"{whose} gives {kind}: tap a module that gives maps (batch, channels, height, width), tokens (batch, "
            "tokens, channels) or vectors (batch, channels)"
        )
    if output.dim() == 3:
        return output.transpose(1, 2).unsqueeze(3)
    return output if output.dim() == 4 else output[:, :, None, None]
