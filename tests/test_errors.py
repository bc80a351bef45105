"""Suggestions for mistyped names."""

import pytest

from tinysight.errors import UserError, nearest, printable, some_of, unknown_name

NAMES = ["trim", "Narrow", "int8", "recalibrate"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("trimm", "trim"), ("TRIM", "trim"), ("narow", "Narrow"), ("in8", "int8"), ("calibrate", "recalibrate")],
)
def test_the_nearest_name(typed, meant):
    assert nearest(typed, NAMES) == meant


def test_nothing_is_near_to_a_stranger():
    assert nearest("zzzzzz", NAMES) is None


def test_nothing_is_near_where_there_is_nothing():
    assert nearest("trim", []) is None


def test_an_unknown_name_is_told_the_nearest():
    assert str(unknown_name("method", "trimm", NAMES)) == "unknown method 'trimm': did you mean 'trim'?"


def test_a_stranger_is_told_all_there_is():
    said = str(unknown_name("method", "zzzzzz", NAMES))
    assert said == "unknown method 'zzzzzz': choose one of: Narrow, int8, recalibrate, trim"


def test_it_is_the_users_error():
    assert isinstance(unknown_name("method", "x", NAMES), UserError)


def test_control_characters_are_spelled_out():
    assert printable("a \x1b[31mred\x07\nnext line, naïve") == "a \\x1b[31mred\\x07\nnext line, naïve"


def test_of_very_many_names_only_some_are_listed():
    said = str(unknown_name("encoder", "?", [f"name{number:04}" for number in range(1000)]))
    assert said.endswith("name0039 and 960 more")
    assert len(said) < 600


def test_of_many_names_the_first_are_listed():
    assert some_of(["a", "b"], 2) == "a, b"
    assert some_of(["a", "b", "c", "d"], 2) == "a, b and 2 more"
