"""The rules of products of two computed tensors: attention, and whatever else multiplies matrices."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import torch
from torch import Tensor

from tinysight.reduction.channels.flow import Flow, Heads, Value
from tinysight.reduction.channels.pointwise import join
from tinysight.reduction.channels.tags import STAYS, varies, without_repeats

__all__ = ["attention", "einsum", "matmul"]


def matmul(flow: Flow, one: Value, other: Value) -> Tensor:
    """Rows of one with columns of the other, for each entry of the axes before."""
    return _matmul(flow, flow.tags_of(one), flow.tags_of(other))


def _matmul(flow: Flow, one: Tensor, other: Tensor) -> Tensor:
    if min(one.dim(), other.dim()) < 2:
        return _refuse(flow, one, other)
    rank = max(one.dim(), other.dim())
    batch = ascii_letters[: rank - 2]
    equation = [batch[rank - one.dim() :] + "yz", batch[rank - other.dim() :] + "zx", batch + "yx"]
    return _contract(flow, equation, one, other)


def einsum(flow: Flow, equation: str, operands: Sequence[Value], **_more: Any) -> Tensor:
    """Two operands, each axis named by one letter."""
    tags = [flow.tags_of(each) for each in operands]
    given, arrow, result = equation.replace(" ", "").partition("->")
    letters = given.split(",")
    plain = all(len(set(each)) == len(each) for each in letters) and "." not in equation
    if not arrow or len(letters) != 2 or not plain:
        return _refuse(flow, *tags)
    return _contract(flow, [*letters, result], *tags)


def attention(flow: Flow, query: Value, key: Value, value: Value, mask: Value | None = None, *_more: Any) -> Tensor:
    """softmax(query keyᵀ + mask) value, head by head."""
    scores = _matmul(flow, flow.tags_of(query), flow.tags_of(key).transpose(-2, -1))
    if mask is not None:
        scores = join(flow, [scores, flow.tags_of(mask)])
    return _matmul(flow, scores, flow.tags_of(value))


def _contract(flow: Flow, equation: Sequence[str], one: Tensor, other: Tensor) -> Tensor:
    """Tie what a product sums over, and follow what it does not.

    Where channels lie along an axis that both have and keep, the heads of an attention, a whole entry of it can go.
    """
    first, second, result = equation
    common = [letter for letter in result if letter in first and letter in second]
    if any(
        varies(tags, letters.index(letter)) for tags, letters in ((one, first), (other, second)) for letter in common
    ):
        return _by_heads(flow, equation, common, one, other)
    summed = [letter for letter in first if letter in second and letter not in result]
    free = [(one, first), (other, second)]
    for letter in summed:
        if varies(one, first.index(letter)) or varies(other, second.index(letter)):
            ends = [flow.along(tags, letters.index(letter)) for tags, letters in free]
            flow.tags.tie(ends[0], ends[1], flow.where)
            return flow.stay(_shape(equation, one, other))
    kept = [
        (tags, letters)
        for tags, letters in free
        if any(varies(tags, letters.index(letter)) for letter in letters if letter in result)
    ]
    shape = _shape(equation, one, other)
    if len(kept) != 1:
        flow.hold(f"{flow.where} multiplies all of it with all of something else", one, other)
        return flow.stay(shape)
    return _placed(*kept[0], result).expand(shape)


def _by_heads(flow: Flow, equation: Sequence[str], common: list[str], one: Tensor, other: Tensor) -> Tensor:
    heads = []
    for tags, letters in ((one, equation[0]), (other, equation[1])):
        first = tags
        for axis, letter in enumerate(letters):
            if letter not in common:
                first = first.narrow(axis, 0, 1)
        flow.tags.tie(tags, first, flow.where)
        heads.append(_placed(first, letters, equation[2]))
    result = join(flow, heads)
    counted = [axis for axis in range(result.dim()) if varies(result, axis)]
    if len(counted) == 1 and flow.calling:
        flow.heads.append(Heads(flow.path, result.movedim(counted[0], 0).flatten(1)[:, 0]))
    return result.expand(_shape(equation, one, other))


def _placed(tags: Tensor, letters: str, result: str) -> Tensor:
    """Bring the axes into the result's order, with one element along those that are new."""
    gone = [axis for axis, letter in enumerate(letters) if letter not in result]
    for axis in reversed(gone):
        tags = tags.select(axis, 0)
    left = [letter for letter in letters if letter in result]
    tags = tags.permute([left.index(letter) for letter in result if letter in left])
    return tags[tuple(slice(None) if letter in left else None for letter in result)]


def _refuse(flow: Flow, *tags: Tensor) -> Tensor:
    if any(bool((without_repeats(each)[0] != STAYS).any()) for each in tags):
        flow.hold(f"{flow.where} multiplies in a way that no rule covers", *tags)
    return flow.stay(flow.result.shape)


def _shape(equation: Sequence[str], one: Tensor, other: Tensor) -> tuple[int, ...]:
    """Return the shape of a product."""
    sizes: dict[str, int] = {}
    for tags, letters in ((one, equation[0]), (other, equation[1])):
        for letter, size in zip(letters, tags.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return tuple(torch.Size([sizes[letter] for letter in equation[2]]))
