"""A network that comes as one file goes through the whole job, and is refused in a sentence where it cannot."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import onnx
import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.export import Dim, export, save

from tinysight.models.spec import ModelSpec

SCENES = {
    "segmentation": "{reader: facades, train: 12, val: 6, test: 4, height: 64, width: 64}",
    "classification": "{reader: goods, train: 24, val: 20, test: 20, height: 64, width: 64}",
}
RECIPE = """
task: TASK
data: DATA
model: {checkpoint: FILE}
stages: STAGES
goal: {minimize: bytes, max_drop: 100}
engine: {threads: 1}
device: cpu
"""
STAGES = """
  - trim
  - recalibrate
  - prune: {keep: 0.5}
  - finetune: {epochs: 1, batch_size: 4}
  - name: precision
    variants: [fp16, {int8: {images: 4}}]
"""


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.SiLU(), nn.Dropout(0.1))
        self.spare, self.scores = nn.Conv2d(16, 9, 1), nn.Conv2d(16, 2, 1)

    def forward(self, images: torch.Tensor) -> Any:
        return {"out": self.scores(self.body(images))}


def goods() -> int:
    from tinysight.data.readers.drawn import Goods

    return len(Goods(train=1, val=1, test=1, height=64, width=64).read().classes)


NETWORKS = {
    "own": ("segmentation", Own),
    "smp": (
        "segmentation",
        ModelSpec(builder="linknet", args={"encoder": "test_resnet", "encoder_depth": 2, "classes": 2}).build,
    ),
    "timm": ("classification", lambda: timm.create_model("test_resnet", num_classes=goods())),
    "torchvision": ("classification", lambda: torchvision.models.squeezenet1_1(num_classes=goods())),
}


def recipe(folder: Path, file: str, task: str = "segmentation", stages: str = STAGES) -> Path:
    text = RECIPE.replace("TASK", task).replace("DATA", SCENES[task]).replace("FILE", file).replace("STAGES", stages)
    (folder / "own.yaml").write_text(text)
    return folder / "own.yaml"


def program(network: nn.Module, path: Path, batch: bool = True, images: torch.Tensor | None = None) -> Path:
    given = torch.randn(2 if batch else 1, 3, 64, 64) if images is None else images
    save(export(network, (given,), dynamic_shapes=({0: Dim("batch")},) if batch else None), path)
    return path


def onnx_file(network: nn.Module, path: Path, images: torch.Tensor | None = None, **options: Any) -> Path:
    given = torch.zeros(1, 3, 64, 64) if images is None else images
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(network, (given,), path, **({"external_data": False, "verbose": False} | options))
    return path


def records(run: Path) -> dict[str, dict[str, Any]]:
    lines = map(json.loads, (run / "candidates.jsonl").read_text().splitlines())
    return {line["variant"].partition(" (")[0]: line for line in lines}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_goes_through_the_whole_job(cli, tmp_path: Path, name: str) -> None:
    task, make = NETWORKS[name]
    torch.manual_seed(0)
    program(make().eval(), tmp_path / "net.pt2")
    own = recipe(tmp_path, "net.pt2", task)
    output = ["model.output=out"] if name == "own" else []
    answer = cli("reduce", own, *output, "--trust", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    found = records(tmp_path / "run")
    assert found["net.pt2"]["latency_ms"]["shape"] == [1, 3, 64, 64]
    assert {found[name]["verdict"] for name in ("finetune", "int8", "fp16")} <= {"best", "acceptable"}
    assert {found[name]["verdict"] for name in ("recalibrate",)} <= {"skipped", "failed"}
    assert cli("resume", tmp_path / "run", "--trust").code == 0
    assert cli("export", tmp_path / "run", "best", "--threads", 1, "--out", tmp_path / "bundle").code == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_an_onnx_file_goes_through_what_needs_no_training(cli, tmp_path: Path, name: str) -> None:
    task, make = NETWORKS[name]
    torch.manual_seed(0)
    given = onnx_file(make().eval(), tmp_path / "net.onnx")
    answer = cli("reduce", recipe(tmp_path, "net.onnx", task), "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    found = records(tmp_path / "run")
    assert (tmp_path / "run" / found["net.onnx"]["artifact"] / "model.onnx").read_bytes() == given.read_bytes()
    assert {found[name]["verdict"] for name in ("trim", "recalibrate", "prune", "finetune")} == {"skipped"}
    assert found["trim"]["why"] == "net.onnx is an ONNX file: trim needs the network in PyTorch"
    assert {found[name]["verdict"] for name in ("int8", "fp16")} <= {"best", "acceptable"}
    assert found["int8"]["bytes"]["total"] < found["fp16"]["bytes"]["total"] < found["net.onnx"]["bytes"]["total"]
    assert found["fp16"]["speedup_eager"] is None
    assert cli("resume", tmp_path / "run").code == 0
    assert cli("export", tmp_path / "run", "best", "--threads", 1, "--out", tmp_path / "bundle").code == 0
    assert (tmp_path / "bundle" / "model.onnx").read_bytes() == (tmp_path / "run/best/model.onnx").read_bytes()


def test_an_onnx_file_teaches_students(cli, tmp_path: Path) -> None:
    costly = nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 2, 1)
    )
    onnx_file(costly.eval(), tmp_path / "net.onnx")
    student = "{to: test_resnet, decoder: linknet, args: {encoder_depth: 2}}"
    stages = f"[encoder: {student}, distil: {{epochs: 1, batch_size: 4}}, fp16]"
    own = recipe(tmp_path, "net.onnx", stages=stages)
    answer = cli("reduce", own, "goal={minimize: macs, max_drop: 100}", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    found = records(tmp_path / "run")
    assert found["linknet test_resnet"]["verdict"] == "not_run"
    assert found["distil"]["quality"]
    assert found["distil"]["macs"] < found["net.onnx"]["macs"]


def test_a_program_is_trained_from_where_it_is(cli, tmp_path: Path) -> None:
    program(Own().eval(), tmp_path / "net.pt2")
    own = recipe(tmp_path, "net.pt2")
    answer = cli("train", own, "train.epochs=1", "model.output=out", "--trust", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err


def test_a_program_is_not_read_unasked(cli, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(b"anything")
    answer = cli("reduce", recipe(tmp_path, "net.pt2"), "--out", tmp_path / "run")
    assert answer.code == 2
    assert "add --trust" in answer.err
    assert answer.err.count("\n") == 1


def test_a_program_for_one_image_is_reduced_but_not_trained(cli, tmp_path: Path) -> None:
    program(Own().eval(), tmp_path / "net.pt2", batch=False)
    own = recipe(tmp_path, "net.pt2", stages="[finetune: {epochs: 1}, fp16]")
    answer = cli("reduce", own, "model.output=out", "--trust", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    found = records(tmp_path / "run")
    assert found["finetune"]["verdict"] == "skipped"
    assert "does not take 2 images at once" in found["finetune"]["why"]
    assert found["fp16"]["verdict"] == "best"
    answer = cli("train", own, "model.output=out", "train.epochs=1", "--trust", "--out", tmp_path / "trained")
    assert answer.code == 2
    assert "cannot be trained" in answer.err


class Two(nn.Module):
    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return one + other


def damaged(path: Path) -> None:
    path.write_bytes(b"no program")


def of_two_inputs(path: Path) -> None:
    save(export(Two(), (torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))), path)


def in_training_mode(path: Path) -> None:
    program(Own().train(), path)


def of_one_channel(path: Path) -> None:
    program(nn.Conv2d(1, 2, 1).eval(), path, images=torch.zeros(2, 1, 64, 64))


def of_many_classes(path: Path) -> None:
    program(nn.Conv2d(3, 7, 1).eval(), path)


def of_vectors(path: Path) -> None:
    program(nn.Linear(8, 2).eval(), path, images=torch.zeros(2, 8))


def of_small_pictures(path: Path) -> None:
    program(nn.Conv2d(3, 2, 1).eval(), path, images=torch.zeros(2, 3, 8, 8))


def nothing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nothing, "does not exist"),
        (damaged, "cannot be read as a .pt2 program"),
        (of_two_inputs, "give a network of one input"),
        (in_training_mode, "was exported in training mode"),
        (of_one_channel, "takes 1 channels, and the input has 3"),
        (of_many_classes, "check the network's number of classes"),
        (of_vectors, "give a network for images"),
        (of_small_pictures, "give a network for images"),
    ],
)
def test_what_is_no_network_for_the_task_is_told_in_a_sentence(cli, tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "net.pt2")
    answer = cli("reduce", recipe(tmp_path, "net.pt2"), "--trust", "--out", tmp_path / "run")
    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.encoder=resnet18", "is the whole network: take encoder out"),
        ("input={height: 32, width: 32}", "does not run on an input of 32x32"),
        ("model.output=nothing", "say which part holds the class scores"),
    ],
)
def test_what_a_program_cannot_be_given_is_told(cli, tmp_path: Path, override: str, message: str) -> None:
    program(Own().eval(), tmp_path / "net.pt2")
    answer = cli("reduce", recipe(tmp_path, "net.pt2"), override, "--trust", "--out", tmp_path / "run")
    assert answer.code == 2
    assert message in answer.err


def without_weights_inside(path: Path) -> None:
    onnx_file(nn.Conv2d(3, 2, 9), path, external_data=True)


def damaged_onnx(path: Path) -> None:
    path.write_bytes(b"no network")


def onnx_of_two_inputs(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Two(), (torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)), path, verbose=False)


class Twice(nn.Module):
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images + 1, images + 2


def of_two_outputs(path: Path) -> None:
    onnx_file(Twice(), path)


def of_any_size(path: Path) -> None:
    onnx_file(nn.Conv2d(3, 2, 1), path, dynamic_shapes=({2: Dim("height"), 3: Dim("width")},))


def of_two_images(path: Path) -> None:
    onnx_file(nn.Conv2d(3, 2, 1), path, torch.zeros(2, 3, 64, 64))


def of_half_precision(path: Path) -> None:
    onnx_file(nn.Conv2d(3, 2, 1).half(), path, torch.zeros(1, 3, 64, 64, dtype=torch.float16))


def of_seven_classes(path: Path) -> None:
    onnx_file(nn.Conv2d(3, 7, 1), path)


def of_no_size(path: Path) -> None:
    model = onnx.load(onnx_file(nn.Conv2d(3, 2, 1), path))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)


def written_long_ago(path: Path) -> None:
    model = onnx.load(onnx_file(nn.Conv2d(3, 2, 1), path))
    model.opset_import[0].version = 9
    onnx.save(model, path)


def quantized(path: Path) -> None:
    model = onnx.load(onnx_file(nn.Conv2d(3, 2, 1), path))
    model.graph.node.append(onnx.helper.make_node("DequantizeLinear", ["a", "b"], ["c"]))
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nothing, "does not exist"),
        (damaged_onnx, "cannot be read as an ONNX file"),
        (without_weights_inside, "keeps its weights in other files"),
        (onnx_of_two_inputs, "has 2 inputs"),
        (of_two_outputs, "and 2 outputs"),
        (of_any_size, "takes inputs of any size (1, 3, height, width)"),
        (of_no_size, "takes inputs of any size (it gives none)"),
        (of_two_images, "2 images at once"),
        (of_half_precision, "takes float16, not float32"),
        (of_seven_classes, "check the network's number of classes"),
        (written_long_ago, "opset 9"),
        (quantized, "is quantized already"),
    ],
)
def test_an_onnx_file_of_another_form_is_told_in_a_sentence(cli, tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "net.onnx")
    answer = cli("reduce", recipe(tmp_path, "net.onnx"), "--out", tmp_path / "run")
    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_an_onnx_file_is_not_trained(cli, tmp_path: Path) -> None:
    answer = cli("train", recipe(tmp_path, "net.onnx"), "train.epochs=1", "--out", tmp_path / "run")
    assert answer.code == 2
    assert "an ONNX file cannot be trained: leave train out" in answer.err
    assert "(got" not in answer.err
