"""Settings that do not change, and the digest that identifies them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tinysight.config import Config, digest_of


class Oven(Config):
    degrees: int = 180


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="degree\n"):
        Oven.model_validate({"degree": 200})


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Oven().degrees = 200


def test_a_digest_is_twelve_hexadecimal_digits():
    assert len(digest_of({"a": 1})) == 12
    assert set(digest_of({"a": 1})) <= set("0123456789abcdef")


def test_a_digest_stays_the_same_for_ever():
    """Candidates of old runs are found by it."""
    assert digest_of({"parent": "r", "config": {"keep": 0.5, "layer": "é"}, "seed": 0}) == "9e1e030a193d"


def test_the_order_of_keys_does_not_matter():
    assert digest_of({"a": 1, "b": {"c": 2, "d": 3}}) == digest_of({"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": 1, "b": None}, [{"a": 1}], {"a": 1.5}])
def test_other_content_has_another_digest(other):
    assert digest_of(other) != digest_of({"a": 1})


def test_the_order_of_a_list_matters():
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_a_path_counts_as_its_text():
    assert digest_of(Path("/a/b")) == digest_of("/a/b")


def test_a_digest_is_the_same_in_every_process(in_fresh_python):
    script = "from tinysight.config import digest_of; print(digest_of({'b': [1, 2.5, None], 'a': 'x'}))"
    other = in_fresh_python(script, PYTHONHASHSEED="7")
    assert other.strip() == digest_of({"a": "x", "b": [1, 2.5, None]})
