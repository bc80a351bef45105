"""What every reader is: the settings that name a data set, and the method that reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from tinysight.config import Config
from tinysight.data.sample import Dataset

__all__ = ["Reader"]


class Reader(Config, ABC):
    """A folder format. Its fields are what a recipe's ``data`` section may say; ``read`` makes the data set.

    Reading finds and pairs files; it decodes none of them.
    """

    name: ClassVar[str]

    @abstractmethod
    def read(self) -> Dataset:
        """Find the samples.

        Raises:
            UserError: a folder or label is missing, or nothing was found; the message names it.
        """
