"""The flow of channels: a network run once, operator by operator, on pictures and on tags side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Interpreter, Node
from torch.fx.node import Target, map_aggregate

from tinysight.errors import one_line
from tinysight.reduction.channels.tags import STAYS, Tags, spread, varies

__all__ = ["Axis", "Flow", "Heads", "Value"]

STORED = {InputKind.PARAMETER, InputKind.BUFFER}
LARGE = 2**22
"""Elements of a parameter, read otherwise than as a matrix, that are no longer followed one by one."""


@dataclass(frozen=True, order=True)
class Axis:
    """One axis of a stored tensor, by the tensor's name in the network."""

    tensor: str
    axis: int


@dataclass
class Value:
    """A tensor on its way: what it holds, its tags, and its name where it is stored in the network.

    The tags of a stored tensor are made when somebody asks for them: a matrix has none, only its axes do.
    """

    tensor: Tensor
    tags: Tensor | None = None
    stored: str = ""


@dataclass(frozen=True)
class Heads:
    """The heads of an attention: the module whose code counts them, and the tag of each."""

    module: str
    tags: Tensor


class Flow(Interpreter):
    """Follows tags through an exported program; what it learns lies in its fields afterwards.

    Attributes:
        tags: all ties and holds.
        axes: the tags along those axes of stored matrices that can be cut.
        elements: the tags of other stored tensors, in their shape.
        made: of those axes, the ones along which channels are made, with the path of the layer that makes them.
        joint: tags that differ along several axes, of which only one can be cut.
        heads: the heads of attentions.
        target: the operator that runs now, as a function; ``result`` is what it gave.
    """

    def __init__(self, program: ExportedProgram, rules: Mapping[str, Any]) -> None:
        super().__init__(program.graph_module)
        self.tags = Tags()
        self.axes: dict[Axis, Tensor] = {}
        self.elements: dict[str, Tensor] = {}
        self.made: dict[Axis, str] = {}
        self.joint: list[Tensor] = []
        self.heads: list[Heads] = []
        self.result: Any = None
        self.target: Any = None
        self._rules = rules
        self._node: Node | None = None
        stored = (spec for spec in program.graph_signature.input_specs if spec.kind in STORED)
        self._names = {spec.arg.name: str(spec.target) for spec in stored}

    @property
    def where(self) -> str:
        """The operator that runs now, and the module whose code calls it."""
        assert self._node is not None
        return f"{self.path} ({self.operator})" if self.path else self.operator

    @property
    def operator(self) -> str:
        """The operator's name, such as conv2d."""
        assert self._node is not None
        return str(self._node.target).removeprefix("aten.").partition(".")[0]

    @property
    def path(self) -> str:
        """The path of the module whose code runs now."""
        return self.calling[-1][0] if self.calling else ""

    @property
    def calling(self) -> list[tuple[str, str]]:
        """Path and class of the modules whose code runs now, outermost first."""
        assert self._node is not None
        return list(self._node.meta.get("nn_module_stack", {}).values())

    def tags_of(self, value: Value) -> Tensor:
        """Return the tags of a value, in its shape."""
        if value.tags is None:
            value.tags = self._tags_of_stored(value)
        return value.tags

    def _tags_of_stored(self, value: Value) -> Tensor:
        axes = [axis for axis in self.axes if axis.tensor == value.stored]
        for axis in axes:
            self.tags.hold(self.axes[axis], f"{value.stored} is also read element by element, in {self.where}")
        if axes or value.tensor.numel() > LARGE:
            return self.stay(value.tensor.shape)
        self.elements[value.stored] = self.tags.fresh(*value.tensor.shape)
        return self.elements[value.stored]

    def stay(self, shape: Sequence[int]) -> Tensor:
        """Return tags of something that stays."""
        return torch.full((), STAYS).expand(tuple(shape))

    def rows(self, weight: Value, axis: int) -> Tensor:
        """Return the tags of the channels that a stored matrix makes along ``axis``; equal ones for a shared matrix."""
        key = Axis(weight.stored, axis)
        if key not in self.axes:
            self.axes[key] = self.tags.fresh(weight.tensor.shape[axis])
            self.made[key] = weight.stored.rpartition(".")[0] or weight.stored
        if weight.tags is not None:
            self.tags.hold(self.axes[key], f"{weight.stored} is also read element by element")
        return self.axes[key]

    def read(self, weight: Value, axis: int, tags: Tensor) -> None:
        """Note that a stored matrix reads channels ``tags`` along ``axis``."""
        self.tags.tie(self.axes.setdefault(Axis(weight.stored, axis), tags), tags, self.where)

    def along(self, tags: Tensor, axis: int) -> Tensor:
        """Return the tags along one axis; those that differ along others go together."""
        moved = tags.movedim(axis, 0)
        first = moved
        while first.dim() > 1:
            first = first.select(1, 0)
        self.tags.tie(moved, first.view(-1, *[1] * (moved.dim() - 1)), self.where)
        return first

    def hold(self, why: str, *tags: Tensor) -> None:
        """Let ``tags`` stay."""
        for each in tags:
            self.tags.hold(each, why)

    def run_node(self, n: Node) -> Any:
        """Run one operator on tensors and tags."""
        self._node = n
        return super().run_node(n)

    def placeholder(self, target: Target, args: Any, kwargs: Any) -> Value:
        """Take the next stored tensor or picture."""
        tensor: Tensor = super().placeholder(target, args, kwargs)
        assert self._node is not None
        name = self._names.get(self._node.name, "")
        return Value(tensor, None if name else self.stay(tensor.shape), name)

    def output(self, target: Target, args: Any, kwargs: Any) -> Any:
        """Let everything stay that reaches the output."""
        map_aggregate(args, lambda each: self.hold("it reaches the output", *self._tags_in(each)))
        return super().output(target, args, kwargs)

    def call_function(self, target: Target, args: Any, kwargs: Any) -> Any:
        """Run an operator, and its rule on the tags."""
        assert callable(target)
        self.target = target
        if self.operator.endswith("getitem>") or self.operator == "getitem":
            return target(*args, **kwargs)
        given: list[Value] = []
        map_aggregate((args, kwargs), lambda each: given.append(each) if isinstance(each, Value) else None)
        real = map_aggregate((args, kwargs), lambda each: each.tensor if isinstance(each, Value) else each)
        self.result = target(*real[0], **real[1])
        rule = self._rules.get(self.operator)
        if rule is None:
            return self._refused(f"there is no rule for the operator {self.where}", given)
        try:
            return self._joined(self.result, rule(self, *args, **kwargs))
        except (IndexError, RuntimeError, TypeError, ValueError) as error:  # one name stands for many operators
            return self._refused(f"the rule for {self.where} does not cover this use ({one_line(error, 80)})", given)

    def _refused(self, why: str, given: Sequence[Value]) -> Any:
        self.hold(why, *map(self.tags_of, given))
        return self._joined(self.result, self._staying(self.result))

    def _staying(self, result: Any) -> Any:
        if isinstance(result, Tensor):
            return self.stay(result.shape)
        return [self._staying(each) for each in result] if isinstance(result, list | tuple) else None

    def _joined(self, result: Any, tags: Any) -> Any:
        if not isinstance(result, Tensor):
            return [self._joined(*pair) for pair in zip(result, tags, strict=True)] if tags is not None else result
        if tags.shape != result.shape:
            raise ValueError(f"tags of {tuple(tags.shape)} for a result of {tuple(result.shape)}")
        tags = spread(tags)
        if sum(varies(tags, axis) for axis in range(tags.dim())) > 1:
            self.joint.append(tags)
        return Value(result, tags)

    def _tags_in(self, each: Any) -> list[Tensor]:
        return [self.tags_of(each)] if isinstance(each, Value) else []
