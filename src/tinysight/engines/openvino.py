"""OpenVINO: the default engine on x86 processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.engines.base import MODEL_IR, Compiled, Engine, require_file
from tinysight.engines.hardware import processor
from tinysight.engines.quiet import import_openvino
from tinysight.errors import UserError

__all__ = ["OpenVino", "convert_to_ir"]

HEAVY_LAYERS = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
INTEGERS = frozenset({"i8", "u8"})


class OpenVino(Engine):
    """Runs ``model.xml`` with ``model.bin``, latency mode, precision set explicitly."""

    name = "openvino"

    def version(self) -> str:
        """Return OpenVINO's version, without its build number."""
        return str(import_openvino().__version__).split("-")[0]

    def files(self, artifact: Path) -> list[Path]:
        """The topology and the weights: for small networks the first can outweigh the second."""
        topology = require_file(artifact / MODEL_IR)
        return [topology, require_file(topology.with_suffix(".bin"))]

    def compile(self, artifact: Path, *, threads: int, execute: str = "f32") -> Compiled:
        """Compile for the CPU; without an explicit hint OpenVINO would run fp32 files in bf16 where it can."""
        if reason := self.refuse(execute):
            raise UserError(f"{artifact} cannot run in {execute} here: {reason}")
        ov = import_openvino()
        settings = {
            "INFERENCE_PRECISION_HINT": execute,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        try:
            return _OpenVinoNetwork(ov.Core().compile_model(self.files(artifact)[0], "CPU", settings), execute)
        except RuntimeError as error:
            raise UserError(f"OpenVINO cannot compile {artifact}: {_first_line(error)}") from error

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
        return {
            "executed": "+".join((["int8"] if integers else []) + floats) or self._execute,
            "integer_share": integers / len(precisions) if precisions else 0.0,
        }


def convert_to_ir(onnx_file: Path, artifact: Path, *, keep_float16: bool) -> None:
    """Convert an ONNX file to OpenVINO's IR in folder ``artifact``, every tensor stored as the ONNX file stores it.

    Args:
        onnx_file: the file, float or with a precision record written into it.
        artifact: where ``model.xml`` and ``model.bin`` go.
        keep_float16: the file stores float16; the usual conversion would unpack it to float32, the plain reader does
            not, at the price of a larger topology.

    Raises:
        UserError: OpenVINO refuses the graph.
    """
    ov = import_openvino()
    try:
        model = ov.Core().read_model(str(onnx_file)) if keep_float16 else ov.convert_model(str(onnx_file))
        _name_by_place(model)
        # save_model compresses to fp16 unless told otherwise: precision is decided by the precision record alone.
        ov.save_model(model, str(artifact / MODEL_IR), compress_to_fp16=False)
    except Exception as error:  # an operator it lacks is an exception type of its own, not a RuntimeError
        raise UserError(f"OpenVINO cannot convert {onnx_file}: {_first_line(error)}") from error


def _name_by_place(model: Any) -> None:
    """Name inner nodes by their place: OpenVINO's names count through a process's life, and so change the file."""
    for number, node in enumerate(model.get_ordered_ops()):
        if node.get_type_name() not in {"Parameter", "Result"}:
            node.set_friendly_name(f"{node.get_type_name()}_{number}")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
