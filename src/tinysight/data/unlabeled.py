"""Photos without labels: further material for a student whose teacher labels them. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinysight.data.images import find_images, read_image
from tinysight.data.sample import Array, Sample, file_digest
from tinysight.errors import UserError

__all__ = ["UnlabeledSample", "photos_digest", "unlabeled_samples"]


@dataclass(frozen=True)
class UnlabeledSample(Sample):
    """A photo whose target counts nowhere: ``blank`` makes it for the photo's (height, width)."""

    name: str
    path: Path
    blank: Callable[[tuple[int, int]], Array]
    group: str | None = None

    def read(self) -> tuple[Array, Array]:
        """Decode the photo."""
        image = read_image(self.path)
        return image, self.blank((image.shape[0], image.shape[1]))

    def image_digest(self) -> str:
        """Hash the photo's bytes."""
        return file_digest(self.path)

    def target_digest(self) -> str:
        """There is no target."""
        return ""


def unlabeled_samples(
    folder: Path, blank: Callable[[tuple[int, int]], Array], held_out: Collection[str]
) -> Sequence[Sample]:
    """Return the photos of ``folder`` as samples, sorted by name, without those whose digest is ``held_out``.

    Raises:
        UserError: the folder does not exist or holds no image, or no other than these.
    """
    samples = [UnlabeledSample(f"unlabeled/{path.name}", path, blank) for path in find_images(folder)]
    others = [sample for sample in samples if sample.image_digest() not in held_out]
    if not others:
        raise UserError(f"every photo in {folder} is a validation or test image: give others to learn from")
    return others


def photos_digest(folder: Path) -> str:
    """Hash the contents of all photos of ``folder``.

    Raises:
        UserError: the folder does not exist or holds no image.
    """
    return hashlib.sha256("".join(file_digest(path) for path in find_images(folder)).encode()).hexdigest()[:16]
