"""Equalize: neighbouring layers share their channels' sizes evenly, and the network computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysight.reduction.step import Context, NotApplicable, WeightsReduction

if TYPE_CHECKING:
    from tinysight.reduction.network import Network

__all__ = ["Equalize"]


class Equalize(WeightsReduction):
    """Prepare for 8 bits: scale the channels between two convolutions so that their weights are alike in size.

    Cross-layer equalization (Nagel et al. 2019): no data, outputs stay equal. It works where nothing but a ReLU, leaky
    ReLU or PReLU stands between the two, not a ReLU6: let ``activations: {to: relu}`` and a training go before. Batch
    norms are folded by it.
    """

    name: ClassVar[str] = "equalize"
    lossless: ClassVar[bool] = True
    takes_files: ClassVar[bool] = True

    def reduce(self, network: Network, context: Context) -> Network:
        """Equalize the export's constants and bring them back."""
        import onnx

        from tinysight.reduction.onnx_torch.graph import TorchGraph
        from tinysight.reduction.precision.equalization import equalize, neighbours
        from tinysight.reduction.precision.placement import layers_of
        from tinysight.reduction.precision.write_back import owners_of

        exported = onnx.load(context.float_export(network))
        try:
            graph = TorchGraph(exported)
        except NotImplementedError as missing:
            raise NotApplicable(f"{missing} of the export does not run in PyTorch here") from missing
        owners = owners_of(network, exported, graph)
        own = {name for name, _ in owners.pairs}
        pairs = [pair for pair in neighbours(graph, layers_of(exported)) if {pair.before, pair.after} <= own]
        if not pairs:
            raise NotApplicable(
                "no two convolutions, each run once, follow each other with nothing but a ReLU between them"
            )
        owners.refuse_unfaithful(graph)
        largest = equalize(graph, pairs)
        record = {"pairs": [[pair.before, pair.after] for pair in pairs], "largest_factor": largest}
        return owners.written_back(graph).with_step(self.step(record))
