"""Networks drawn: slabs of layers that belong together, their arcs, and what was cut."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from tinysight.models.topology import Layer
from tinysight.report.topology import COLUMNS, draw_topology, rows, slabs_of, stacked

IMAGE = (3, 32, 32)


def layer(name: str, kind: str, *inputs: int, channels: int = 8, size: int = 32, field: float = 3) -> Layer:
    macs = 1000 if kind.startswith("conv") else 0
    return Layer(name, kind, inputs, (channels, size, size), 10 * channels, macs, (field, field))


@pytest.fixture
def residual() -> list[Layer]:
    """A convolution with batch norm and ReLU, one that is added to it, and a resize."""
    return [
        layer("stem.conv", "conv 3×3", -1), layer("stem.bn", "batch norm", 0), layer("stem.act", "ReLU", 1),
        layer("block.conv", "conv 3×3", 2), layer("block.add", "add", 3, 2),
        layer("head.up", "bilinear resize", 4, size=64),
    ]  # fmt: skip


def test_what_passes_a_result_on_is_drawn_with_it(residual):
    slabs = slabs_of(residual)
    assert [(slab.name, slab.kind, slab.inputs) for slab in slabs] == [
        ("stem.conv", "conv", (-1,)), ("block.conv", "conv", (0,)), ("block.add", "join", (1, 0)),
        ("head.up", "resize", (2,)),
    ]  # fmt: skip
    assert [part.kind for part in slabs[0].layers] == ["conv 3×3", "batch norm", "ReLU"]


def test_the_share_that_was_cut_is_that_of_the_channels(residual):
    reduced = [layer("stem.conv", "conv 3×3", -1, channels=6), layer("block.add", "add", 0, 0)]
    assert [slab.cut for slab in slabs_of(residual, reduced)] == [0.25, 1.0, 0.0, 1.0]


def test_a_layer_that_runs_twice_is_compared_run_by_run():
    before = [layer("pool", "max pool 2×2", -1, channels=8), layer("pool", "max pool 2×2", 0, channels=16)]
    after = [layer("pool", "max pool 2×2", -1, channels=4), layer("pool", "max pool 2×2", 0, channels=16)]
    assert [slab.cut for slab in slabs_of(before, after)] == [0.5, 0.0]


def test_a_layer_in_whose_place_others_stand_is_not_cut(residual):
    reduced = [layer("stem.conv.0", "conv 3×1", -1, channels=2), layer("stem.conv.1", "conv 1×3", 0)]
    assert slabs_of(residual, reduced)[0].cut == 0


def test_every_colour_is_plain_so_that_any_program_draws_it(residual):
    svg = draw_topology("net", "", slabs_of(residual), IMAGE)
    assert "light-dark(" not in svg
    assert "var(" not in svg


def test_the_legend_has_room(residual):
    kinds = ["conv 3×3", "depthwise conv 3×3", "transposed conv 2×2", "max pool 2×2", "add", "linear", "softmax"]
    slabs = slabs_of([layer(kind, kind, place - 1, channels=place + 1) for place, kind in enumerate(kinds)])
    svg = ElementTree.fromstring(draw_topology("net", "", slabs, IMAGE))
    last = [text for text in svg.iter("{http://www.w3.org/2000/svg}text") if text.text == "other"][-1]
    assert float(last.attrib["x"]) + 40 < float(svg.attrib["viewBox"].split()[2])


def test_the_drawing_has_a_slab_for_each_and_an_arc_for_each_skip(residual):
    svg = ElementTree.fromstring(draw_topology("net", "a note", slabs_of(residual), IMAGE))
    groups = [group.attrib["class"] for group in svg.iter("{http://www.w3.org/2000/svg}g")]
    kinds = ["slab conv", "slab conv", "slab join", "slab resize"]
    assert [group for group in groups if group in kinds][-4:] == kinds
    arcs = [path for path in svg.iter("{http://www.w3.org/2000/svg}path") if path.attrib["class"] == "arc"]
    assert len(arcs) == 1
    assert "net. a note" in [title.text for title in svg.iter("{http://www.w3.org/2000/svg}title")]


def test_what_was_cut_has_its_colour_and_its_entry_in_the_legend(residual):
    plain = draw_topology("net", "", slabs_of(residual), IMAGE)
    cut = draw_topology("net", "", slabs_of(residual, [layer("stem.conv", "conv 3×3", -1, channels=6)]), IMAGE)
    assert 'class="cut"' not in plain
    assert cut.count('class="cut"') == 1 + 4
    assert "25 % of the channels are cut" in cut


def test_drawings_are_stacked_at_one_scale(residual):
    one = draw_topology("net", "", slabs_of(residual), IMAGE)
    both = ElementTree.fromstring(stacked([one, one]))
    first, second = (part for part in both if part.tag.endswith("svg"))
    assert float(second.attrib["y"]) == float(first.attrib["height"])


def test_a_long_network_is_no_wider_than_a_page():
    layers = [layer(f"stage{number // 50}.{number}.conv", "conv 3×3", number - 1, channels=64) for number in range(200)]
    svg = ElementTree.fromstring(draw_topology("net", "", slabs_of(layers), IMAGE))
    assert float(svg.attrib["viewBox"].split()[2]) < 1500


def test_the_table_has_every_layer_and_the_sum(residual):
    table = list(rows([*residual, layer("pool", "average pool to 1×1", 5, size=1, field=math.inf)]))
    assert all(len(cells) == len(COLUMNS) for cells in table)
    assert table[0][:3] == ("stem.conv", "conv 3×3", "8×32×32")
    assert table[-2][-1] == "all"
    assert table[-1][0] == "7 layers"
