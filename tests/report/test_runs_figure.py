"""The picture of several runs."""

from PIL import Image

from tinysight.report.runs_figure import write_runs_figure


def test_any_number_of_runs_under_any_names(make_record, tmp_path):
    best = make_record("b", verdict="best", ratio=3, variant="a$b^c$")
    runs = {f"$run_{number}": [make_record("r", verdict="reference"), best] for number in range(10)}
    write_runs_figure(tmp_path / "runs.png", {"mIoU": runs | {"empty": []}, "accuracy": {"empty": []}})
    with Image.open(tmp_path / "runs.png") as picture:
        assert picture.format == "PNG" and picture.height > picture.width
