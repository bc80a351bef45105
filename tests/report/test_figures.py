"""Figures: PNG files beside the page, and nothing anywhere else."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysight.report.classes import Matrix
from tinysight.report.figures import write_confusion, write_results


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def matrix(name: str, classes: int) -> Matrix:
    return Matrix(name, np.eye(classes, dtype=np.int64), np.eye(classes))


def test_the_chart_is_a_picture(tmp_path, run_records):
    write_results(tmp_path, run_records, "mIoU", 0.5)
    assert size_of(tmp_path / "results.png") == (1280, 800)


def test_candidates_far_apart_in_time_are_drawn(tmp_path, run_records, make_record):
    write_results(tmp_path, [*run_records, make_record("fast", ratio=100, verdict="undecided")], "mIoU", 0.5)
    assert (tmp_path / "results.png").is_file()


def test_without_a_measured_candidate_there_is_no_chart(tmp_path):
    write_results(tmp_path, [], "mIoU", 0.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("classes", [2, 30])
def test_confusion_stands_side_by_side(tmp_path, classes):
    names = [f"class {number}" for number in range(classes)]
    write_confusion(tmp_path, [matrix("reference", classes), matrix("reduced", classes)], names)
    width, height = size_of(tmp_path / "confusion_matrix.png")
    assert 1.5 * height < width < 2 * height, "two squares, and room for names"


def test_names_are_taken_as_they_are(tmp_path):
    write_confusion(tmp_path, [matrix("$x$ $", 2)], ["$\\frac$ & <b>", "标志" + 40 * "x"])
    assert (tmp_path / "confusion_matrix.png").is_file()


def test_the_same_numbers_make_the_same_picture(tmp_path, run_records):
    def written() -> bytes:
        write_results(tmp_path, run_records, "mIoU", 0.5)
        return (tmp_path / "results.png").read_bytes()

    assert written() == written()


def test_nothing_is_left_in_the_users_home(tmp_path, in_fresh_python):
    home, run = tmp_path / "home", tmp_path / "run"
    home.mkdir(), run.mkdir()
    script = f"""
from pathlib import Path
import numpy as np
from tinysight.report.classes import Matrix
from tinysight.report.figures import write_confusion
write_confusion(Path({str(run)!r}), [Matrix("a", np.eye(2), np.eye(2))], ["b", "c"])
"""
    in_fresh_python(script, HOME=str(home), XDG_CACHE_HOME=str(home), XDG_CONFIG_HOME=str(home), TMPDIR=str(home))
    assert [path.name for path in tmp_path.rglob("*")] == ["home", "run", "confusion_matrix.png"]
