"""A recipe that asks for pretrained weights: fetched once, recorded to the model card, and gone on from without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from tests.models.hub import Hub, served

RECIPE = """
data: {reader: facades, train: 12, val: 6, test: 4, height: 64, width: 64}
model: {name: linknet, encoder: test_resnet, args: {encoder_depth: 2}, pretrained: true}
input: {height: 64, width: 64}
train: {epochs: 1, batch_size: 4, freeze: {encoder: 1}}
stages: [encoder: {to: test_efficientnet, pretrained: true}]
goal: {minimize: bytes, max_drop: 100}
engine: {threads: 1}
device: cpu
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with served(tmp_path, monkeypatch) as hub:
        for name in ("test_resnet", "test_efficientnet"):
            folder = hub.folder / "timm" / f"{name}.r160_in1k"
            folder.mkdir(parents=True)
            save_file(timm.create_model(name).state_dict(), folder / "model.safetensors")
        yield hub


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "own.yaml").write_text(RECIPE)
    return tmp_path / "own.yaml"


def test_a_run_fetches_weights_once_and_says_so_to_the_card(cli, hub: Hub, recipe: Path, tmp_path: Path) -> None:
    answer = cli("reduce", recipe, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert answer.err.index("pretrained weights 'r160_in1k'") < answer.err.index("training")
    fetched = [request for request in hub.asked if request.startswith("GET") and request.endswith("model.safetensors")]
    assert len(fetched) == 2
    records = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_text().splitlines()]
    assert [record["verdict"] for record in records] == ["reference", "not_run"]
    assert "began with pretrained weights timm/test_resnet.r160_in1k" in records[0]["why"]
    card = (tmp_path / "run" / "best" / "README.md").read_text()
    assert "pretrained weights timm/test_resnet.r160_in1k (r160_in1k): apache-2.0" in card
    description = json.loads((tmp_path / "run" / "best" / "bundle.json").read_text())
    assert description["input"]["mean"] == [0.5, 0.5, 0.5]
    assert "pretrained" not in json.dumps(description["lineage"]["spec"]["args"])

    hub.asked.clear()
    shutil.rmtree(tmp_path / "cache")
    assert cli("resume", tmp_path / "run").code == 0
    # What was interrupted while it trained goes on from what it began with.
    shutil.rmtree(tmp_path / "run" / "candidates" / records[0]["id"])
    assert cli("resume", tmp_path / "run").code == 0
    assert hub.asked == []


def test_a_normalisation_of_the_recipe_is_kept_and_the_difference_told(cli, hub: Hub, recipe: Path) -> None:
    answer = cli("train", recipe, "input.mean=[0.4,0.4,0.4]", "--out", recipe.parent / "run")
    assert answer.code == 0, answer.err
    assert "expect mean [0.5, 0.5, 0.5]" in answer.err
    stored = json.loads((recipe.parent / "run" / "network" / "spec.json").read_text())
    assert stored["input"]["mean"] == [0.4, 0.4, 0.4]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.pretrained=nope", "unknown weights of test_resnet 'nope'"),
        ("model.weights=w.pth", "weights and pretrained both bring weights"),
        ("train=null", "leave a last layer for 2 classes untrained"),
        ("input={mean: [0.5], std: [0.5]}", "are for 3 channels, and the input has 1"),
        ("stages=[encoder: {to: lcnet_035, pretrained: true}]", "timm offers no weights for 'lcnet_035'"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(cli, hub: Hub, recipe: Path, override: str, message: str) -> None:
    answer = cli("reduce", recipe, override, "--out", recipe.parent / "run")
    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err
