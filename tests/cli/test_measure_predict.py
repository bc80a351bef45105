"""``measure`` and ``predict``: they repeat the numbers of the run, and write what they say."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysight.data.images import read_image, write_png
from tinysight.data.readers import Facades


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    samples = Facades(train=3, val=0, test=0, height=80, width=96).read().split("train")
    for name, sample in zip(("a.jpg", "b.png", "c.jpg"), samples, strict=True):
        Image.fromarray(sample.read()[0]).save(folder / name)
    (folder / "notes.txt").write_text("not a photo")
    return folder


def measurement(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("data", ["data.json", "recipe"])
def test_measuring_repeats_the_quality_of_the_record(cli, run, tmp_path: Path, data: str) -> None:
    source = run.recipe if data == "recipe" else run.path / "data.json"
    answer = cli("measure", run.path / "best", "--data", source, "--threads", 1, "--out", tmp_path / "m")
    assert answer.code == 0, answer.err
    assert answer.last == f"measurement: {tmp_path / 'm' / 'measurement.json'}"
    measured = measurement(tmp_path / "m" / "measurement.json")
    for field in ("quality", "bytes", "precision"):
        assert measured[field] == run.best[field], field
    assert f"mIoU {100 * run.best['quality']['value']:.2f} on val" in answer.out
    assert measured["metrics"]["mIoU"] == pytest.approx(run.best["quality"]["value"])
    assert {"pixel_accuracy", "Dice", "boundary_F", "IoU advertising"} <= measured["metrics"].keys()
    assert f"{run.best['bytes']['total']:,} bytes" in answer.out


def test_measuring_repeats_the_test_numbers_of_the_report(cli, run, tmp_path: Path) -> None:
    arguments = ("--data", run.path / "data.json", "--split", "test", "--threads", 1, "--out", tmp_path)
    assert cli("measure", run.path / "best", *arguments).code == 0
    summary = json.loads((run.path / "result.json").read_text())
    assert measurement(tmp_path / "measurement.json")["quality"] == summary["test"]["best"]


def test_any_candidate_can_be_measured_on_the_other_engine(cli, run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    reference = run.path / "candidates" / run.records[0]["id"]
    answer = cli("measure", reference, "--data", run.path / "data.json", "--engine", "onnxruntime", "--threads", 1)
    assert answer.code == 0, answer.err
    assert answer.last == f"measurement: {tmp_path / 'runs' / 'measure-1' / 'measurement.json'}"
    measured = measurement(tmp_path / "runs" / "measure-1" / "measurement.json")
    assert measured["bytes"]["files"] == {"model.onnx": (reference / "model.onnx").stat().st_size}
    assert measured["quality"]["value"] == pytest.approx(run.records[0]["quality"]["value"], abs=1e-3)


@pytest.mark.parametrize("changed", [{"split": "vall"}, {"engine": "openvin"}, {"data": "nowhere.json"}])
def test_measuring_names_what_is_mistyped(cli, run, tmp_path: Path, monkeypatch, changed: dict[str, str]) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"split": "val", "engine": "openvino", "data": str(run.path / "data.json")} | changed
    arguments = (part for key, value in options.items() for part in (f"--{key}", value))
    answer = cli("measure", run.path / "best", *arguments)
    assert answer.code == 2
    hints = {"split": "did you mean 'val'?", "engine": "did you mean 'openvino'?", "data": "does not exist"}
    ((key, value),) = changed.items()
    assert value in answer.err
    assert hints[key] in answer.err
    assert not list(tmp_path.iterdir()), "a refused command leaves a folder"


def test_measuring_refuses_data_with_other_classes(cli, run, tmp_path: Path) -> None:
    description = json.loads((run.path / "data.json").read_text())
    for split in ("train", "val"):
        for part in ("images", "masks"):
            (tmp_path / "data" / part / split).mkdir(parents=True)
            shape = (64, 64, 3) if part == "images" else (64, 64)
            write_png(tmp_path / "data" / part / split / "a.png", np.zeros(shape, np.uint8))
    description["reader"] = {"reader": "image_mask", "path": str(tmp_path / "data"), "classes": ["cat", "dog"]}
    description["splits"] = {"val": ["val/a"]}
    (tmp_path / "data.json").write_text(json.dumps(description))
    answer = cli("measure", run.path / "best", "--data", tmp_path / "data.json", "--out", tmp_path / "m")
    assert answer.code == 2
    assert "background, advertising" in answer.err
    assert "cat, dog" in answer.err


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"reader": {"reader": "facades", "trian": 3}, "splits": {}}'])
def test_measuring_refuses_a_broken_data_description(cli, run, tmp_path: Path, content: str) -> None:
    (tmp_path / "data.json").write_text(content)
    answer = cli("measure", run.path / "best", "--data", tmp_path / "data.json", "--out", tmp_path / "m")
    assert answer.code == 2
    assert str(tmp_path / "data.json") in answer.err


def test_a_folder_without_a_description_is_no_bundle(cli, run, tmp_path: Path) -> None:
    answer = cli("predict", tmp_path, "x.jpg")
    assert answer.code == 2
    assert f"{tmp_path} is not a bundle" in answer.err


def test_a_truncated_model_file_is_named(cli, run, tmp_path: Path, photos: Path) -> None:
    shutil.copytree(run.path / "best", tmp_path / "best")
    model = tmp_path / "best" / "model.onnx"
    model.write_bytes(model.read_bytes()[:1000])
    answer = cli("predict", tmp_path / "best", photos, "--out", tmp_path / "p")
    assert answer.code == 2
    assert str(tmp_path / "best") in answer.err


@pytest.mark.parametrize(
    ("what", "expected"),
    [("", {"a", "b", "c"}), ("*.jpg", {"a", "c"}), ("b.png", {"b"})],
    ids=["folder", "glob", "file"],
)
def test_predicting_writes_a_mask_and_an_overlay_for_every_photo(
    cli, run, photos: Path, tmp_path: Path, what: str, expected: set[str]
) -> None:
    answer = cli("predict", run.path / "best", photos / what, "--threads", 1, "--out", tmp_path / "p")
    assert answer.code == 0, answer.err
    assert answer.last == f"predictions: {tmp_path / 'p'}"
    files = {path.name for path in (tmp_path / "p").iterdir()}
    assert files == {f"{name}.png" for name in expected} | {f"{name}.overlay.png" for name in expected}
    for name in expected:
        mask = np.asarray(Image.open(tmp_path / "p" / f"{name}.png"))
        assert (mask.shape, mask.dtype) == ((80, 96), np.uint8)
        assert set(np.unique(mask)) <= {0, 1}
        assert read_image(tmp_path / "p" / f"{name}.overlay.png").shape == (80, 96, 3)


def test_predicting_without_out_takes_new_folders(cli, run, photos: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        answer = cli("predict", run.path / "best", photos / "b.png", "--threads", 1)
        assert answer.last == f"predictions: {tmp_path / 'runs' / f'predict-{number}'}"
    assert (tmp_path / "runs/predict-1/b.png").read_bytes() == (tmp_path / "runs/predict-2/b.png").read_bytes()


@pytest.mark.parametrize(("what", "hint"), [("*.gif", "matches no photo"), ("notes.txt", "is not a .bmp")])
def test_predicting_wants_photos(cli, run, photos: Path, tmp_path: Path, what: str, hint: str) -> None:
    answer = cli("predict", run.path / "best", photos / what, "--out", tmp_path / "p")
    assert answer.code == 2
    assert hint in answer.err
    assert not (tmp_path / "p").exists()


def test_photos_with_one_name_do_not_overwrite_each_other(cli, run, photos: Path, tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png"):
        write_png(tmp_path / name, np.zeros((64, 64, 3), np.uint8))
    answer = cli("predict", run.path / "best", tmp_path, "--out", tmp_path / "p")
    assert answer.code == 2
    assert "several photos are called 'a'" in answer.err


def test_a_truncated_photo_is_named_and_the_others_are_kept(cli, run, photos: Path, tmp_path: Path) -> None:
    for name in ("a.jpg", "c.jpg"):
        shutil.copyfile(photos / name, tmp_path / name)
    (tmp_path / "b.jpg").write_bytes((photos / "a.jpg").read_bytes()[:700])
    answer = cli("predict", run.path / "best", tmp_path / "*.jpg", "--threads", 1, "--out", tmp_path / "p")
    assert answer.code == 2
    assert f"1 of 3 photos failed, first: {tmp_path / 'b.jpg'}" in answer.err
    assert all((tmp_path / "p" / f"{name}.png").is_file() for name in ("a", "c"))


def test_a_photo_is_never_overwritten_by_its_mask(cli, run, tmp_path: Path, photos: Path) -> None:
    folder = Path(shutil.copytree(photos, tmp_path / "photos"))
    before = (folder / "b.png").read_bytes()
    answer = cli("predict", run.path / "best", folder, "--threads", 1, "--out", folder)
    assert answer.code == 2
    assert "would overwrite that photo" in answer.err
    assert (folder / "b.png").read_bytes() == before
    assert len(list(folder.iterdir())) == 4


def test_a_mask_never_overwrites_an_overlay(cli, run, tmp_path: Path, photos: Path) -> None:
    folder = Path(shutil.copytree(photos, tmp_path / "photos"))
    shutil.copy(folder / "a.jpg", folder / "a.overlay.jpg")
    answer = cli("predict", run.path / "best", folder, "--threads", 1, "--out", tmp_path / "p")
    assert answer.code == 2
    assert "would both write a.overlay.png" in answer.err
    assert not (tmp_path / "p").exists()


def test_a_pipe_is_no_photo(cli, run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    answer = cli("predict", run.path / "best", tmp_path / "a.png", "--threads", 1, "--out", tmp_path / "p")
    assert answer.code == 2
    assert "not a regular file" in answer.err


@pytest.mark.parametrize(("photo", "out", "message"), [("", "p", "an empty name"), ("a.jpg", "", "--out is empty")])
def test_empty_names_are_refused(cli, run, photos: Path, monkeypatch, photo: str, out: str, message: str) -> None:
    monkeypatch.chdir(photos)
    answer = cli("predict", run.path / "best", photo, "--threads", 1, "--out", out)
    assert answer.code == 2
    assert message in answer.err


def test_a_bundle_of_arrays_says_which_arrays_it_takes(cli, run, tmp_path: Path, photos: Path) -> None:
    shutil.copytree(run.path / "best", tmp_path / "best")
    content = json.loads((tmp_path / "best" / "bundle.json").read_text())
    content["input"]["normalised_by"] = "caller"
    (tmp_path / "best" / "bundle.json").write_text(json.dumps(content))
    for photo in (photos / "a.jpg", photos):
        answer = cli("predict", tmp_path / "best", photo, "--threads", 1, "--out", tmp_path / "p")
        assert answer.code == 2
        assert "float32, channels x height x width" in answer.err
        assert ".npy" in answer.err


def test_a_label_is_never_overwritten_by_a_prediction(cli, run, photos: Path, tmp_path: Path) -> None:
    label = Image.fromarray(np.eye(8, dtype=np.uint8))
    label.save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    answer = cli("predict", run.path / "best", photos / "a.jpg", "--threads", 1, "--out", tmp_path)
    assert answer.code == 2
    assert "would overwrite" in answer.err
    assert (tmp_path / "a.png").read_bytes() == before


def test_predictions_may_be_made_anew(cli, run, photos: Path, tmp_path: Path) -> None:
    for _ in range(2):
        answer = cli("predict", run.path / "best", photos / "a.jpg", "--threads", 1, "--out", tmp_path / "p")
        assert answer.code == 0, answer.err


def test_a_measurement_is_not_written_into_a_run(cli, run) -> None:
    answer = cli("measure", run.path / "best", "--data", run.recipe, "--threads", 1, "--out", run.path)
    assert answer.code == 2
    assert "is a run, whose files this would overwrite" in answer.err


def test_measuring_on_a_folder_says_what_to_give(cli, run) -> None:
    answer = cli("measure", run.path / "best", "--data", run.path, "--threads", 1)
    assert answer.code == 2
    assert "is a folder: give the data.json" in answer.err
