"""Keeping decoded samples in memory, so that every epoch and every candidate's training need not decode them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinysight.data.sample import Array, Sample

__all__ = ["in_memory"]

LARGEST_BYTES = 2 << 30


@dataclass
class _Memory:
    """What is kept, up to a bound; samples beyond it are decoded again every time."""

    pairs: dict[str, tuple[Array, Array]]
    size: int = 0

    def read(self, sample: Sample) -> tuple[Array, Array]:
        if sample.name in self.pairs:
            return self.pairs[sample.name]
        image, target = sample.read()
        size = image.nbytes + target.nbytes
        if self.size + size <= LARGEST_BYTES:
            self.pairs[sample.name] = (image, target)
            self.size += size
        return image, target


@dataclass(frozen=True)
class _Kept(Sample):
    """A sample whose arrays are read once. They are shared: whoever changes one must copy it."""

    sample: Sample
    memory: _Memory
    name: str
    group: str | None

    def read(self) -> tuple[Array, Array]:
        return self.memory.read(self.sample)

    def image_digest(self) -> str:
        return self.sample.image_digest()

    def target_digest(self) -> str:
        return self.sample.target_digest()


def in_memory(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the same samples, each decoded at most once; those that differ at every reading stay as they are."""
    if not all(sample.repeatable for sample in samples):
        return samples
    memory = _Memory({})
    return [_Kept(sample, memory, sample.name, sample.group) for sample in samples]
