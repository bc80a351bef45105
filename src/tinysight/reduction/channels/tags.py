"""Tags: every element of every tensor carries the number of the channel it would go with.

Tensors of tags have their tensor's shape. Tags that must go together are tied, tags that must stay are held with the
reason; what follows from all of it is settled once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["STAYS", "Settled", "Tags", "spread", "varies", "without_repeats"]

STAYS = 0
"""The tag of what never goes: pictures, constants, and all that belongs to no channel."""

Numbers = NDArray[np.int64]


class Tags:
    """The tags of one network."""

    def __init__(self) -> None:
        self._count = 1
        self._ties: list[Numbers] = []
        self._held: dict[int, str] = {}

    def fresh(self, *shape: int) -> Tensor:
        """Return a tensor of new tags, each its own."""
        first, self._count = self._count, self._count + int(np.prod(shape))
        return torch.arange(first, self._count).view(shape)

    def tie(self, one: Tensor, other: Tensor, where: str) -> None:
        """Let elements at the same place go together; what meets something that stays is held.

        Args:
            one: tags, of any shape that broadcasts with ``other``'s.
            other: tags.
            where: what ties them, for the reason why something stays.
        """
        pairs = np.stack([each.numpy().ravel() for each in _broadcast(*without_repeats(one, other))])
        pairs = pairs[:, pairs[0] != pairs[1]]
        stays = (pairs == STAYS).any(axis=0)
        self._hold(pairs[:, stays].max(axis=0, initial=STAYS), f"meets something that cannot be cut in {where}")
        pairs = pairs[:, ~stays]
        if pairs.size:
            self._ties.append(np.unique(pairs, axis=1))

    @property
    def count_of_ties(self) -> int:
        """How many ties and holds were made."""
        return len(self._ties) + len(self._held)

    def hold(self, tags: Tensor, why: str) -> None:
        """Let these tags stay, because of ``why``."""
        self._hold(without_repeats(tags)[0].numpy().ravel(), why)

    def _hold(self, tags: Numbers, why: str) -> None:
        for tag in np.unique(tags).tolist():
            if tag != STAYS:
                self._held.setdefault(tag, why)

    def settle(self) -> Settled:
        """Say what follows from all ties and holds so far."""
        return Settled(_classes(self._count, self._ties), self._held)


class Settled:
    """Which tags are one unit, and which stay. Units are named by their smallest tag."""

    def __init__(self, units: Numbers, held: dict[int, str]) -> None:
        self._units = units
        self._why: dict[int, str] = {}
        for tag, why in held.items():
            self._why.setdefault(int(units[tag]), why)
        self._stays = np.zeros(len(units), bool)
        self._stays[[STAYS, *self._why]] = True

    def units(self, tags: Tensor) -> Tensor:
        """Return the unit of every tag, ``STAYS`` for what stays."""
        units = self._units[tags.numpy()]
        return torch.from_numpy(np.where(self._stays[units], STAYS, units))

    def why(self, tags: Tensor) -> list[str]:
        """Return the reasons for which some of ``tags`` stay, each once."""
        units = np.unique(self._units[tags.numpy()])
        return sorted({self._why[unit] for unit in units.tolist() if unit in self._why})


def _classes(count: int, ties: Iterable[Numbers]) -> Numbers:
    """Return for every tag the smallest tag it is tied to, directly or through others."""
    roots = np.arange(count)
    pairs = np.concatenate([np.zeros((2, 0), np.int64), *ties], axis=1)
    while True:
        ends = roots[pairs]
        pairs = pairs[:, ends[0] != ends[1]]
        if not pairs.size:
            return roots
        ends = roots[pairs]
        np.minimum.at(roots, ends.max(axis=0), ends.min(axis=0))
        while not np.array_equal(roots, further := roots[roots]):
            roots = further


def _broadcast(*tags: Tensor) -> Sequence[Tensor]:
    return torch.broadcast_tensors(*tags)  # type: ignore[no-untyped-call,no-any-return]


def without_repeats(*tags: Tensor) -> tuple[Tensor, ...]:
    """Take one element of each axis along which every one of the tensors repeats itself in memory."""
    rank = max(each.dim() for each in tags)
    whole = [each[(None,) * (rank - each.dim())] for each in tags]
    for axis in range(rank):
        if all(each.stride(axis) == 0 or each.shape[axis] == 1 for each in whole):
            whole = [each.narrow(axis, 0, min(1, each.shape[axis])) for each in whole]
    return tuple(whole)


def spread(tags: Tensor) -> Tensor:
    """Return the same tags, sharing memory along every axis on which they do not vary."""
    for axis, size in enumerate(tags.shape):
        if size > 1 and tags.stride(axis) and not varies(tags, axis):
            tags = tags.narrow(axis, 0, 1).expand(tags.shape)
    return tags


def varies(tags: Tensor, axis: int) -> bool:
    """Whether ``tags`` differ along ``axis``."""
    if tags.shape[axis] < 2 or tags.stride(axis) == 0:
        return False
    (short,) = without_repeats(tags)
    return not bool((short == short.narrow(axis, 0, 1)).all())
