"""Ensembles: the mean of what several teachers predict, each shown pictures as it knows them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tinysight.data import InputPolicy
from tinysight.errors import UserError
from tinysight.models.spec import ModelSpec
from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.distillation.ensemble import ensemble, weights_digest
from tinysight.reduction.network import Network, load_network
from tinysight.training.losses import planes
from tinysight.training.teachers import EagerTeacher


def saved(folder: Path, classes: int = 2, seed: int = 0, **policy: object) -> Path:
    torch.manual_seed(seed)
    spec = ModelSpec(builder="unet_plain", args={"classes": classes, "widths": [4, 8, 8]})
    Network(spec.build().eval(), spec, InputPolicy(**({"height": 32, "width": 48} | policy))).save(folder)
    return folder


def test_scores_are_the_mean_of_log_probabilities(tmp_path: Path, tiny_network, make_context):
    folder = saved(tmp_path / "one")
    images = tiny_network.example(batch=3)
    context = make_context(tiny_network)
    found = ensemble([folder], context)()(images)

    logs = [
        planes(EagerTeacher(network.copy().scores, "cpu")(images)).log_softmax(1)
        for network in (tiny_network, load_network(folder))
    ]
    assert torch.allclose(found, (logs[0] + logs[1]) / 2, atol=1e-5)


def test_a_teacher_sees_pictures_as_it_was_trained(tmp_path: Path, tiny_network, make_context):
    same = saved(tmp_path / "same")
    other = saved(tmp_path / "other", mean=(0, 0, 0), std=(1, 1, 1))
    context = make_context(tiny_network)
    images = tiny_network.example(batch=2)
    found = [ensemble([folder], context)()(images) for folder in (same, other)]
    assert (found[0] - found[1]).abs().max() > 1e-4


def test_other_teachers_are_another_candidate(tmp_path: Path):
    folders = [saved(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    assert Distil(teachers=(folders[0],)).outside != Distil(teachers=(folders[1],)).outside
    assert weights_digest(folders[0]) in Distil(teachers=(folders[0],)).outside


def test_it_teaches(tmp_path: Path, tiny_network, make_context):
    method = Distil(epochs=1, batch_size=4, teachers=(saved(tmp_path / "one"),), noise=0.2)
    learned = method.reduce(tiny_network, make_context(tiny_network))
    assert learned.steps[-1].record["noise"] == 0.2


@pytest.mark.parametrize(
    ("about", "told"),
    [({"classes": 3}, "tells 3 classes apart, and the data has 2"), ({"mode": "pad"}, "takes its input by 'pad'")],
)
def test_teachers_of_something_else_are_refused(tmp_path: Path, tiny_network, make_context, about: dict, told: str):
    with pytest.raises(UserError, match=told):
        ensemble([saved(tmp_path / "other", **about)], make_context(tiny_network))


def test_a_teacher_of_another_task_is_refused(tmp_path: Path, tiny_network, make_context):
    spec = ModelSpec(builder="classifier", args={"encoder": "resnet10t", "classes": 2})
    Network(spec.build().eval(), spec, InputPolicy(height=32, width=48)).save(tmp_path)
    with pytest.raises(UserError, match=r"gives scores of the shape \(1, 2\), which is no segmentation"):
        ensemble([tmp_path], make_context(tiny_network))


def test_a_teacher_that_gives_no_numbers_is_named(tmp_path: Path, tiny_network, make_context):
    folder = saved(tmp_path / "one")
    weights = {name: value * torch.nan for name, value in load_file(folder / "weights.safetensors").items()}
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(UserError, match=r"one are not numbers \(NaN\)"):
        ensemble([folder], make_context(tiny_network))


def test_a_folder_without_a_checkpoint_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"spec\.json does not exist"):
        _ = Distil(teachers=(tmp_path,)).outside


def test_a_teacher_of_classes_in_another_order_is_refused(tmp_path: Path, tiny_network, make_context):
    folder = saved(tmp_path / "run" / "network")
    (tmp_path / "run" / "classes.json").write_text('{"classes": ["advertising", "background"]}')
    with pytest.raises(UserError, match="trained for the classes advertising, background, and the data has background"):
        ensemble([folder], make_context(tiny_network))


def test_a_teacher_of_other_pictures_is_refused(tmp_path: Path, tiny_network, make_context):
    folder = saved(tmp_path / "own", normalised_by="caller")
    with pytest.raises(UserError, match=r"normalised by your own code, and the reference .* normalised by tinysight"):
        ensemble([folder], make_context(tiny_network))
