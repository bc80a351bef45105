"""ONNX Runtime: the engine that runs almost everywhere."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.engines.base import MODEL_ONNX, Compiled, Engine, read_back, require_file, require_one_input
from tinysight.engines.quiet import import_onnxruntime
from tinysight.errors import UserError

__all__ = ["OnnxRuntime"]

INTEGER_LAYERS = ("QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QGemm")
FLOAT_LAYERS = ("Conv", "FusedConv", "ConvTranspose", "MatMul", "Gemm", "FusedMatMul", "FusedGemm")


class OnnxRuntime(Engine):
    """Runs ``model.onnx`` on the CPU provider with all graph optimisations."""

    name = "onnxruntime"

    def version(self) -> str:
        """Return ONNX Runtime's version."""
        onnxruntime = import_onnxruntime()
        return str(onnxruntime.__version__)

    def files(self, artifact: Path) -> list[Path]:
        """One file holds topology and weights."""
        return [require_file(artifact / MODEL_ONNX)]

    def compile(self, artifact: Path, *, threads: int, execute: str = "f32") -> Compiled:
        """Make a session; the optimised graph goes through a temporary file only to read back what it executes."""
        onnxruntime = import_onnxruntime()
        if reason := self.refuse(execute):
            raise UserError(f"{artifact} cannot run in {execute} here: {reason}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = self.files(artifact)[0]
        with tempfile.TemporaryDirectory() as scratch:
            optimised = Path(scratch) / "optimised.onnx"
            options.optimized_model_filepath = str(optimised)
            try:
                session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            except Exception as error:  # the runtime raises its own unrelated exception types
                raise UserError(
                    f"ONNX Runtime cannot load {model} ({str(error).splitlines()[0]}): export it again, or choose "
                    "another engine"
                ) from error
            require_one_input(model, len(session.get_inputs()), len(session.get_outputs()))
            return _OnnxRuntimeNetwork(session, *_heavy_layers(optimised.read_bytes()))

    def refuse(self, execute: str) -> str | None:
        """The CPU provider has no bf16 convolutions."""
        return "ONNX Runtime has no bf16 convolutions on the CPU" if execute == "bf16" else None


class _OnnxRuntimeNetwork(Compiled):
    def __init__(self, session: Any, integer_layers: int, layers: int) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._integers, self._layers = integer_layers, layers

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._session.run(None, {self._input: images})[0], np.float32)

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        shape = self._session.get_inputs()[0].shape
        return tuple(shape) if all(isinstance(edge, int) for edge in shape) else None  # free axes have names

    def executed(self) -> dict[str, Any]:
        kinds = (["int8"] if self._integers else []) + (["f32"] if self._integers < self._layers else [])
        return read_back("+".join(kinds) or "f32", self._integers, self._layers)


def _heavy_layers(graph: bytes) -> tuple[int, int]:
    """Count the convolutions and matrix products in a serialised ONNX graph: those in integers, and all.

    A node's operator type is field 4 of NodeProto: the byte 0x22, a length, the name. Reading it so spares the runtime
    on a device the onnx package.
    """
    found = re.findall(rb"\x22([\x01-\x20])([A-Z][A-Za-z]+)", graph)
    names = [name[: length[0]].decode() for length, name in found]
    integers = sum(name in INTEGER_LAYERS for name in names)
    return integers, integers + sum(name in FLOAT_LAYERS for name in names)
