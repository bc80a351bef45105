"""Charts of lines: SVG that browsers can read, with what others wrote shown as text."""

import re
from xml.etree import ElementTree

import pytest

from tinysight.report.line_chart import COLOURS, LEFT, RIGHT, Level, Line, line_chart

RISING = Line("rising", ((1, 60.0), (2, 65.0), (4, 66.0)), ((1, 59.0, 61.0), (2, 64.5, 65.5), (4, 66.0, 66.0)))


def drawn(*lines: Line, **changes) -> ElementTree.Element:
    return ElementTree.fromstring(line_chart(lines, **({"title": "t", "x": "epochs", "y": "mIoU, %"} | changes)))


def test_every_line_is_drawn_and_named():
    names = [group.findtext("title") for group in drawn(RISING, Line("other", ((1, 1.0), (2, 2.0)))).findall("g")]
    assert names == ["rising", "other"]


def test_the_spread_is_drawn():
    assert drawn(RISING).find("g/path[@class='band']") is not None


def test_a_level_is_named():
    texts = [text.text for text in drawn(RISING, levels=[Level("reference", 67.0)]).iter("text")]
    assert "reference" in texts


def test_what_others_wrote_is_text():
    chart = drawn(Line("<b>&", ((1, 1.0),)), title='"<i>', levels=[Level("</svg>", 1.0)])
    assert (chart.get("aria-label"), chart.findtext("g/title")) == ('"<i>', "<b>&")


def test_epochs_are_whole():
    chart = drawn(Line("short", ((1, 0.9), (2, 0.5))))
    epochs = [text.text for text in chart.iter("text") if text.get("text-anchor") == "middle"]
    assert epochs == ["1", "2", "epochs"]


@pytest.mark.parametrize("points", [((1, 0.5),), ((1, 0.5), (2, 0.5)), ((5, 0.0),)])
def test_a_line_without_extent_is_drawn_inside(points):
    places = [float(x) for x in re.findall(r'cx="([\d.]+)"', line_chart([Line("", points)], title="", x="", y=""))]
    assert len(places) == len(points) and all(LEFT <= place <= RIGHT for place in places)


def test_more_series_than_colours_begin_anew():
    lines = [Line(str(number), ((1, 1.0), (2, float(number))), series=number) for number in range(COLOURS + 1)]
    assert [group.get("class") for group in drawn(*lines).findall("g")][-2:] == [f"series-{COLOURS}", "series-1"]
