"""Stem: a larger stride where the image is first read, so that every later layer works on a smaller map."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tinysight.errors import one_line
from tinysight.reduction.step import Context, NotApplicable, StructureReduction

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysight.reduction.network import Network

__all__ = ["Stem"]


class Stem(StructureReduction):
    """Give the first convolutions, those that read the image, a larger stride (pixels) and keep their weights.

    Where a stem is several small convolutions, only the first changes; where several read the image, all of them do. A
    kernel smaller than the stride skips pixels. Score maps become smaller, which is brought back when scores are
    resized to the photo; a network whose parts no longer fit together is refused.
    """

    name: ClassVar[str] = "stem"

    stride: int = Field(4, ge=2, le=32)

    @property
    def label(self) -> str:
        """The stride."""
        return f"stem stride {self.stride}"

    def reduce(self, network: Network, context: Context) -> Network:
        """Find the convolutions, enlarge their stride, try, record."""
        readers = _image_readers(network)
        if not readers:
            raise NotApplicable("no convolution module reads the image")
        layers = [path for path, strides in readers.items() if min(strides) < self.stride]
        if not layers:
            raise NotApplicable(f"{', '.join(readers)} already has a stride of {max(map(max, readers.values()))}")
        record = {"layers": layers, "stride": self.stride}
        reduced = network.copy()
        reduced = reduced.with_step(self.step(record), self.replay(reduced.module, record))
        _try(network, reduced, f"a stride of {self.stride} in {', '.join(layers)}")
        return reduced

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Set the recorded stride, on each axis where it is larger."""
        for path in record["layers"]:
            layer: Any = module.get_submodule(path)
            layer.stride = tuple(max(stride, record["stride"]) for stride in layer.stride)
            _spell_out_padding(layer)
        return module


def _spell_out_padding(layer: Any) -> None:
    """Torch knows ``padding="same"`` for a stride of 1 only; with an odd kernel it stands for a number."""
    totals = [dilation * (kernel - 1) for dilation, kernel in zip(layer.dilation, layer.kernel_size, strict=True)]
    if layer.padding == "same" and not any(total % 2 for total in totals):
        layer.padding = tuple(total // 2 for total in totals)


def _image_readers(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the convolutions that read the image, perhaps normalised or resized on the way, with their strides.

    Every layer's output is made not-a-number, which whatever is computed from it stays: a convolution whose input is
    numbers reads no other layer.
    """
    import torch
    from torch import nn

    from tinysight.reduction.verify import run

    spoilt = network.copy()
    readers: dict[str, tuple[int, ...]] = {}

    def spoil(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return torch.full_like(output, torch.nan)

    for path, module in spoilt.module.named_modules():
        if isinstance(module, nn.Conv2d):

            def note(module: nn.Conv2d, inputs: tuple[Any, ...], path: str = path) -> None:
                if not inputs[0].isnan().any():
                    readers[path] = module.stride

            module.register_forward_pre_hook(note)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.register_forward_hook(spoil)
    with contextlib.suppress(Exception):  # a network's own code may refuse such values; the image was read before
        run(spoilt.scores, spoilt.example())
    return readers


def _try(network: Network, reduced: Network, change: str) -> None:
    """Refuse a network that no longer runs or trains, gives something else than scores, or became no cheaper.

    Raises:
        NotApplicable: with the reason.
    """
    from tinysight.measure.compute import count_macs
    from tinysight.reduction.verify import run, trains

    before = run(network.scores, network.example())
    try:
        after = run(reduced.scores, reduced.example())
    except Exception as error:  # whatever the network's code raises where sizes no longer fit together
        reason = one_line(error, 160)
        raise NotApplicable(f"the network does not run with {change}: {reason}") from error
    if after.shape[:2] != before.shape[:2] or after.ndim != before.ndim:
        shapes = f"{tuple(after.shape)} instead of {tuple(before.shape)}"
        raise NotApplicable(f"with {change} the output has the shape {shapes}")
    batch = network.example(batch=2)
    if trains(network.scores, batch) and not trains(reduced.scores, batch):
        raise NotApplicable(f"the network cannot be trained with {change}")
    if count_macs(reduced.scores, reduced.example()) >= count_macs(network.scores, network.example()):
        raise NotApplicable(f"{change} leaves the network with as many multiplications")
