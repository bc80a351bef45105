"""``data check``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinysight.data.images import read_image, write_png


def test_sound_data_are_counted_and_drawn(cli, recipe: Path, tmp_path: Path) -> None:
    answer = cli("data", "check", recipe, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert answer.last == f"contact sheet: {tmp_path / 'out' / 'contact_sheet.png'}"
    assert "train: 12 images; labels: background" in answer.out
    assert "heights 64–64, widths 64–64" in answer.out
    assert "no problems: every file can be read" in answer.out
    assert read_image(tmp_path / "out" / "contact_sheet.png").ndim == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "tiny.yaml"]


def test_overrides_and_the_default_folder(cli, recipe: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("data", "check", recipe, "data.train=3")
    assert answer.code == 0, answer.err
    assert "train: 3 images" in answer.out
    assert answer.last == f"contact sheet: {tmp_path / 'runs' / 'check-1' / 'contact_sheet.png'}"


def test_every_error_is_listed_before_it_ends_with_2(cli, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("a", "b"):
            for part in ("images", "masks"):
                (tmp_path / part / split).mkdir(parents=True, exist_ok=True)
            seed = sum(map(ord, split + name))
            picture = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            write_png(tmp_path / "images" / split / f"{name}.png", picture)
            write_png(tmp_path / "masks" / split / f"{name}.png", np.eye(8, dtype=np.uint8))
    (tmp_path / "images/train/a.png").write_bytes(b"broken")
    write_png(tmp_path / "masks/val/b.png", np.full((8, 8), 9, np.uint8))
    (tmp_path / "r.yaml").write_text("data: {reader: image_mask, path: ., classes: [sky, sea]}")
    answer = cli("data", "check", tmp_path / "r.yaml", "--out", tmp_path / "out")
    assert answer.code == 2
    assert "error: unreadable file: train/a:" in answer.out
    assert "error: label out of range: val/b:" in answer.out
    assert "2 errors in the data" in answer.err
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


@pytest.mark.parametrize("name", ["contact_sheet", "class_distribution", "augmentation"])
def test_a_foreign_picture_is_kept(cli, recipe: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.png").write_bytes(b"mine")
    answer = cli("data", "check", recipe, "--out", tmp_path)
    assert answer.code == 2
    assert (tmp_path / f"{name}.png").read_bytes() == b"mine"
    assert not [path for path in tmp_path.glob("*.png") if path.stem != name]


def test_what_is_drawn_is_drawn_anew(cli, recipe: Path, tmp_path: Path) -> None:
    answers = [cli("data", "check", recipe, f"seed={seed}", "--out", tmp_path / "out") for seed in (0, 1)]
    assert [answer.code for answer in answers] == [0, 0]
    assert f"class distribution: {tmp_path / 'out' / 'class_distribution.png'}" in answers[1].out
    assert f"augmentation: {tmp_path / 'out' / 'augmentation.png'}" in answers[1].out
    pictures = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert pictures == ["augmentation.png", "class_distribution.png", "contact_sheet.png"]


def test_augmentation_is_left_out_where_torch_is_missing(cli, recipe: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tinysight.device.find_spec", lambda name: None)
    answer = cli("data", "check", recipe, "--out", tmp_path)
    assert answer.code == 0
    assert "augmentation: left out, it needs torch and torchvision: run pip install 'tinysight[reduce]'" in answer.out
    assert not (tmp_path / "augmentation.png").exists()


def test_augmentation_is_left_out_where_drawing_it_would_run_code(cli, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").touch()
    model = f"model={{checkpoint: {tmp_path / 'net.pt2'}}}"
    answer = cli("data", "check", recipe, model, "--out", tmp_path / "out")
    assert answer.code == 0
    assert "augmentation: left out, opening the .pt2 file to learn its input would run code" in answer.out


def test_data_in_another_form_are_read_by_the_section_that_is_printed(cli, recipe: Path, tmp_path: Path) -> None:
    answer = cli("data", "convert", recipe, "--to", "yolo", "--out", tmp_path / "yolo")
    assert answer.code == 0, answer.err
    (tmp_path / "other.yaml").write_text(answer.last + "\n")
    checked = cli("data", "check", tmp_path / "other.yaml", "--out", tmp_path / "checked")
    assert checked.code == 0, checked.err
    assert "train: 12 images; labels: background" in checked.out


def test_a_form_that_adds_a_background_says_so(cli, recipe: Path, tmp_path: Path) -> None:
    plants = "data={reader: plants, train: 2, val: 1, test: 1, height: 64, width: 64}"
    said = "class 'background' comes first and the numbers of soil, plant move up by one"
    assert said in cli("data", "convert", recipe, plants, "--to", "coco", "--out", tmp_path / "coco").err
    assert "background" not in cli("data", "convert", recipe, plants, "--to", "masks", "--out", tmp_path / "masks").err
