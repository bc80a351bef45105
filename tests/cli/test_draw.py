"""``draw``: a table and a picture of any network, before and after where something was cut."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest


def test_a_row_of_the_zoo_is_drawn(cli, tmp_path: Path) -> None:
    answer = cli("draw", "unet_plain", "--out", tmp_path / "d")
    assert answer.code == 0, answer.err
    assert answer.last == f"drawing: {tmp_path / 'd' / 'topology.svg'}"
    assert "27 layers" in answer.out
    assert "1.88 M" in answer.out
    ElementTree.parse(tmp_path / "d" / "topology.svg")
    assert len((tmp_path / "d" / "layers.csv").read_text().splitlines()) == 28
    assert cli("draw", "unet_plain", "--out", tmp_path / "d").code == 0


def test_a_row_of_the_zoo_takes_settings_as_a_recipe_does(cli, tmp_path: Path) -> None:
    answer = cli("draw", "classifier", "model.encoder=squeezenet1_1", "input.height=96", "--out", tmp_path / "d")
    assert answer.code == 0, answer.err
    assert "MACs for an image of 96×224" in (tmp_path / "d" / "topology.svg").read_text()


def test_a_row_whose_encoder_is_no_resnet_is_drawn(cli, tmp_path: Path) -> None:
    assert cli("draw", "dpt", "--out", tmp_path / "d").code == 0


def test_a_recipes_network_is_drawn(cli, recipe: Path, tmp_path: Path) -> None:
    answer = cli("draw", recipe, "input.height=96", "--out", tmp_path / "d")
    assert answer.code == 0, answer.err
    assert "×96×64" in answer.out


def test_what_was_cut_is_shown(cli, tmp_path: Path) -> None:
    from tinysight import InputPolicy, ModelSpec, Network
    from tinysight.reduction.structure.prune import Prune

    spec = ModelSpec(builder="unet_plain", args={"classes": 2, "widths": [8, 16]})
    whole = Network(spec.build().eval(), spec, InputPolicy(height=32, width=32))
    Prune(layers=["down.0.0"], keep=0.5).reduce(whole, SimpleNamespace(seed=0)).save(tmp_path / "network")  # type: ignore[arg-type]
    answer = cli("draw", tmp_path / "network", "--out", tmp_path / "d")
    assert answer.code == 0, answer.err
    picture = (tmp_path / "d" / "topology.svg").read_text()
    assert "unet_plain, before" in picture
    assert "unet_plain, after" in picture
    assert "50 % of the channels are cut" in picture


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (["nowhere"], "'nowhere' is no recipe, no folder and no row"),
        (["pspnet", "model.encodr=a"], "model.encodr: unknown key, did you mean 'encoder'?"),
    ],
)
def test_what_cannot_be_drawn_is_said(cli, tmp_path: Path, what: list[str], said: str) -> None:
    answer = cli("draw", *what, "--out", tmp_path / "d")
    assert answer.code == 2
    assert said in answer.err


def test_a_foreign_file_is_kept(cli, tmp_path: Path) -> None:
    (tmp_path / "layers.csv").write_text("mine")
    answer = cli("draw", "unet_plain", "--out", tmp_path)
    assert answer.code == 2
    assert (tmp_path / "layers.csv").read_text() == "mine"
