from __future__ import annotations

from pathlib import Path

import pytest

from tinysight.data.images import read_mask
from tinysight.data.sample import Dataset, FileSample
from tinysight.errors import UserError


def sample(name: str) -> FileSample:
    return FileSample(name, Path(f"{name}.png"), Path(f"{name}.txt"), lambda path, size: read_mask(path))


DATASET = Dataset(("a", "b"), {"train": (sample("one"), sample("two")), "val": ()})


def test_splits_are_asked_for_by_name() -> None:
    assert [s.name for s in DATASET.split("train")] == ["one", "two"]
    with pytest.raises(UserError, match="did you mean 'train'"):
        DATASET.split("trian")
    with pytest.raises(UserError, match="'val' is empty"):
        DATASET.split("val")


def test_arranging_moves_samples_and_names_what_is_gone() -> None:
    assert DATASET.arranged({"train": ["two"], "test": ["one"]}).names() == {"train": ["two"], "test": ["one"]}
    with pytest.raises(UserError, match="2 samples the run was made with are gone, the first is 'three'"):
        DATASET.arranged({"train": ["one", "three", "four"]})


def test_names_that_are_not_unique_are_refused() -> None:
    with pytest.raises(UserError, match="two samples are called 'one'"):
        Dataset(("a", "b"), {"train": (sample("one"),), "val": (sample("one"),)})


@pytest.mark.parametrize("name", ["a\nx", "\x1b[31ma", "\udcff", "b"])
def test_class_names_that_no_report_can_show_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"rename it|two classes are called 'b'"):
        Dataset((name, "b"), {"train": (sample("one"),)})


def test_a_missing_file_is_named_by_its_digest() -> None:
    with pytest.raises(UserError, match=r"one\.png cannot be read"):
        sample("one").image_digest()


def test_the_decoding_is_part_of_the_target(tmp_path: Path) -> None:
    label = tmp_path / "a.txt"
    label.write_text("same")
    digests = {
        FileSample("a", label, label, lambda p, s: read_mask(p), None, d).target_digest() for d in ("", "x", "y")
    }
    assert len(digests) == 3
