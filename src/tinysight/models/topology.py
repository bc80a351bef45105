"""The layers of a network as it runs, read from torch.export: what each reads, gives, costs and sees. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from tinysight.errors import UserError, one_line

__all__ = ["Layer", "layers_of"]

SILENT = {"dropout", "feature_dropout", "alpha_dropout", "contiguous", "clone", "alias", "detach", "to", "getitem"}
"""Operators that change nothing in evaluation: what reads them reads their input."""

MIXING = {"matmul", "bmm", "mm", "scaled_dot_product_attention"}
"""Operators that mix positions as well as channels."""

NAMES = {
    "relu": "ReLU", "prelu": "PReLU", "silu": "SiLU", "gelu": "GELU", "elu": "ELU", "selu": "SELU", "relu6": "ReLU6",
    "hardtanh": "ReLU6", "hardswish": "hard swish", "hardsigmoid": "hard sigmoid", "batch_norm": "batch norm",
    "layer_norm": "layer norm", "group_norm": "group norm", "instance_norm": "instance norm", "cat": "concatenate",
    "mul": "multiply", "adaptive_avg_pool2d": "average pool to", "mean": "average", "max_unpool2d": "max unpool",
    "scaled_dot_product_attention": "attention",
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One operator of a network.

    ``name`` is the path of its module, or of the module whose code calls it with the operator's name behind;
    ``inputs`` are the positions of the layers it reads, -1 for the image; ``shape`` is that of its output, without the
    batch axis. ``field`` is the receptive field in pixels of the input (height, width), by the usual recurrence over
    kernels and strides (Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks"); infinite
    where every pixel counts, NaN where positions were rearranged and cannot be followed.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    parameters: int
    macs: int
    field: tuple[float, float]


@dataclass(frozen=True)
class _View:
    """What one value of a map sees along one axis: ``field`` pixels of the image, the next value ``jump`` further."""

    field: float = 1.0
    jump: float = 1.0

    def wider(self, taps: float, stride: float = 1.0, spacing: float = 1.0) -> _View:
        """Look at ``taps`` values, ``spacing`` apart; go on by ``stride``."""
        return _View(self.field + (taps - 1) * spacing * self.jump, self.jump * stride)


Views = tuple[_View, _View]
EVERYTHING = (_View(math.inf), _View(math.inf))
UNKNOWN = (_View(math.nan), _View(math.nan))


def layers_of(scores: nn.Module, example: Tensor) -> list[Layer]:
    """Return the operators of one evaluation of ``scores`` on ``example``, in the order in which they run.

    Raises:
        UserError: torch.export cannot follow the network's code.
    """
    try:
        program = torch.export.export(scores.eval(), (example,), strict=False)
    except Exception as error:  # whatever the network's own code raises while it is followed
        raise UserError(f"torch.export cannot follow the network ({one_line(error)}): it cannot be drawn") from error
    weights = {name: program.state_dict[path] for name, path in program.graph_signature.inputs_to_parameters.items()}
    return _Reader(weights).read(program.graph)


class _Reader:
    """Goes through a graph once."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights
        self._layers: list[Layer] = []
        self._places: dict[fx.Node, int] = {}
        self._views: dict[int, Views] = {-1: (_View(), _View())}

    def read(self, graph: fx.Graph) -> list[Layer]:
        for node in graph.nodes:
            if node.op == "placeholder" and node.name not in self._weights and not node.name.startswith("b_"):
                self._places[node] = -1
            if node.op != "call_function" or not isinstance(node.meta.get("val"), Tensor | tuple | list):
                continue
            read = tuple(dict.fromkeys(self._places[given] for given in node.all_input_nodes if given in self._places))
            if not read:
                continue  # made of constants
            if _operator(node) in SILENT:
                self._places[node] = read[0]
            else:
                self._add(node, read)
        return self._layers

    def _add(self, node: fx.Node, read: tuple[int, ...]) -> None:
        mine = [self._weights[given.name] for given in node.all_input_nodes if given.name in self._weights]
        before = [self._views[place] for place in read]
        # Of several inputs the one that sees most decides, along each axis.
        widest: Views = (_widest(before, 0), _widest(before, 1))
        views = _seen(node, widest)
        place = len(self._layers)
        self._places[node], self._views[place] = place, views
        self._layers.append(
            Layer(
                name=_name(node),
                kind=_kind(node),
                inputs=read,
                shape=tuple(_shape(node)[1:]),
                parameters=sum(weight.numel() for weight in mine),
                macs=_macs(node),
                field=(views[0].field, views[1].field),
            )
        )


def _widest(views: Sequence[Views], axis: int) -> _View:
    """Return what sees most; what cannot be followed may see anything short of everything."""
    order = {True: math.nextafter(math.inf, 0)}
    return max((view[axis] for view in views), key=lambda view: order.get(math.isnan(view.field), view.field))


def _operator(node: fx.Node) -> str:
    """Return the operator's plain name: ``conv2d`` of ``aten.conv2d.default``, ``add`` of ``aten.add_.Tensor``."""
    name = str(getattr(node.target, "__name__", node.target)).partition(".")[0]
    return name.rstrip("_")


def _name(node: fx.Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    path = path.removeprefix("network").removeprefix(".")
    is_leaf = str(kind).startswith("torch.nn.modules.")
    return path if path and is_leaf else ".".join(part for part in (path, node.name) if part)


def _shape(node: fx.Node) -> tuple[int, ...]:
    value = node.meta["val"]
    return tuple((value if isinstance(value, Tensor) else value[0]).shape)


def _argument(node: fx.Node, place: int, default: Any) -> Any:
    return node.args[place] if len(node.args) > place and node.args[place] is not None else default


def _pair(value: Any) -> tuple[Any, Any]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return (values[0], values[-1])


def _weight(node: fx.Node) -> tuple[int, ...]:
    given = node.args[1]
    assert isinstance(given, fx.Node)
    return _shape(given)


def _kind(node: fx.Node) -> str:
    operator = _operator(node)
    if operator.startswith("conv"):
        height, width = _weight(node)[-2:]
        stride = max(_pair(_argument(node, 3, 1)))
        groups = _argument(node, 8 if "transpose" in operator else 6, 1)
        if "transpose" in operator:
            groups = _argument(node, 6, 1)
        dilation = max(_pair(_argument(node, 7 if "transpose" in operator else 5, 1)))
        name = "transposed conv" if "transpose" in operator else "conv"
        if groups > 1:
            name = "depthwise conv" if groups == _weight(node)[0] else f"conv in {groups} groups"
        details = [f"{name} {height}×{width}"]
        details += [f"stride {stride}"] if stride > 1 else []
        details += [f"dilation {dilation}"] if dilation > 1 else []
        return ", ".join(details)
    if operator.startswith(("max_pool", "avg_pool")):
        height, width = _pair(_argument(node, 1, 1))
        return f"{'max' if operator.startswith('max') else 'average'} pool {height}×{width}"
    if operator == "adaptive_avg_pool2d":
        height, width = _pair(_argument(node, 1, 1))
        return f"{NAMES[operator]} {height}×{width}"
    if operator.startswith("upsample"):
        return f"{operator.removeprefix('upsample_').removesuffix('2d')} resize"
    return NAMES.get(operator, operator.replace("_", " "))


def _macs(node: fx.Node) -> int:
    """Count multiply-accumulates of convolutions and matrix products."""
    operator = _operator(node)
    if operator.startswith("conv"):
        weight = _weight(node)
        positions = _shape(node) if "transpose" not in operator else _shape(node.all_input_nodes[0])
        return math.prod(positions) * math.prod(weight[1:])
    if operator == "linear":
        return math.prod(_shape(node)) * _weight(node)[-1]
    if operator in {"matmul", "bmm", "mm"}:
        return math.prod(_shape(node)) * _shape(node.all_input_nodes[0])[-1]
    if operator == "scaled_dot_product_attention":
        queries, keys = (_shape(given) for given in node.args[:2] if isinstance(given, fx.Node))
        return 2 * math.prod(queries) * keys[-2]
    return 0


def _seen(node: fx.Node, views: Views) -> Views:
    """Return what the output's values see, given what the input's do."""
    operator, shape, given = _operator(node), _shape(node), _shape(node.all_input_nodes[0])
    rule = next((rule for name, rule in RULES.items() if operator.startswith(name)), None)
    if rule and len(shape) == len(given) == 4:
        return (rule(node, views[0], 0), rule(node, views[1], 1))
    if len(shape) == 2 and len(given) == 4:
        return EVERYTHING  # a whole map becomes one vector
    follows = shape[2:] == given[2:] and len(shape) == len(given) and operator not in MIXING
    return views if follows or math.isinf(views[0].field) else UNKNOWN


def _convolved(node: fx.Node, view: _View, axis: int) -> _View:
    stride, dilation = _pair(_argument(node, 3, 1))[axis], _pair(_argument(node, 5, 1))[axis]
    return view.wider(_weight(node)[2 + axis], stride, dilation)


def _transposed(node: fx.Node, view: _View, axis: int) -> _View:
    stride = _pair(_argument(node, 3, 1))[axis]
    return view.wider(math.ceil(_weight(node)[2 + axis] / stride), 1 / stride)


def _pooled(node: fx.Node, view: _View, axis: int) -> _View:
    kernel = _pair(_argument(node, 1, 1))
    stride = _pair(_argument(node, 2, []) or kernel)
    return view.wider(kernel[axis], stride[axis])


def _averaged(node: fx.Node, view: _View, axis: int) -> _View:
    before, after = _shape(node.all_input_nodes[0])[2 + axis], _shape(node)[2 + axis]
    return view.wider(math.ceil(before / after), before / after) if after > 1 else EVERYTHING[axis]


def _resized(node: fx.Node, view: _View, axis: int) -> _View:
    before, after = _shape(node.all_input_nodes[0])[2 + axis], _shape(node)[2 + axis]
    return view.wider(1 if "nearest" in _operator(node) else 2, before / after)


def _unpooled(node: fx.Node, view: _View, axis: int) -> _View:
    before, after = _shape(node.all_input_nodes[0])[2 + axis], _shape(node)[2 + axis]
    return view.wider(1, before / after)


RULES: dict[str, Callable[[fx.Node, _View, int], _View]] = {
    "conv_transpose": _transposed,
    "conv": _convolved,
    "max_pool": _pooled,
    "avg_pool": _pooled,
    "adaptive_": _averaged,
    "mean": _averaged,
    "upsample": _resized,
    "max_unpool": _unpooled,
}
"""How an operator, by how its name begins, changes what is seen; others see what their input sees."""
