"""Choosing images for a split so that every class has the same share in it as in what stays behind.

Greedy, after the iterative stratification of Sechidis, Tsoumakas and Vlahavas (2011): the class that is furthest behind
chooses next, the rarest first, and of the images that show it takes the one that suits all the other classes best.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import fsum

__all__ = ["NOTHING", "Stratifier", "Unit"]

NOTHING = -1
"""The class of images that show none."""

LOOKED_AT = 64
"""Units compared before one is taken. The order they come in is random enough for more to change little."""


@dataclass(frozen=True)
class Unit:
    """Images that stay together: ``size`` of them.

    ``shown`` counts those that show each class, ``NOTHING`` where they show none. ``amounts`` says how much of them
    each class fills, in thousandths of an image: whole numbers, which every machine adds up alike.
    """

    size: int
    shown: Mapping[int, int]
    amounts: Mapping[int, int]


class Stratifier:
    """Takes one split after the other out of ``units``; equal units in equal order give equal splits.

    Of every class that at least two units show, one stays behind, to learn from.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self._size = sum(unit.size for unit in units)
        self._left = set(range(len(units)))
        self._members: dict[int, list[int]] = {}
        self._images: Counter[int] = Counter()
        self._amounts: Counter[int] = Counter()
        for number, unit in enumerate(units):
            self._images.update(unit.shown)
            self._amounts.update(unit.amounts)
            for label in unit.shown:
                self._members.setdefault(label, []).append(number)
        self._staying = {label: len(members) for label, members in self._members.items()}
        # Neither the names nor the numbers of classes decide which comes first.
        ordered = sorted(self._members, key=lambda label: (self._images[label], self._members[label]))
        self._rank = {label: rank for rank, label in enumerate(ordered)}

    def take(self, wanted: int, *, represent: bool) -> set[int]:
        """Take units of ``wanted`` images out, fewer where whole units do not add up to that, and return their numbers.

        There are more if not even the smallest unit fits; and with ``represent``, if otherwise a class would not be
        shown that at least two units show: then at most one image for each such class.
        """
        shared = sum(staying > 1 for staying in self._staying.values())
        limit = max(wanted, shared) if represent else wanted
        taken: set[int] = set()
        shown: Counter[int] = Counter()
        amounts: Counter[int] = Counter()
        waiting = set(self._members)
        size = 0
        while waiting and size < limit:
            behind = min(waiting, key=lambda label: (shown[label] / self._images[label], self._rank[label]))
            if size >= wanted and shown[behind]:
                break  # every class is represented
            candidates = list(islice(self._takable(self._members[behind], limit - size), LOOKED_AT))
            if not candidates:
                waiting.remove(behind)
                continue
            chosen = min(candidates, key=lambda number: self._cost(self._units[number], size, shown, amounts))
            self._remove(chosen)
            taken.add(chosen)
            shown.update(self._units[chosen].shown)
            amounts.update(self._units[chosen].amounts)
            size += self._units[chosen].size
        return taken or {self._smallest()}

    def _takable(self, numbers: Iterable[int], room: int) -> Iterator[int]:
        for number in numbers:
            unit = self._units[number]
            if number in self._left and unit.size <= room and all(self._staying[label] > 1 for label in unit.shown):
                yield number

    def _remove(self, number: int) -> None:
        self._left.remove(number)
        for label in self._units[number].shown:
            self._staying[label] -= 1

    def _smallest(self) -> int:
        """Take the smallest unit, the first where several are; one without which no class is lost, if there is any."""
        numbers = list(self._takable(sorted(self._left), self._size))
        smallest = min(numbers or sorted(self._left), key=lambda number: self._units[number].size)
        self._remove(smallest)
        return smallest

    def _cost(self, unit: Unit, size: int, shown: Counter[int], amounts: Counter[int]) -> float:
        """Return how much further from their fair shares a unit takes the classes it shows, for each of its images.

        The squared distances are weighted so that a rare class counts as much as a common one.
        """
        share = (size + unit.size) / self._size
        terms = []
        for label, count in unit.shown.items():
            images = self._images[label]
            terms.append(count * (2 * (shown[label] - share * images) + count) / images)
        for label, amount in unit.amounts.items():
            images, whole = self._images[label], self._amounts[label]
            terms.append(amount * (2 * (amounts[label] - share * whole) + amount) * images / whole**2)
        return fsum(terms) / unit.size  # the sum of fsum does not depend on the order of classes
