"""Milliseconds in a figure: ticks that read as numbers."""

import pytest
from matplotlib.figure import Figure

from tinysight.report.time_axis import time_axis


@pytest.mark.parametrize(
    ("times", "texts"),
    [([1.0, 90.0], {"1", "10", "50"}), ([8.0, 20.0], {"8", "10", "20"}), ([8.0], {"8.0"})],
    ids=["far apart", "near", "one"],
)
def test_ticks_read_as_numbers(times, texts):
    axes = Figure().add_subplot()
    time_axis(axes, times)
    labels = {label.get_text() for label in axes.get_xticklabels()}
    assert all(float(label) for label in labels)
    assert texts <= labels


def test_every_time_is_seen():
    axes = Figure().add_subplot()
    time_axis(axes, [2.0, 50.0])
    low, high = axes.get_xlim()
    assert low < 2.0 and high > 50.0
