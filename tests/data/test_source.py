"""data.json: what it describes, and what it must not hold."""

import json

import pytest

from tinysight.data.readers import Facades
from tinysight.data.source import divided_as_recorded, open_data, save_data
from tinysight.errors import UserError

UNDIVIDED = Facades(train=20, val=0, test=0, height=64, width=64)


def test_a_damaged_description_is_named(tmp_path):
    (tmp_path / "data.json").write_bytes(b"\xff{")
    with pytest.raises(UserError, match=r"data\.json is damaged .*: give the data\.json of a run, or a recipe"):
        open_data(tmp_path / "data.json")


@pytest.mark.parametrize("splits", [[], None, {"val": "a"}, {"val": [1]}, {"val": None}, [["val", []]]])
def test_splits_are_lists_of_names(tiny_data, tmp_path, splits):
    (tmp_path / "data.json").write_text(json.dumps(json.loads(tiny_data.read_text()) | {"splits": splits}))
    with pytest.raises(UserError, match=r"data\.json describes no data"):
        open_data(tmp_path / "data.json")


def divided_again(path, reader=UNDIVIDED, val=0.2, test=0.1):
    return divided_as_recorded(path, reader, reader.read(), val, test)


def test_made_splits_are_what_any_process_opens(tmp_path):
    made = divided_again(tmp_path / "data.json")
    save_data(tmp_path / "data.json", UNDIVIDED, made)
    opened = open_data(tmp_path / "data.json")
    assert opened.names() == made.names()
    assert opened.digest() == made.digest()
    assert {split: len(names) for split, names in opened.names().items()} == {"val": 4, "test": 2, "train": 14}
    assert opened.made == {"val": 0.2, "test": 0.1}


@pytest.fixture
def record(tmp_path):
    """A record whose splits are none that anybody would make."""
    names = [sample.name for sample in UNDIVIDED.read().split("train")]
    content = {"reader": UNDIVIDED.model_dump(mode="json"), "made": {"val": 0.2, "test": 0.1}}
    splits = {"train": names[:10], "val": names[10:15], "test": names[15:19]}
    (tmp_path / "data.json").write_text(json.dumps(content | {"splits": splits}))
    return tmp_path / "data.json"


def test_recorded_splits_are_kept_and_what_was_added_since_is_left_out(record):
    kept = divided_again(record)
    assert [len(kept.split(split)) for split in ("train", "val", "test")] == [10, 5, 4]
    assert kept.made == {"val": 0.2, "test": 0.1}


@pytest.mark.parametrize("other", [{"val": 0.3}, {"test": 0.2}, {"reader": UNDIVIDED.model_copy(update={"seed": 1})}])
def test_a_record_of_other_data_or_fractions_is_not_taken(record, tmp_path, other):
    fresh = divided_again(tmp_path / "none.json", **other)
    assert divided_again(record, **other).names() == fresh.names()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"splits": 3}', b"\xff"])
def test_a_damaged_record_is_made_again(record, content):
    record.write_bytes(content)
    assert len(divided_again(record).split("val")) == 4


def test_a_recorded_sample_that_is_gone_is_named(record):
    record.write_text(record.read_text().replace("train_00003", "train_99999"))
    with pytest.raises(UserError, match="'train_99999': restore the data or start a new run"):
        divided_again(record)


def test_data_with_its_splits_are_recorded_as_ever(tmp_path):
    reader = Facades(train=6, val=2, test=2, height=64, width=64)
    save_data(tmp_path / "data.json", reader, reader.read())
    assert json.loads((tmp_path / "data.json").read_text()).keys() == {"schema", "reader", "splits"}
