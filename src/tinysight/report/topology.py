"""A network as a table of its layers, and as a drawing: slabs as high as their maps and as wide as their channels."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from tinysight.models.topology import Layer
from tinysight.report.labels import text_width
from tinysight.report.text import count_text

__all__ = ["COLUMNS", "Slab", "draw_topology", "rows", "slabs_of", "stacked"]

STYLE = Path(__file__).parent / "templates" / "topology.css"

COLUMNS = ("layer", "what", "output", "parameters", "MACs", "receptive field")

SVG = "http://www.w3.org/2000/svg"
VIEW_BOX = re.compile(r'viewBox="0 0 (\d+) (\d+)"')

IMAGE = -1
MOST_GROUPS = 14
MARGIN = 20.0
NARROWEST, WIDEST = 560.0, 1400.0
THINNEST = 0.4
"""How far slabs shrink so that the drawing is no wider than ``WIDEST``."""
LINE = 14.0
"""Between turned names."""
CLEAR = 24.0
"""From where a turned name begins to a level one behind it."""
GAP, JUMP_GAP = 3.0, 11.0
"""Between slabs, of which the second reads the first, or does not."""
TALLEST, FLATTEST = 190.0, 16.0

KINDS = {
    "conv": "convolution", "depthwise": "depthwise convolution", "up": "transposed convolution", "linear": "linear",
    "pool": "pooling", "resize": "resize", "join": "add, multiply, concatenate", "other": "other",
}  # fmt: skip


@dataclass(frozen=True)
class Slab:
    """Layers drawn as one: the first, and those that only pass its result on, such as batch norm and activation.

    ``inputs`` are positions of slabs, -1 for the image; ``cut`` is the share of its channels that another network
    lacks.
    """

    name: str
    kind: str
    layers: tuple[Layer, ...]
    inputs: tuple[int, ...]
    cut: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, or channels, height and width, of what it gives."""
        return self.layers[-1].shape


def rows(layers: Sequence[Layer]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each layer, in the order of ``COLUMNS``, and of the sum."""
    for layer in layers:
        size = "×".join(str(edge) for edge in layer.shape)
        cost = [count_text(count) if count else "" for count in (layer.parameters, layer.macs)]
        yield (layer.name, layer.kind, size, *cost, _field_text(layer.field))
    total = [count_text(sum(getattr(layer, what) for layer in layers)) for what in ("parameters", "macs")]
    yield (f"{len(layers)} layers", "", "", *total, "")


def _field_text(field: tuple[float, float]) -> str:
    height, width = (_edge_text(edge) for edge in field)
    return height if height == width else f"{height}×{width}"


def _edge_text(edge: float) -> str:
    if math.isnan(edge):
        return "–"
    return "all" if math.isinf(edge) else f"{edge:.0f}"


def slabs_of(layers: Sequence[Layer], reduced: Sequence[Layer] | None = None) -> list[Slab]:
    """Put layers together to slabs; with a ``reduced`` network, say what of each it lacks, by the layers' names."""
    left = None if reduced is None else {run: layer.shape[0] for run, layer in _runs(reduced)}
    runs = [run for run, _ in _runs(layers)]
    readers: dict[int, int] = {}
    for layer in layers:
        for place in layer.inputs:
            readers[place] = readers.get(place, 0) + 1
    members: list[list[int]] = []
    slab_of: dict[int, int] = {IMAGE: IMAGE}
    for place, layer in enumerate(layers):
        follows = len(layer.inputs) == 1 and _kind(layer) == "other" and layer.inputs[0] != IMAGE
        before = layer.inputs[0]
        if follows and readers[before] == 1 and layer.shape == layers[before].shape:
            slab_of[place] = slab_of[before]
            members[slab_of[before]].append(place)
        else:
            slab_of[place] = len(members)
            members.append([place])
    slabs = []
    for places in members:
        first = layers[places[0]]
        inputs = tuple(dict.fromkeys(slab_of[place] for place in first.inputs))
        cut = 0.0 if left is None else 1 - min(1.0, _left_of(runs[places[0]], left) / first.shape[0])
        slabs.append(Slab(first.name, _kind(first), tuple(layers[place] for place in places), inputs, cut))
    return slabs


def _left_of(run: tuple[str, int], left: Mapping[tuple[str, int], int]) -> int:
    """Return the channels that remain of a layer: where others stand in for it, those of the last of them."""
    name, number = run
    inside = [channels for (path, at), channels in left.items() if at == number and path.startswith(f"{name}.")]
    return left.get(run, inside[-1] if inside else 0)


def _runs(layers: Sequence[Layer]) -> Iterator[tuple[tuple[str, int], Layer]]:
    """Yield every layer with its name and how often it has run before: a module may run at several places."""
    seen: Counter[str] = Counter()
    for layer in layers:
        yield (layer.name, seen[layer.name]), layer
        seen[layer.name] += 1


def _kind(layer: Layer) -> str:
    beginnings = {
        "conv": "conv", "depthwise": "depthwise", "transposed": "up", "max unpool": "up", "max pool": "pool",
        "average": "pool", "linear": "linear", "add": "join", "multiply": "join", "concatenate": "join",
    }  # fmt: skip
    found = next((kind for beginning, kind in beginnings.items() if layer.kind.startswith(beginning)), "other")
    return "resize" if layer.kind.endswith("resize") else found


class _Box(NamedTuple):
    left: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def draw_topology(title: str, note: str, slabs: Sequence[Slab], image: tuple[int, ...]) -> str:
    """Return an SVG of a network that reads an ``image`` of (channels, height, width)."""
    boxes = _placed(slabs, image)
    width = max(boxes[-1].left + boxes[-1].width + LINE, MARGIN + text_width(note, 13), NARROWEST)
    arcs = [(source, place) for place, slab in enumerate(slabs) for source in slab.inputs if source != place - 1]
    rise = max((_rise(boxes[source + 1], boxes[place + 1]) for source, place in arcs), default=0.0)
    base = 96 + rise + TALLEST
    groups = list(_named(_groups(slabs), boxes))
    legend = _legend_entries(slabs)
    width = max(width, legend[-1].right, *(group.right for group in groups)) + MARGIN
    height = base + 60 + max(group.below for group in groups)
    svg = Element(
        "svg", {"class": "topology", "viewBox": f"0 0 {width:.0f} {height:.0f}", "role": "img", "xmlns": SVG},
    )  # fmt: skip
    SubElement(svg, "title").text = f"{title}. {note}"
    SubElement(svg, "style").text = STYLE.read_text(encoding="utf-8")
    SubElement(svg, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    _text(svg, MARGIN, 28, title, "title")
    _text(svg, MARGIN, 48, note, "soft")
    _legend(svg, legend)
    for source, place in arcs:
        _arc(svg, boxes[source + 1], boxes[place + 1], base)
    for box, slab in zip(boxes[1:], slabs, strict=True):
        _block(svg, box, slab, base)
    image_box = boxes[0]
    _rect(svg, "image", image_box.left, base - image_box.height, image_box.width, image_box.height)
    _sizes(svg, slabs, boxes, base, image)
    for group in groups:
        _bracket(svg, group, base)
    return tostring(svg, encoding="unicode")


def stacked(drawings: Sequence[str]) -> str:
    """Return one SVG with several below each other, at one scale."""
    parts, width, top = [], 0.0, 0.0
    for drawing in drawings:
        own_width, own_height = (float(edge) for edge in VIEW_BOX.findall(drawing)[0])
        parts.append(
            drawing.replace("<svg ", f'<svg y="{top:.0f}" width="{own_width:.0f}" height="{own_height:.0f}" ', 1)
        )
        width, top = max(width, own_width), top + own_height
    return f'<svg class="topology" viewBox="0 0 {width:.0f} {top:.0f}" xmlns="{SVG}">{"".join(parts)}</svg>'


def _placed(slabs: Sequence[Slab], image: tuple[int, ...]) -> list[_Box]:
    """Place the image and every slab from left to right; long networks are drawn with narrower slabs."""
    largest = max([max(image[1:]), *(max(slab.shape[1:], default=1) for slab in slabs)])
    gaps = [0.0, *(GAP if place - 1 in slab.inputs else JUMP_GAP for place, slab in enumerate(slabs))]
    channels = [image[0], *(slab.shape[0] for slab in slabs)]
    edges = [max(image[1:]), *(max(slab.shape[1:], default=1) for slab in slabs)]
    widths = [3 + 1.1 * math.sqrt(count) for count in channels]
    scale = max(THINNEST, min(1.0, WIDEST / (sum(gaps) + sum(widths))))
    boxes, left = [], MARGIN
    for gap, width, edge in zip(gaps, widths, edges, strict=True):
        left += scale * gap
        boxes.append(_Box(left, scale * width, _height(edge, largest)))
        left += scale * width
    return boxes


def _height(edge: int, largest: int) -> float:
    return FLATTEST + (TALLEST - FLATTEST) * math.log2(edge) / max(1.0, math.log2(largest))


def _block(svg: Element, box: _Box, slab: Slab, base: float) -> None:
    group = SubElement(svg, "g", {"class": f"slab {slab.kind}"})
    what = ", ".join(layer.kind for layer in slab.layers)
    size = "×".join(str(edge) for edge in slab.shape)
    macs, parameters = (sum(getattr(layer, name) for layer in slab.layers) for name in ("macs", "parameters"))
    words = f"{slab.name}: {what}; {size}; {count_text(parameters)} parameters, {count_text(macs)} MACs"
    SubElement(group, "title").text = words + (f"; {100 * slab.cut:.0f} % of the channels are cut" if slab.cut else "")
    _rect(group, "whole", box.left, base - box.height, box.width, box.height)
    if slab.cut:
        # What is cut stands at the right, as wide as its share.
        share = max(1.5, box.width * slab.cut)
        _rect(group, "cut", box.left + box.width - share, base - box.height, share, box.height)


def _arc(svg: Element, source: _Box, target: _Box, base: float) -> None:
    """Draw who reads whom over the slabs between them."""
    top = base - max(source.height, target.height) - _rise(source, target)
    start, end = base - source.height, base - target.height
    path = f"M{source.middle:.1f} {start:.1f}C{source.middle:.1f} {top:.1f} {target.middle:.1f} {top:.1f}"
    SubElement(svg, "path", {"class": "arc", "d": f"{path} {target.middle:.1f} {end:.1f}"})


def _rise(source: _Box, target: _Box) -> float:
    return min(110.0, 16 + 0.12 * (target.middle - source.middle))


def _sizes(svg: Element, slabs: Sequence[Slab], boxes: Sequence[_Box], base: float, image: tuple[int, ...]) -> None:
    """Write heights and widths below, wherever they change and there is room."""
    sizes = [tuple(image[1:]), *(tuple(slab.shape[1:]) for slab in slabs)]
    free = 0.0
    for size, run in groupby(range(len(sizes)), key=lambda place: sizes[place]):
        places = list(run)
        text = "×".join(str(edge) for edge in size) or "1"
        half = text_width(text, 11) / 2
        middle = (boxes[places[0]].left + boxes[places[-1]].left + boxes[places[-1]].width) / 2
        middle = max(middle, MARGIN + half)
        if middle - half >= free:
            _text(svg, middle, base + 15, text, "size")
            free = middle + half + 6


def _groups(slabs: Sequence[Slab]) -> list[tuple[str, int, int]]:
    """Return the parts of a network with their first and last slab: as fine as the module paths allow."""
    best: list[tuple[str, int, int]] = []
    for depth in range(1, 5):
        named = [".".join(slab.name.split(".")[:depth]) for slab in slabs]
        found = []
        for name, run in groupby(range(len(slabs)), key=lambda place: named[place]):
            places = list(run)
            found.append((name, places[0], places[-1]))
        if best and len(found) > MOST_GROUPS:
            break
        best = found
    return best


class _Group(NamedTuple):
    """A part of the network and where its name stands: level below it, or turned where it has no room."""

    name: str
    first: _Box
    last: _Box
    turned: bool

    @property
    def middle(self) -> float:
        return (self.first.left + self.last.left + self.last.width) / 2

    @property
    def right(self) -> float:
        return self.middle + (0.72 * text_width(self.name, 11) if self.turned else 0)

    @property
    def below(self) -> float:
        return 0.72 * text_width(self.name, 11) if self.turned else 0.0


def _named(groups: Sequence[tuple[str, int, int]], boxes: Sequence[_Box]) -> Iterator[_Group]:
    """Yield the groups; one whose turned name would cover the name before has none."""
    free = -CLEAR
    for name, first, last in groups:
        start, end = boxes[first + 1], boxes[last + 1]
        room = end.left + end.width - start.left
        width = text_width(name, 11)
        group = _Group(name, start, end, turned=width > room)
        if group.middle - width / 2 < free + CLEAR:  # the turned name before reaches under it
            group = group._replace(turned=True)
        if group.turned and group.middle < free + LINE:
            group = group._replace(name="")
        elif group.turned:
            free = group.middle
        yield group


def _bracket(svg: Element, group: _Group, base: float) -> None:
    left, right, top = group.first.left, group.last.left + group.last.width, base + 28
    SubElement(svg, "path", {"class": "bracket", "d": f"M{left:.1f} {top - 4:.1f}v4H{right:.1f}v-4"})
    if not group.turned:
        _text(svg, group.middle, top + 16, group.name, "size")
    elif group.name:
        turned = {"transform": f"rotate(45 {group.middle:.1f} {top + 12:.1f})"}
        _text(svg, group.middle, top + 14, group.name, "turned", turned)


class _Entry(NamedTuple):
    """One colour of the legend: the classes of its rectangle and of what that stands in, and where it begins."""

    outer: str
    inner: str
    text: str
    left: float

    @property
    def right(self) -> float:
        return self.left + 18 + text_width(self.text, 13)


def _legend_entries(slabs: Sequence[Slab]) -> list[_Entry]:
    """Return what the colours mean, of those that occur."""
    used = [kind for kind in KINDS if any(slab.kind == kind for slab in slabs)]
    meanings = [(f"slab {kind}", "whole", KINDS[kind]) for kind in used]
    if any(slab.cut for slab in slabs):
        meanings.append(("slab", "cut", "cut"))
    entries: list[_Entry] = []
    for outer, inner, text in meanings:
        entries.append(_Entry(outer, inner, text, entries[-1].right + 18 if entries else MARGIN))
    return entries


def _legend(svg: Element, entries: Sequence[_Entry]) -> None:
    for entry in entries:
        _rect(SubElement(svg, "g", {"class": entry.outer}), entry.inner, entry.left, 62, 12, 12)
        _text(svg, entry.left + 18, 72, entry.text, "soft")


def _rect(parent: Element, css: str, left: float, top: float, width: float, height: float) -> None:
    place = {"x": f"{left:.1f}", "y": f"{top:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
    SubElement(parent, "rect", {"class": css, **place})


def _text(parent: Element, left: float, top: float, text: str, css: str, more: dict[str, str] | None = None) -> None:
    SubElement(parent, "text", {"class": css, "x": f"{left:.1f}", "y": f"{top:.1f}", **(more or {})}).text = text
