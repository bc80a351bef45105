"""Channels that a network's own code counts: where a cut makes it fail, and what can be counted anew.

Code that says ``features.view(-1, self.width, size)`` works again once the attribute holds the new number; a number
written into the code itself cannot be changed, and is named with its line.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

import torch
from torch import Tensor, nn

from tinysight.errors import one_line
from tinysight.reduction.channels.cut import Record, kept_places
from tinysight.reduction.channels.graph import ChannelGraph
from tinysight.reduction.verify import run

__all__ = ["Fault", "count_anew", "fault_of"]

ELSEWHERE = (Path(torch.__file__).parent, Path(__file__).parent.parent)
"""Code that is nobody's network."""


@dataclass(frozen=True)
class Fault:
    """Why a smaller network does not do; the path of the module whose code failed, and the attributes of its line."""

    reason: str
    path: str = ""
    attributes: tuple[str, ...] = ()


def fault_of(network: nn.Module, images: Tensor) -> Fault | None:
    """Run a network; say what its code raises, and None where it runs."""
    try:
        run(network, images)
    except Exception as error:  # the network's own code may fail in any way
        return _fault(error, network)
    return None


def count_anew(fault: Fault, smaller: nn.Module, record: Record, graph: ChannelGraph, units: Collection[int]) -> bool:
    """Let the attributes that a failing line names follow the channels; say whether there was one to change.

    Args:
        fault: what failed.
        smaller: the network that failed.
        record: of the cut; the new counts are added to its ``sizes``.
        graph: the original's channels.
        units: what is cut.
    """
    before_and_after = {(graph.sizes[axis], len(places)) for axis, places in kept_places(graph, units).items()}
    module = dict(smaller.named_modules()).get(fault.path)
    sizes: dict[str, int] = record["sizes"].setdefault(fault.path, {}) if module else {}
    changed = False
    for name in fault.attributes:
        found = {after for before, after in before_and_after if before == getattr(module, name, None)}
        if len(found) == 1 and name not in sizes:  # several: nobody knows which channels are meant
            sizes[name] = found.pop()
            changed = True
    return changed


def _fault(error: Exception, network: nn.Module) -> Fault:
    """Name the line of the network's code that does not work with fewer channels."""
    reason = one_line(error, 120)
    frames = [(frame, line) for frame, line in _frames(error.__traceback__) if line.line]
    if not frames:
        return Fault(f"the network does not run without these channels ({reason})")
    _, line = frames[-1]
    paths = {id(module): path for path, module in network.named_modules()}
    running = [paths.get(id(each.f_locals.get("self"))) for each, _ in frames]
    path = next((path for path in reversed(running) if path is not None), "")
    named = tuple(re.findall(r"\bself\.(\w+)\b", line.line or ""))
    where = f"line {line.lineno} of {Path(line.filename).name}"
    return Fault(f"'{(line.line or '').strip()}' ({where}) does not work with fewer channels ({reason})", path, named)


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, traceback.FrameSummary]]:
    """Yield the frames of a network's own code, outermost first."""
    frames = [] if trace is None else [frame for frame, _ in traceback.walk_tb(trace)]
    for frame, line in zip(frames, traceback.extract_tb(trace), strict=True):
        if not any(Path(line.filename).is_relative_to(folder) for folder in ELSEWHERE):
            yield frame, line
