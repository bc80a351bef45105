"""What methods that set weights to zero have in common: which weights are meant, and the account of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from tinysight.reduction.naming import is_wanted, refuse_nothing_left, refuse_unknown_layers
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.summary import Summary
from tinysight.reduction.weights.learning import Learning

if TYPE_CHECKING:
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

    sparsity: float = Field(0.8, gt=0, le=0.9999)
    scope: Literal["layer", "global"] = "layer"
    layers: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _leaves_something_to_zero(self) -> Sparsifying:
        refuse_nothing_left(self.layers, self.protect)
        return self

    @property
    def named_layers(self) -> tuple[str, ...]:
        """The layers asked for, or protected."""
        return (*self.layers, *self.protect)

    def _layers(self, network: Network) -> frozenset[str]:
        """Return the paths of the layers that are meant: of those asked for, whose weights reach the output.

        What does not reach it is in no file: zeros there would be none.
        """
        from tinysight.reduction.sparsity.masks import weights_of

        refuse_unknown_layers(self, network.module)
        self._refuse_untrainable(network)
        paths = [path for path, _ in network.module.named_modules() if is_wanted([path], self.layers, self.protect)]
        meant = frozenset(
            name.rpartition(".")[0] for name in network.live.intersection(weights_of(network.module, paths))
        )
        if not meant:
            among = " among the layers asked for" if self.layers or self.protect else ""
            raise NotApplicable(f"no convolution or linear layer{among} has weights that reach the output")
        return meant

    def _summary(self, sparse: Network, layers: Collection[str]) -> Summary:
        from tinysight.reduction.sparsity.masks import weights_of

        weights = weights_of(sparse.module, layers)
        counts = {
            name.removesuffix(".weight"): (weight.numel(), int(weight.count_nonzero()))
            for name, weight in weights.items()
        }
        left = sum(after for _, after in counts.values()) / sum(before for before, _ in counts.values())
        return Summary(asked=round(1 - self.sparsity, 6), of="weights", reached=left, unit="weights", layers=counts)
