"""What methods that set weights to zero have in common: which weights are meant, and the account of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tinysight.reduction.naming import is_wanted, refuse_unknown_layers
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.summary import Summary
from tinysight.reduction.weights.learning import Learning

if TYPE_CHECKING:
    from torch import nn

    from tinysight.reduction.network import Network

__all__ = ["Sparsifying"]


class Sparsifying(Learning):
    """Setting a share ``sparsity`` of the weights of convolutions and linear layers to zero while others learn.

    ``scope`` compares weights within their layer or across the network; ``layers`` and ``protect`` name modules by
    path, with all that lies inside them.
    """

    sparsifies: ClassVar[bool] = True
    storage_only: ClassVar[bool] = True
    main: ClassVar[tuple[str, ...]] = ("sparsity",)

    sparsity: float = Field(0.8, gt=0, lt=1)
    scope: Literal["layer", "global"] = "layer"
    layers: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()

    def _refuse_unfit(self, network: Network) -> None:
        refuse_unknown_layers(self.name, network.module, (*self.layers, *self.protect))
        self._refuse_untrainable(network)
        if not self._weights(network.module):
            raise NotApplicable("there is no convolution or linear layer to set weights of to zero")

    def _weights(self, module: nn.Module) -> dict[str, nn.Parameter]:
        from tinysight.reduction.sparsity.masks import weights_of

        paths = {path for path, _ in module.named_modules() if is_wanted([path], self.layers, self.protect)}
        return weights_of(module, paths)

    def _summary(self, sparse: Network) -> Summary:
        weights = self._weights(sparse.module)
        counts = {
            name.removesuffix(".weight"): (weight.numel(), int(weight.count_nonzero()))
            for name, weight in weights.items()
        }
        left = sum(after for _, after in counts.values()) / sum(before for before, _ in counts.values())
        return Summary(asked=round(1 - self.sparsity, 6), of="weights", reached=left, unit="weights", layers=counts)
