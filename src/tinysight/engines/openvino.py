"""OpenVINO: the default engine on x86 processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.engines.base import MODEL_ONNX, Compiled, Engine, read_back, require_file, require_one_input
from tinysight.engines.hardware import processor
from tinysight.engines.quiet import import_openvino
from tinysight.errors import UserError

__all__ = ["OpenVino"]

HEAVY_LAYERS = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
INTEGERS = frozenset({"i8", "u8"})


class OpenVino(Engine):
    """Runs ``model.onnx``, latency mode, precision set explicitly."""

    name = "openvino"

    def version(self) -> str:
        """Return OpenVINO's version, without its build number."""
        return str(import_openvino().__version__).split("-")[0]

    def files(self, artifact: Path) -> list[Path]:
        """One file holds topology and weights; OpenVINO's own format needs up to twice its bytes."""
        return [require_file(artifact / MODEL_ONNX)]

    def compile(self, artifact: Path, *, threads: int, execute: str = "f32") -> Compiled:
        """Compile for the CPU; without an explicit hint OpenVINO would run fp32 files in bf16 where it can.

        The file goes through OpenVINO's converter, in memory. ``Core.read_model``, and so ``compile_model`` of a path,
        leaves quantizers apart, and the CPU plugin (2026.4) then computes a concatenation of int8 tensors wrongly.
        """
        if reason := self.refuse(execute):
            raise UserError(f"{artifact} cannot run in {execute} here: {reason}")
        ov = import_openvino()
        settings = {
            "INFERENCE_PRECISION_HINT": execute,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        model = self.files(artifact)[0]
        try:
            compiled = ov.Core().compile_model(ov.convert_model(model), "CPU", settings)
        except Exception as error:  # an operator it lacks is an exception type of its own, not a RuntimeError
            raise UserError(
                f"OpenVINO cannot load {model} ({_last_line(error)}): export it again, or choose another engine"
            ) from error
        require_one_input(model, len(compiled.inputs), len(compiled.outputs))
        return _OpenVinoNetwork(compiled, execute)

    def refuse(self, execute: str) -> str | None:
        """bf16 needs a processor that has it: OpenVINO would otherwise run f32 and say nothing."""
        if execute == "bf16" and not processor().has_bf16:
            return f"{processor().name} has no BF16 instructions, so OpenVINO would execute f32 all the same"
        return None


class _OpenVinoNetwork(Compiled):
    def __init__(self, compiled: Any, execute: str) -> None:
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._execute = execute

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        result = self._request.infer({0: images}, share_inputs=True)
        return np.asarray(result[0], np.float32)

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        shape = self._compiled.input(0).partial_shape
        return tuple(shape.to_shape()) if shape.is_static else None

    def executed(self) -> dict[str, Any]:
        precisions = []
        for node in self._compiled.get_runtime_model().get_ops():
            info = node.get_rt_info()
            if "layerType" in info and info["layerType"].astype(str) in HEAVY_LAYERS:
                precisions.append(info["runtimePrecision"].astype(str))
        integers = sum(precision in INTEGERS for precision in precisions)
        floats = sorted({precision for precision in precisions if precision not in INTEGERS})
        words = "+".join((["int8"] if integers else []) + floats) or self._execute
        return read_back(words, integers, len(precisions))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
