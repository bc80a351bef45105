"""OnnxFile: an ONNX file that somebody brought, as a module without weights. It runs, and ships as it is."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, inliner, numpy_helper
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tinysight.data import InputPolicy
from tinysight.engines.quiet import import_onnxruntime
from tinysight.errors import UserError, one_line
from tinysight.models.spec import ModelSpec
from tinysight.reduction.brought import plain_input

__all__ = ["ONNX", "ONNX_COUNTER", "OnnxFile", "onnx_of_checkpoint", "read_onnx"]

ONNX = "onnx"
"""The builder of networks that are ONNX files: what they hold is their checkpoint's weights."""

STORED = ("FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT16", "UINT16")
"""Types of weights that some operator makes float32 again, where no precision would find a layer."""
FEWEST_VALUES = 16
"""Smaller constants are settings of operators."""

OLDEST_OPSET = 13
"""The first whose quantizers know a scale for each channel."""


class OnnxFile(nn.Module):
    """Runs ONNX ``content``, float32 images (1, channels, height, width) to scores, on ONNX Runtime, image by image.

    Its only tensor is the file itself, a buffer of bytes: it is copied and kept like any network, and has no gradients.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content: Tensor
        self.register_buffer("content", torch.frombuffer(bytearray(content), dtype=torch.uint8))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to scores (batch, classes, …) on the CPU."""
        name = self._session.get_inputs()[0].name
        arrays = images.detach().cpu().float().contiguous().numpy()
        return torch.from_numpy(np.concatenate([self._session.run(None, {name: array[None]})[0] for array in arrays]))

    def model(self) -> ModelProto:
        """Return the file's content."""
        return onnx.load_from_string(self.content.cpu().numpy().tobytes())

    def write(self, path: Path) -> None:
        """Write the file as it was given."""
        path.write_bytes(self.content.cpu().numpy().tobytes())

    def parameter_counts(self) -> tuple[int, int, int]:
        """Return the numbers of float constants: all, those that some operator reads, those of these not zero."""
        model = inliner.inline_local_functions(self.model())
        read = {name for node in model.graph.node for name in node.input}
        total = used = nonzero = 0
        for constant in model.graph.initializer:
            if constant.data_type != TensorProto.FLOAT:
                continue
            values = numpy_helper.to_array(constant)
            total += values.size
            if constant.name in read:
                used += values.size
                nonzero += int(np.count_nonzero(values))
        return total, used, nonzero

    def macs(self, example: Tensor) -> int:
        """Return the multiply-accumulates of convolutions and matrix products, by the sizes seen while it runs."""
        model = inliner.inline_local_functions(self.model())
        heavy = [node for node in model.graph.node if node.op_type in MACS]
        constants = {constant.name: tuple(constant.dims) for constant in model.graph.initializer}
        name = _inputs(model)[0].name
        shapes: dict[str, tuple[int, ...]] = constants | {name: tuple(example.shape)}
        wanted = {tensor for node in heavy for tensor in (*node.input[:2], node.output[0])} - shapes.keys()
        given = {value.name for value in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in sorted(wanted - given))
        names = [value.name for value in model.graph.output]
        results = _session(model.SerializeToString()).run(names, {name: example.numpy()})
        shapes |= {tensor: np.shape(result) for tensor, result in zip(names, results, strict=True)}
        return sum(MACS[node.op_type](node, shapes) for node in heavy)

    @cached_property
    def _session(self) -> Any:
        return _session(self.content.cpu().numpy().tobytes())

    def __getstate__(self) -> dict[str, Any]:
        """A session cannot be copied: a copy makes its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_session"}


def read_onnx(path: Path) -> tuple[OnnxFile, ModelSpec, InputPolicy]:
    """Read an ONNX file of one input and one output, both of fixed size, for one image.

    Raises:
        UserError: it is missing or damaged, keeps its weights elsewhere or in other types, or is of another form.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist: give an ONNX file")
    content = path.read_bytes()
    try:
        model = onnx.load_from_string(content)
        if not model.graph.node:
            raise ValueError("it has no operators")
    except Exception as error:  # protobuf's own
        raise UserError(f"{path} cannot be read as an ONNX file ({one_line(error)}): export it again") from error
    if _lift_constants(model):
        content = model.SerializeToString()
    if reason := _refused(path, model):
        raise UserError(reason)
    network = OnnxFile(content)
    policy = plain_input(path, tuple(axis.dim_value for axis in _inputs(model)[0].type.tensor_type.shape.dim))
    try:
        network(torch.zeros(policy.shape))
    except Exception as error:  # the runtime raises its own unrelated exception types
        raise UserError(f"ONNX Runtime cannot run {path} ({one_line(error)}): export it again") from error
    return network, ModelSpec(builder=ONNX, args={"class": path.name}), policy


def onnx_of_checkpoint(weights: Path) -> OnnxFile:
    """Return the file that a checkpoint keeps.

    Raises:
        UserError: it keeps something else.
    """
    try:
        return OnnxFile(load_file(weights)["content"].numpy().tobytes())
    except (OSError, SafetensorError, KeyError) as error:
        raise UserError(f"{weights} holds no ONNX file ({one_line(error)}): save the checkpoint again") from error


def _lift_constants(model: ModelProto) -> bool:
    """Turn weights that stand in Constant nodes, as some exporters write them, into initializers, where all look."""
    lifted = [node for node in model.graph.node if node.op_type == "Constant" and _size(node) >= FEWEST_VALUES]
    for node in lifted:
        weight = model.graph.initializer.add()
        weight.CopyFrom(node.attribute[0].t)
        weight.name = node.output[0]
        model.graph.node.remove(node)
    return bool(lifted)


def _size(constant: NodeProto) -> int:
    """Return the number of values of a Constant node that holds a tensor."""
    return int(np.prod(constant.attribute[0].t.dims)) if constant.attribute[0].name == "value" else 0


def _refused(path: Path, model: ModelProto) -> str | None:
    inputs, outputs = _inputs(model), model.graph.output
    if any(constant.data_location == TensorProto.EXTERNAL for constant in model.graph.initializer):
        return (
            f"{path} keeps its weights in other files: write it whole, with onnx.save(onnx.load(path), other_path), or "
            "export it with external_data=False"
        )
    if len(inputs) != 1 or len(outputs) != 1:
        names = [", ".join(value.name for value in values) for values in (inputs, outputs)]
        return (
            f"{path} has {len(inputs)} inputs ({names[0]}) and {len(outputs)} outputs ({names[1]}): give a network of "
            "one input, a batch of images, and one output, their scores; onnx.utils.extract_model cuts others off"
        )
    kind = inputs[0].type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        return f"{path} takes {TensorProto.DataType.Name(kind.elem_type).lower()}, not float32 images: export it so"
    axes = [axis.dim_value or axis.dim_param or "?" for axis in kind.shape.dim]
    shape = ", ".join(map(str, axes))
    fixing = f"python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name {inputs[0].name} --input_shape 1,3,H,W"
    if not axes or not all(isinstance(axis, int) for axis in axes):
        said = shape or "it gives none"
        return f"{path} takes inputs of any size ({said}): fix it with '{fixing} {path.name} fixed.onnx'"
    if axes[:1] != [1]:
        return f"{path} takes {shape}, {axes[0]} images at once: export it for one image"
    if any(
        node.op_type in {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"} for node in model.graph.node
    ):
        return f"{path} is quantized already: give the float file it was made from"
    if reason := _refused_weights(model):
        return f"{path} {reason}"
    opset = next((known.version for known in model.opset_import if known.domain in {"", "ai.onnx"}), 0)
    if opset < OLDEST_OPSET:
        return (
            f"{path} is written for ONNX opset {opset}: convert it with onnx.version_converter.convert_version(model, "
            f"{OLDEST_OPSET}), or export it again"
        )
    return None


def _refused_weights(model: ModelProto) -> str | None:
    for constant in model.graph.initializer:
        kind = TensorProto.DataType.Name(constant.data_type)
        if kind in STORED and np.prod(constant.dims) >= FEWEST_VALUES:
            return f"stores weights as {kind.lower()}: give the float32 file it was made from"
        if kind == "FLOAT" and np.isnan(numpy_helper.to_array(constant)).any():
            return f"cannot be used, as values of '{constant.name}' are not numbers (NaN): train it again and export it"
    return None


def _inputs(model: ModelProto) -> list[Any]:
    """Return what must be given: old files list their constants among the inputs."""
    constants = {constant.name for constant in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _session(content: bytes) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


Shapes = dict[str, tuple[int, ...]]


def _of_convolution(node: NodeProto, shapes: Shapes) -> int:
    return int(np.prod(shapes[node.output[0]]) * np.prod(shapes[node.input[1]][1:]))


def _of_transposed(node: NodeProto, shapes: Shapes) -> int:
    return int(np.prod(shapes[node.input[0]]) * np.prod(shapes[node.input[1]][1:]))


def _of_product(node: NodeProto, shapes: Shapes) -> int:
    return int(np.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1])


def _of_gemm(node: NodeProto, shapes: Shapes) -> int:
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return int(np.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else 1])


MACS = {"Conv": _of_convolution, "ConvTranspose": _of_transposed, "MatMul": _of_product, "Gemm": _of_gemm}
"""The operators that count, as in the counter of torch, with what each costs."""

ONNX_COUNTER = f"in an ONNX file the operators {', '.join(MACS)}, by the sizes of their tensors"
