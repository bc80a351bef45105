"""Records of a measurement, in words."""

from __future__ import annotations

import pytest

from tinysight.measure.records import PrecisionRead


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"executed": "f32", "integer_share": 0.0}, "f32"),
        ({"executed": "int8+f32", "integer_share": 0.5, "integer_layers": 2, "layers": 4}, "int8+f32, 2 of 4"),
        ({"executed": "int8+f32", "integer_share": 0.5}, "int8+f32, 50 % of the"),
    ],
)
def test_what_runs_in_integers_is_said_by_numbers(about: dict, said: str):
    assert PrecisionRead(stored="int8", **about).sentence.startswith(said)
