"""Storage: weights that take half the bytes on disk, and are float32 again once the file is loaded."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.step import Context, NotApplicable, PrecisionReduction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinysight.reduction.network import Network

__all__ = ["Storage"]

FEWEST_VALUES = 16
"""Smaller constants are settings of operators, such as the factors of a resize: they must stay exact."""


class Storage(PrecisionReduction):
    """Store the float32 weights of the export in another type."""

    storage_only: ClassVar[bool] = True

    def reduce(self, network: Network, context: Context) -> Network:
        """Record how every float initializer of the clean float export is held."""
        import numpy as np
        import onnx
        from onnx import numpy_helper

        from tinysight.reduction.precision.placement import layers_of

        exported = onnx.load(context.float_export(network))
        axes = {layer.weight: layer.axis for layer in layers_of(exported)}
        tensors: dict[str, TensorPrecision] = {}
        for stored in exported.graph.initializer:
            values = numpy_helper.to_array(stored)
            if values.dtype != np.float32 or values.size < FEWEST_VALUES:
                continue
            held = self._held(stored.name, values, axes.get(stored.name))
            if held:
                tensors[stored.name] = held
        if not tensors:
            raise NotApplicable("the network has no weights to store in half the bytes")
        return network.with_step(self.step(PrecisionRecord(tensors=tensors).model_dump(mode="json")))

    @abstractmethod
    def _held(self, name: str, values: NDArray[np.float32], axis: int | None) -> TensorPrecision | None:
        """Return how the constant ``name`` is held, None where it stays float32; ``axis`` is its output channels'.

        Raises:
            NotApplicable: it does not fit the type.
        """
