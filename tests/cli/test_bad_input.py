"""Every mistake ends in one message that names the file or key and what to do, with exit code 2 and nothing lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinysight.data.images import write_png
from tinysight.errors import UserError
from tinysight.files import write_atomically
from tinysight.measure.process import MeasuringProcess

SPLITS = {"train": 6, "val": 3, "test": 2}
FOLDERS = """\
data: {reader: image_mask, path: photos, classes: [sky, sea]}
model: {name: linknet, encoder: test_resnet, args: {encoder_depth: 2}}
input: {height: 64, width: 64}
train: {epochs: 1, batch_size: 4}
stages: [fp16]
goal: {minimize: bytes, max_drop: 100}
engine: {threads: 1}
device: cpu
"""


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A recipe beside six, three and two JPEG photographs with masks."""
    rng = np.random.default_rng(0)
    for split, count in SPLITS.items():
        for index in range(count):
            for part in ("images", "masks"):
                (tmp_path / "photos" / part / split).mkdir(parents=True, exist_ok=True)
            picture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "photos" / "images" / split / f"{index}.jpg")
            write_png(tmp_path / "photos" / "masks" / split / f"{index}.png", np.tri(64, dtype=np.uint8))
    (tmp_path / "recipe.yaml").write_text(FOLDERS)
    return tmp_path


def refused(cli: Any, folder: Path, *changes: str, verb: str = "reduce") -> str:
    """Run a verb on the folder's recipe, check that it ends as it must, and return the message."""
    recipe = next(folder.glob("*.yaml"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "out" not in path.parts}
    answer = cli(verb, recipe, *changes, "--out", folder / "out")
    assert answer.code == 2, answer.err
    assert "Traceback" not in answer.err
    message: str = answer.err.split("tinysight: ")[-1]
    assert answer.err.count("tinysight: ") == 1
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "out" not in path.parts}
    assert after == before
    return message


# ---- the recipe


def test_a_missing_recipe(cli, tmp_path: Path) -> None:
    answer = cli("reduce", tmp_path / "nowhere.yaml")
    assert answer.code == 2
    assert f"{tmp_path / 'nowhere.yaml'} does not exist: check the path" in answer.err


def test_a_recipe_that_is_no_yaml(cli, recipe: Path) -> None:
    recipe.write_text("data: {reader: facades")
    assert f"{recipe} is not valid YAML" in refused(cli, recipe.parent)


def test_all_problems_of_a_recipe_come_in_one_message(cli, recipe: Path) -> None:
    changes = ("train.epoch=3", "train.batch_size=many", "goal.minimise=bytes", "data.trian=4", "stages.1=recalibrat")
    message = refused(cli, recipe.parent, *changes)
    assert message.startswith(f"5 problems in {recipe}:")
    assert "train.epoch: unknown key, did you mean 'epochs'?" in message
    assert "train.batch_size: input should be a valid integer" in message
    assert "(got 'many')" in message
    assert "goal.minimise: unknown key, did you mean 'minimize'?" in message
    assert "data.trian: unknown key, did you mean 'train'?" in message
    assert "stages.1: unknown method 'recalibrat': did you mean 'recalibrate'?" in message


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("data.reader=facade", "unknown reader 'facade': did you mean 'facades'?"),
        ("model.name=linkent", "unknown network 'linkent': did you mean 'linknet'?"),
        ("model.encoder=test_resnt", "unknown encoder 'test_resnt': did you mean 'test_resnet'?"),
        ("task=segmentatoin", "unknown task 'segmentatoin': did you mean 'segmentation'?"),
        ("engine.name=openvin", "unknown engine 'openvin': did you mean 'openvino'?"),
        ("train.loss=cross_entropi", "unknown segmentation loss 'cross_entropi': did you mean 'cross_entropy'?"),
        ("input.height=tall", "input.height: input should be a valid integer"),
        ("train.learning_rate=-1", "train.learning_rate: input should be greater than 0"),
        ("model.args={encoder_dept: 3}", "encoder_dept"),
        ("model.checkpoint=nowhere", "give the folder of a checkpoint"),
        ("stages=[int8, trim]", "put it before"),
        ("train=null", "neither train nor trained weights"),
        ("epochs", "write an override as key=value"),
        ("device=cuda", "use 'auto' or 'cpu'"),
    ],
)
def test_one_wrong_value(cli, recipe: Path, change: str, hint: str) -> None:
    import torch

    if change == "device=cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert hint in refused(cli, recipe.parent, change)


# ---- the data


def test_a_missing_folder(cli, folders: Path) -> None:
    message = refused(cli, folders, "data.path=elsewhere")
    assert f"the folder {Path.cwd() / 'elsewhere'} does not exist: check the data path" in message


def test_an_unset_environment_variable(cli, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_PHOTOS", raising=False)
    assert "environment variable MY_PHOTOS is not set" in refused(cli, folders, "data.path=$MY_PHOTOS/x")


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_mask_without_image_and_the_reverse(cli, folders: Path, kind: str) -> None:
    next((folders / "photos" / kind / "val").glob("1.*")).unlink()
    message = refused(cli, folders)
    other = {"images": "masks", "masks": "images"}[kind]
    assert f"1 {other} without" in message
    assert str(folders / "photos" / other / "val" / "1.") in message


def resized(folders: Path, split: str) -> Path:
    path = folders / "photos" / "masks" / split / "1.png"
    write_png(path, np.tri(64, 60, dtype=np.uint8))
    return path


def relabelled(folders: Path, split: str) -> Path:
    path = folders / "photos" / "masks" / split / "1.png"
    write_png(path, np.full((64, 64), 7, np.uint8))
    return path


def truncated(folders: Path, split: str) -> Path:
    path = folders / "photos" / "images" / split / "1.jpg"
    path.write_bytes(path.read_bytes()[:800])
    return path


NOT_SAME, NO_CLASS, BROKEN = "make both the same size", "holds the value 7", "replace it or take it out"


@pytest.mark.parametrize(
    ("split", "spoil", "hint"),
    [
        ("train", resized, NOT_SAME),
        ("train", relabelled, NO_CLASS),
        ("train", truncated, BROKEN),
        ("val", truncated, BROKEN),
        ("test", relabelled, NO_CLASS),
    ],
)
def test_a_spoilt_file(cli, folders: Path, split: str, spoil: Callable[[Path, str], Path], hint: str) -> None:
    path = spoil(folders, split)
    message = refused(cli, folders)
    assert str(path) in message
    assert hint in message


def test_an_empty_split(cli, folders: Path) -> None:
    for path in (folders / "photos").glob("*/val/*"):
        path.unlink()
    message = refused(cli, folders)
    assert str(folders / "photos" / "images" / "val") in message


def test_no_image_to_spare_for_validation(cli, recipe: Path) -> None:
    message = refused(cli, recipe.parent, "data.val=0", "data.train=1")
    assert "no 'val' split can be made: the 1 training images are too few" in message


def test_no_image_to_spare_for_validation_is_an_error_of_the_check(cli, recipe: Path, tmp_path: Path) -> None:
    answer = cli("data", "check", recipe, "data.val=0", "data.train=1", "--out", tmp_path)
    assert answer.code == 2
    assert "error: missing split: no 'val' split can be made" in answer.out


def test_fractions_that_leave_nothing_to_train_on(cli, recipe: Path) -> None:
    message = refused(cli, recipe.parent, "val_fraction=0.6", "test_fraction=0.5")
    assert "test_fraction: with val_fraction it is more than 0.9: leave images to train on" in message


@pytest.mark.parametrize("verb", ["reduce", "train"])
def test_one_class_only(cli, folders: Path, verb: str) -> None:
    for path in (folders / "photos" / "masks").rglob("*.png"):
        write_png(path, np.zeros((64, 64), np.uint8))
    message = refused(cli, folders, verb=verb)
    assert "only the class 'sky'" in message
    assert "check the labels" in message


def test_one_class_only_is_an_error_of_the_check(cli, folders: Path) -> None:
    for path in (folders / "photos" / "masks" / "val").glob("*.png"):
        write_png(path, np.zeros((64, 64), np.uint8))
    answer = cli("data", "check", folders / "recipe.yaml", "--out", folders / "out")
    assert answer.code == 2
    assert "one class only: val: every label is sky" in answer.out


# ---- the training and the network


@pytest.mark.parametrize("verb", ["reduce", "train"])
def test_a_diverging_training(cli, recipe: Path, verb: str) -> None:
    message = refused(
        cli, recipe.parent, "train.optimizer=sgd", "train.learning_rate=1000", "train.epochs=9", verb=verb
    )
    assert "training diverged" in message
    assert "learning_rate (now 1000)" in message


@pytest.mark.parametrize("verb", ["reduce", "train"])
def test_a_number_of_classes_that_the_data_does_not_have_is_refused(cli, recipe: Path, verb: str) -> None:
    message = refused(cli, recipe.parent, "model.args.classes=3", verb=verb)
    assert "model: 'classes' is no argument to give: their number follows from the data" in message


def test_an_input_the_network_does_not_take(cli, recipe: Path) -> None:
    message = refused(cli, recipe.parent, "input.height=66", "input.width=66")
    assert "does not run on an input of 66x66" in message
    assert "choose another input" in message


def test_a_failing_candidate_does_not_end_the_run(cli, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise UserError("it cannot be calibrated")

    monkeypatch.setattr("tinysight.reduction.precision.int8.Int8.reduce", broken)
    answer = cli("reduce", recipe, "stages=[{name: last, variants: [int8, fp16]}]", "--out", recipe.parent / "out")
    assert answer.code == 0, answer.err
    assert "int8: failed: it cannot be calibrated" in answer.out


# ---- the folders


@pytest.mark.parametrize("verb", ["reduce", "train"])
@pytest.mark.parametrize("place", ["file/below", "/proc/tinysight"])
def test_a_folder_that_cannot_be_written(cli, recipe: Path, tmp_path: Path, verb: str, place: str) -> None:
    (tmp_path / "file").write_text("")
    answer = cli(verb, recipe, "--out", tmp_path / place)
    assert answer.code == 2
    assert str(tmp_path / place) in answer.err
    assert answer.err.count("tinysight: ") == 1


@pytest.mark.parametrize("place", ["file/below", "/proc/tinysight"])
def test_a_result_that_cannot_be_written(cli, run, recipe: Path, tmp_path: Path, place: str) -> None:
    write_png(tmp_path / "photo.png", np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "file").write_text("")
    commands: tuple[tuple[object, ...], ...] = (
        ("predict", run.path / "best", tmp_path / "photo.png"),
        ("measure", run.path / "best", "--data", run.path / "data.json"),
        ("export", run.path, "best"),
        ("data", "check", recipe),
    )
    for command in commands:
        answer = cli(*command, "--out", tmp_path / place)
        assert answer.code == 2, command
        assert str(tmp_path / place) in answer.err, command


def test_a_folder_without_permission(cli, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so the refusal is played."""
    made = Path.mkdir

    def mkdir(path: Path, *arguments: Any, **named: Any) -> None:
        if path == tmp_path / "out":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        made(path, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    message = refused(cli, tmp_path)
    assert f"permission denied ({tmp_path / 'out'}): choose a folder you may write, with --out" in message


# ---- a full disk


@pytest.mark.parametrize("error", [RuntimeError("unexpected pos 704 vs 662"), Exception("Error while serializing")])
def test_a_full_disk_is_known_whatever_a_library_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def write(_draft: Path) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        write_atomically(tmp_path / "weights", write)
    monkeypatch.setattr("tinysight.files.FULL_BELOW_BYTES", 1 << 80)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(tmp_path / "weights", write)
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_with_one_message_and_the_same_command_goes_on(
    cli, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at ever later files; each time the command goes on from where the last one stopped."""
    moved = Path.replace
    full_at = "plan.json"

    def replace(path: Path, target: Path) -> Path:
        if Path(target).name == full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return moved(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    for name in ("plan.json", "training.pt", "record.json", "result.json", "bundle.json"):
        full_at = name
        message = refused(cli, recipe.parent, "stages=[fp16]", "train.epochs=1")
        assert "no space left on device" in message
        assert "free some space or choose another --out; the same command then goes on" in message
    full_at = "nothing"
    answer = cli("reduce", recipe, "stages=[fp16]", "train.epochs=1", "--out", recipe.parent / "out")
    assert answer.code == 0, answer.err
    assert not list((recipe.parent / "out").rglob(".*")), "drafts are left"


def test_a_disk_that_fills_up_while_measuring_fails_no_candidate(
    cli, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measuring process hands on what the operating system told it."""
    (tmp_path / "per_image.npz" / "in the way").mkdir(parents=True)
    with MeasuringProcess({"artifact": str(run.path / "best"), "engine": "openvino", "threads": 1}) as process:
        data = str(run.path / "data.json")
        with pytest.raises(IsADirectoryError):
            process.ask("quality", data=data, split="val", result=str(tmp_path / "per_image.npz"))
        assert process.ask("count", data=data, split="val") == {"images": 6}
