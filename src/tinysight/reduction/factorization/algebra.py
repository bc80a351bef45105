"""Products that come near a matrix or a tensor of four axes (outputs, inputs, height, width), by least squares."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["alike", "halves", "leading", "least_squares", "rank_of_energy", "singular_values", "start", "tall"]

RIDGE = 1e-9
"""Keeps the normal equations of nearly parallel CP components solvable."""
SUBSCRIPTS = "oiyx"


def halves(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Write (…, rows, columns) as (…, rows, rank) times (…, rank, columns), of like sizes: the best for its rank.

    The singular vectors of the shorter side are eigenvectors of a small square matrix, many times as fast as a whole
    decomposition. What they project is exact; values below 1e-8 of the largest are none.
    """
    if matrix.shape[-2] > matrix.shape[-1]:
        right, left = halves(matrix.mT, rank)
        return left.mT, right.mT
    squares, vectors = torch.linalg.eigh(matrix @ matrix.mT)
    vectors = vectors.flip(-1)[..., :rank]
    root = squares.flip(-1)[..., :rank].clamp(min=torch.finfo(matrix.dtype).tiny) ** 0.25
    return vectors * root[..., None, :], (vectors.mT @ matrix) / root[..., None]


def singular_values(matrix: Tensor) -> Tensor:
    """Return the singular values of (…, rows, columns), the largest first; those below 1e-8 of it are rough."""
    shorter = matrix if matrix.shape[-2] <= matrix.shape[-1] else matrix.mT
    squares: Tensor = torch.linalg.eigvalsh(shorter @ shorter.mT)
    return squares.flip(-1).clamp(min=0).sqrt()


def tall(weight: Tensor) -> Tensor:
    """Return the matrix (inputs × height, outputs × width)."""
    return weight.permute(1, 2, 0, 3).flatten(2).flatten(0, 1)


def leading(tensor: Tensor, rank: int) -> Tensor:
    """Return the leading left singular vectors (rows, rank) of a tensor unfolded along its first axis."""
    matrix = tensor.flatten(1)
    vectors: Tensor
    if len(matrix) > matrix.shape[1]:
        vectors = torch.linalg.svd(matrix, full_matrices=False)[0]
        return vectors[:, :rank]
    vectors = torch.linalg.eigh(matrix @ matrix.T)[1].flip(1)  # many times as fast where rows are few
    return vectors[:, :rank]


def start(unfolded: Tensor, rank: int, noise: torch.Generator) -> Tensor:
    vectors = leading(unfolded, rank)
    missing = rank - vectors.shape[1]
    return torch.cat([vectors, torch.randn(len(vectors), missing, generator=noise).to(vectors)], 1)


def least_squares(weight: Tensor, factors: Sequence[Tensor], mode: int) -> Tensor:
    """Return the factor of one mode that fits best while the others stay."""
    others = sorted((index for index in range(4) if index != mode), key=lambda index: -weight.shape[index])
    seen, axes = weight, SUBSCRIPTS
    for index in others:  # the longest axis first: what is left is small
        axis = SUBSCRIPTS[index]
        after = axes.replace(axis, "").replace("r", "") + "r"
        seen = torch.einsum(f"{axes},{axis}r->{after}", seen, factors[index])
        axes = after
    gram = math.prod((factors[index].T @ factors[index] for index in others), start=torch.ones(1).to(weight))
    ridge = RIDGE * gram.diagonal().mean().clamp(min=1e-30) * torch.eye(len(gram)).to(gram)
    found: Tensor = torch.linalg.solve(gram + ridge, seen.T).T
    return found


def alike(factors: Sequence[Tensor]) -> list[Tensor]:
    """Give all four factors of each component one length, so that none vanishes in single precision."""
    lengths = [factor.norm(dim=0).clamp(min=1e-30) for factor in factors]
    common = torch.stack(lengths).log().mean(0).exp()
    return [factor * (common / length) for factor, length in zip(factors, lengths, strict=True)]


def rank_of_energy(values: Tensor, energy: float) -> int:
    """Return how many singular values keep a share ``energy`` of the sum of squares."""
    kept = values.square().cumsum(0) / values.square().sum().clamp(min=1e-300)
    return min(len(values), 1 + int((kept < energy - 1e-12).sum()))
