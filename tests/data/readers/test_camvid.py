from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tinysight.data.readers.camvid import CamVidFolders
from tinysight.data.sample import LabelRangeError


def write_frame(folder: Path, stem: str, values: list[int]) -> None:
    for part, pixels in (("train", np.zeros((2, len(values), 3))), ("trainannot", np.array([values, values]))):
        (folder / part).mkdir(exist_ok=True)
        assert cv2.imwrite(str(folder / part / f"{stem}.png"), pixels.astype(np.uint8))


def test_void_does_not_count_and_other_values_are_errors(tmp_path: Path) -> None:
    write_frame(tmp_path, "0001TP_000030", [0, 10, 11])
    write_frame(tmp_path, "0001TP_000060", [0, 10, 12])
    dataset = CamVidFolders(path=tmp_path).read()
    first, second = dataset.split("train")
    assert first.read()[1][0].tolist() == [0, 10, 255]
    assert dataset.classes[0] == "sky" and dataset.classes[10] == "bicyclist" and len(dataset.classes) == 11
    with pytest.raises(LabelRangeError, match="value 12"):
        second.read()


@pytest.mark.parametrize(
    ("stem", "group"), [("0001TP_006690", "0001TP"), ("Seq05VD_f00120", "Seq05VD"), ("frame", None)]
)
def test_the_group_is_the_video(tmp_path: Path, stem: str, group: str | None) -> None:
    write_frame(tmp_path, stem, [0])
    assert CamVidFolders(path=tmp_path).read().split("train")[0].group == group


def test_a_class_for_what_is_unlabeled_may_be_added(tmp_path: Path) -> None:
    write_frame(tmp_path, "0001TP_000030", [11, 11])
    data = CamVidFolders(path=tmp_path, unlabeled=True).read()
    assert data.classes[11:] == ("unlabeled",)
    assert (data.splits["train"][0].read()[1] == 255).all()
