"""data.json: what it describes, and what it must not hold."""

import json

import pytest

from tinysight.data.source import open_data
from tinysight.errors import UserError


def test_a_damaged_description_is_named(tmp_path):
    (tmp_path / "data.json").write_bytes(b"\xff{")
    with pytest.raises(UserError, match=r"data\.json is damaged .*: give the data\.json of a run, or a recipe"):
        open_data(tmp_path / "data.json")


@pytest.mark.parametrize("splits", [[], None, {"val": "a"}, {"val": [1]}, {"val": None}, [["val", []]]])
def test_splits_are_lists_of_names(tiny_data, tmp_path, splits):
    (tmp_path / "data.json").write_text(json.dumps(json.loads(tiny_data.read_text()) | {"splits": splits}))
    with pytest.raises(UserError, match=r"data\.json describes no data"):
        open_data(tmp_path / "data.json")
