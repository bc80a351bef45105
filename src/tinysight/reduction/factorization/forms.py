"""The forms a layer can be factorized into. A new form is a class here and a row in ``FORMS``.

A convolution's weight is W (outputs, inputs, height, width), a linear layer's W (outputs, inputs). Every form names the
layers that stand in for the original, finds their weights by least squares in float64, and says which weight their
product is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tinysight.reduction.factorization.algebra import (
    alike,
    halves,
    leading,
    least_squares,
    rank_of_energy,
    singular_values,
    start,
    tall,
)

__all__ = ["FORMS", "Form", "Layer", "Ranks", "Svd"]

Layer = nn.Conv2d | nn.Linear
Ranks = tuple[int, ...]

CP_ROUNDS, TUCKER_ROUNDS = 40, 8
"""Rounds of alternating least squares and projections; both gain little after the first few."""


class Form(ABC):
    """One layer's weight as a product."""

    name: ClassVar[str]

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.weight = layer.weight.detach().double()

    @staticmethod
    @abstractmethod
    def unfit(layer: Layer) -> str:
        """Say why a layer has no such form; empty where it has."""

    @abstractmethod
    def full(self) -> Ranks:
        """Return the ranks at which nothing is lost; for ``cp``, the largest that are tried."""

    @abstractmethod
    def parts(self, ranks: Ranks) -> list[Layer]:
        """Return the layers that stand in for ``layer``, without its weights; the last has its bias."""

    @abstractmethod
    def weights(self, ranks: Ranks) -> list[Tensor]:
        """Return the weights of ``parts``, in float64."""

    @abstractmethod
    def product(self, weights: Sequence[Tensor]) -> Tensor:
        """Return the weight of the one layer that equals ``parts`` with these weights."""

    @abstractmethod
    def ranks_of_energy(self, energy: float) -> Ranks:
        """Return the smallest ranks found that keep a share ``energy`` of the sum of squared weights."""

    def ranks_of_share(self, share: float) -> Ranks:
        """Return a share of the full ranks, at least 1."""
        return tuple(max(1, math.floor(share * rank)) for rank in self.full())

    def factors(self, ranks: Ranks) -> nn.Sequential:
        """Return the layers in a row that stand in for ``layer``."""
        parts = self.parts(ranks)
        with torch.no_grad():
            for part, weight in zip(parts, self.weights(ranks), strict=True):
                part.weight.copy_(weight)
                part.weight.requires_grad_(self.layer.weight.requires_grad)
            if self.layer.bias is not None and parts[-1].bias is not None:
                parts[-1].bias.copy_(self.layer.bias)
                parts[-1].bias.requires_grad_(self.layer.bias.requires_grad)
        return nn.Sequential(*parts)


class _Truncated(Form):
    """A form whose components are nested: a smaller rank leaves out the last of them."""

    @cached_property
    @abstractmethod
    def spectra(self) -> list[Tensor]:
        """For each rank the singular values that it cuts off, the largest first."""

    def ranks_of_energy(self, energy: float) -> Ranks:
        """Read them off the singular values.

        What several ranks lose adds up at most (De Lathauwer et al. 2000), so each may lose its part.
        """
        return tuple(rank_of_energy(values, 1 - (1 - energy) / len(self.spectra)) for values in self.spectra)


class Svd(_Truncated):
    """W ≈ B A by truncated singular value decomposition (Eckart & Young 1936): linear layers and 1×1 convolutions."""

    name = "svd"

    @staticmethod
    def unfit(layer: Layer) -> str:
        """A matrix is needed."""
        if isinstance(layer, nn.Conv2d) and (layer.kernel_size != (1, 1) or layer.groups != 1):
            return "is no matrix"
        return ""

    def full(self) -> Ranks:
        """The rank of the matrix."""
        return (min(self.weight.shape[:2]),)

    def parts(self, ranks: Ranks) -> list[Layer]:
        """The first reads the input, with the layer's stride."""
        outputs, inputs = self.weight.shape[:2]
        if isinstance(self.layer, nn.Linear):
            like = _like(self.layer)
            return [
                nn.Linear(inputs, ranks[0], bias=False, **like),
                nn.Linear(ranks[0], outputs, self.layer.bias is not None, **like),
            ]
        return [_conv(self.layer, inputs, ranks[0], height=True, width=True), _mix(self.layer, ranks[0], outputs)]

    def weights(self, ranks: Ranks) -> list[Tensor]:
        """Each takes the root of the singular values, which keeps their sizes alike."""
        left, right = halves(self.weight.flatten(1), ranks[0])
        tail = self.weight.shape[2:]
        return [right.reshape(*right.shape, *tail), left.reshape(*left.shape, *tail)]

    def product(self, weights: Sequence[Tensor]) -> Tensor:
        """B A."""
        first, second = weights
        return (second.flatten(1) @ first.flatten(1)).reshape(len(second), first.shape[1], *first.shape[2:])

    @cached_property
    def spectra(self) -> list[Tensor]:
        """Of the matrix."""
        return [singular_values(self.weight.flatten(1))]


class SpatialSvd(_Truncated):
    """A column of pixels, then a row: W[o, i, y, x] ≈ Σ H[o, r, x] V[r, i, y] (Jaderberg et al. 2014)."""

    name = "spatial_svd"

    @staticmethod
    def unfit(layer: Layer) -> str:
        """The kernel must have rows and columns."""
        if reason := _no_plain_kernel(layer):
            return reason
        return "is one pixel high or wide" if 1 in layer.weight.shape[2:] else ""

    def full(self) -> Ranks:
        """The rank of the matrix (inputs × height, outputs × width)."""
        return (min(tall(self.weight).shape),)

    def parts(self, ranks: Ranks) -> list[Layer]:
        """The first has the stride, padding and dilation along the height, the second along the width."""
        outputs, inputs = self.weight.shape[:2]
        first = _conv(self.layer, inputs, ranks[0], height=True)
        return [first, _conv(self.layer, ranks[0], outputs, width=True, bias=self.layer.bias is not None)]

    def weights(self, ranks: Ranks) -> list[Tensor]:
        """The singular vectors of the tall matrix."""
        outputs, inputs, height, width = self.weight.shape
        left, right = halves(tall(self.weight), ranks[0])
        vertical = left.T.reshape(-1, inputs, height, 1)
        return [vertical, right.reshape(-1, outputs, 1, width).transpose(0, 1)]

    def product(self, weights: Sequence[Tensor]) -> Tensor:
        """Σ over the rank of rows times columns."""
        vertical, horizontal = weights
        return torch.einsum("riy,orx->oiyx", vertical[..., 0], horizontal[:, :, 0])

    @cached_property
    def spectra(self) -> list[Tensor]:
        """Of the tall matrix."""
        return [singular_values(tall(self.weight))]


class Tucker(_Truncated):
    """Fewer channels in, a small kernel, more channels out: Tucker-2 (Kim et al. 2016), by alternating projections."""

    name = "tucker"

    @staticmethod
    def unfit(layer: Layer) -> str:
        """A plain kernel is needed."""
        return _no_plain_kernel(layer)

    def full(self) -> Ranks:
        """Inputs and outputs, as far as the kernel can tell them apart."""
        weight = self.weight
        pixels = weight.shape[2] * weight.shape[3]
        return min(weight.shape[1], len(weight) * pixels), min(len(weight), weight.shape[1] * pixels)

    def parts(self, ranks: Ranks) -> list[Layer]:
        """1×1, the kernel with the layer's stride, padding and dilation, 1×1."""
        outputs, inputs = self.weight.shape[:2]
        few, more = ranks
        core = _conv(self.layer, few, more, height=True, width=True)
        return [_mix(self.layer, inputs, few, bias=False), core, _mix(self.layer, more, outputs)]

    def weights(self, ranks: Ranks) -> list[Tensor]:
        """De Lathauwer et al. 2000: the leading singular vectors of each unfolding, seen through the other's."""
        into, out = leading(self.weight.transpose(0, 1), ranks[0]), leading(self.weight, ranks[1])
        for _ in range(TUCKER_ROUNDS):
            into = leading(torch.einsum("oiyx,or->iryx", self.weight, out), ranks[0])
            out = leading(torch.einsum("oiyx,ir->oryx", self.weight, into), ranks[1])
        core = torch.einsum("oiyx,ir,os->sryx", self.weight, into, out)
        return [into.T[..., None, None], core, out[..., None, None]]

    def product(self, weights: Sequence[Tensor]) -> Tensor:
        """The core between the two matrices."""
        into, core, out = weights
        return torch.einsum("sryx,ri,os->oiyx", core, into[..., 0, 0], out[..., 0, 0])

    @cached_property
    def spectra(self) -> list[Tensor]:
        """Of the unfoldings by inputs and by outputs."""
        return [
            singular_values(self.weight.transpose(0, 1).flatten(1)),
            singular_values(self.weight.flatten(1)),
        ]


class Cp(Form):
    """W[o, i, y, x] ≈ Σ O[o, r] I[r, i] Y[r, y] X[r, x]: canonical polyadic, four layers (Lebedev et al. 2015)."""

    name = "cp"

    @staticmethod
    def unfit(layer: Layer) -> str:
        """A plain kernel is needed."""
        return _no_plain_kernel(layer)

    def full(self) -> Ranks:
        """As many components as the layer has channels: the exact rank of a tensor is not computable in practice."""
        return (max(self.weight.shape[:2]),)

    def parts(self, ranks: Ranks) -> list[Layer]:
        """1×1, a column and a row of each component by itself, 1×1."""
        outputs, inputs = self.weight.shape[:2]
        rank = ranks[0]
        column = _conv(self.layer, rank, rank, height=True, groups=rank)
        row = _conv(self.layer, rank, rank, width=True, groups=rank)
        return [_mix(self.layer, inputs, rank, bias=False), column, row, _mix(self.layer, rank, outputs)]

    def weights(self, ranks: Ranks) -> list[Tensor]:
        """Alternating least squares, begun with leading singular vectors and, beyond, with fixed noise."""
        noise = torch.Generator().manual_seed(0)
        factors = [start(self.weight.movedim(mode, 0), ranks[0], noise) for mode in range(4)]
        for _ in range(CP_ROUNDS):
            for mode in range(4):
                factors[mode] = least_squares(self.weight, factors, mode)
        out, into, column, row = alike(factors)
        return [into.T[..., None, None], column.T[:, None, :, None], row.T[:, None, None, :], out[..., None, None]]

    def product(self, weights: Sequence[Tensor]) -> Tensor:
        """Σ over the components."""
        into, column, row, out = weights
        return torch.einsum("ri,ry,rx,or->oiyx", into[..., 0, 0], column[:, 0, :, 0], row[:, 0, 0], out[..., 0, 0])

    def ranks_of_energy(self, energy: float) -> Ranks:
        """Find the smallest rank that keeps the energy by halving; the full rank where none does."""
        low, high = 1, self.full()[0]
        while low < high:
            middle = (low + high) // 2
            lost = self.weight - self.product(self.weights((middle,)))
            if 1 - float(lost.square().sum() / self.weight.square().sum()) >= energy:
                high = middle
            else:
                low = middle + 1
        return (high,)


class Separable(_Truncated):
    """``m`` kernels for every input channel, then 1×1: depthwise separable, by a decomposition of each input's slice.

    W[o, i] ≈ Σ P[o, i, j] D[i, j] over j ≤ m; m is the rank (Guo et al. 2018).
    """

    name = "separable"

    @staticmethod
    def unfit(layer: Layer) -> str:
        """A plain kernel is needed."""
        return _no_plain_kernel(layer)

    def full(self) -> Ranks:
        """The rank of an input's slice (outputs, pixels)."""
        return (min(len(self.weight), self.weight[0, 0].numel()),)

    def parts(self, ranks: Ranks) -> list[Layer]:
        """The depthwise one has the layer's stride, padding and dilation."""
        outputs, inputs = self.weight.shape[:2]
        wide = inputs * ranks[0]
        depthwise = _conv(self.layer, inputs, wide, height=True, width=True, groups=inputs)
        return [depthwise, _mix(self.layer, wide, outputs)]

    def weights(self, ranks: Ranks) -> list[Tensor]:
        """The leading singular vectors of each input's slice."""
        left, right = halves(self.weight.transpose(0, 1).flatten(2), ranks[0])
        kernels = right.reshape(-1, 1, *self.weight.shape[2:])
        return [kernels, left.permute(1, 0, 2).flatten(1)[..., None, None]]

    def product(self, weights: Sequence[Tensor]) -> Tensor:
        """Σ over the kernels of each input."""
        kernels, mixing = weights
        inputs = self.weight.shape[1]
        each = kernels.reshape(inputs, -1, *kernels.shape[2:])
        return torch.einsum("imyx,oim->oiyx", each, mixing.reshape(len(mixing), inputs, -1))

    @cached_property
    def spectra(self) -> list[Tensor]:
        """Of all inputs' slices together: each rank is taken by all inputs at once."""
        slices = self.weight.transpose(0, 1).flatten(2)
        return [singular_values(slices).square().sum(0).sqrt()]


FORMS: dict[str, type[Form]] = {form.name: form for form in (Svd, SpatialSvd, Tucker, Cp, Separable)}


def _no_plain_kernel(layer: Layer) -> str:
    if not isinstance(layer, nn.Conv2d) or layer.groups != 1:
        return "is no plain convolution"
    return "" if math.prod(layer.kernel_size) > 1 else "looks at one pixel"


def _like(layer: Layer) -> dict[str, Any]:
    return {"device": layer.weight.device, "dtype": layer.weight.dtype}


def _mix(layer: Layer, inputs: int, outputs: int, bias: bool | None = None) -> nn.Conv2d:
    """Make a 1×1 convolution, with a bias where ``layer`` has one unless told."""
    has_bias = layer.bias is not None if bias is None else bias
    return nn.Conv2d(inputs, outputs, 1, bias=has_bias, **_like(layer))


def _conv(
    layer: Layer, inputs: int, outputs: int, *, height: bool = False, width: bool = False, **more: Any
) -> nn.Conv2d:
    """Make a convolution with the kernel, stride, padding and dilation of ``layer`` along the axes asked for."""
    assert isinstance(layer, nn.Conv2d)

    def along(values: Sequence[int], otherwise: int) -> tuple[int, int]:
        return (values[0] if height else otherwise, values[1] if width else otherwise)

    padding = layer.padding if isinstance(layer.padding, str) else along(layer.padding, 0)
    shape = {"stride": along(layer.stride, 1), "dilation": along(layer.dilation, 1), "padding": padding}
    options = {"bias": False, **shape, **more, **_like(layer)}
    return nn.Conv2d(inputs, outputs, along(layer.kernel_size, 1), **options)
