"""Engine: what compiles an artifact and runs it. The contract every engine meets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tinysight.errors import UserError

__all__ = ["MODEL_ONNX", "Compiled", "Engine", "read_back", "require_file", "require_one_input"]

MODEL_ONNX = "model.onnx"


class Compiled(ABC):
    """A network ready to run on one engine with fixed threads and input shape."""

    @abstractmethod
    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map a batch (1, channels, height, width) to its scores."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...] | None:
        """The input's shape, with batch axis; None where it is not fixed."""

    @abstractmethod
    def executed(self) -> dict[str, Any]:
        """Say in which precision the engine really runs, read back from its own graph.

        Returns:
            What ``read_back`` makes of ``"f32" | "bf16" | "int8+f32" …`` and of the numbers of convolutions and matrix
            products, in integers and in all.
        """


def read_back(executed: str, integer_layers: int, layers: int) -> dict[str, Any]:
    """Return what an engine executes, with the share of its heavy layers that run in integers."""
    share = integer_layers / layers if layers else 0.0
    return {"executed": executed, "integer_share": share, "integer_layers": integer_layers, "layers": layers}


class Engine(ABC):
    """Compiles the model file of an artifact folder. Stateless: one instance serves every artifact."""

    name: ClassVar[str]

    @abstractmethod
    def version(self) -> str:
        """Return the engine's version."""

    @abstractmethod
    def files(self, artifact: Path) -> list[Path]:
        """Return every file of ``artifact`` this engine loads, as shipped."""

    @abstractmethod
    def compile(self, artifact: Path, *, threads: int, execute: str = "f32") -> Compiled:
        """Load and compile the artifact.

        Args:
            artifact: folder of the exported model.
            threads: size of the engine's thread pool.
            execute: precision of the parts that are not quantized, ``f32`` or ``bf16``.

        Raises:
            UserError: the file is missing or broken, or the engine cannot run this precision here.
        """

    @abstractmethod
    def refuse(self, execute: str) -> str | None:
        """Say why this engine cannot execute ``execute`` on this machine; None where it can."""


def require_one_input(model: Path, inputs: int, outputs: int) -> None:
    """Refuse a model file that does not turn one batch of images into scores.

    Raises:
        UserError: it has another number of inputs, or no output.
    """
    if inputs != 1 or not outputs:
        raise UserError(
            f"{model} has {inputs} inputs and {outputs} outputs: give a network that takes one batch of images and "
            "returns scores"
        )


def require_file(path: Path) -> Path:
    """Return ``path``.

    Raises:
        UserError: it does not exist.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist: is {path.parent} a bundle made by tinysight?")
    return path
