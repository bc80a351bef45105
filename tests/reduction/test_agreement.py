"""Proof that the engines agree, on photos."""

from __future__ import annotations

import pytest
import torch

from tinysight.data.source import open_data
from tinysight.engines import ENGINES
from tinysight.reduction.agreement import PHOTOS, agreement


@pytest.fixture(scope="module")
def photos(tiny_data):
    return open_data(tiny_data).split("val")


@pytest.fixture(scope="module")
def proof(tiny_artifact, tiny_network, photos):
    return agreement(tiny_artifact, tiny_network, photos, threads=2)


def test_every_pair_of_engines_is_compared(proof):
    assert set(proof["max_difference"]) == {"openvino - onnxruntime", "openvino - torch", "onnxruntime - torch"}


def test_a_float_file_agrees_to_rounding(proof):
    assert max(proof["max_difference"].values()) < 1e-4 * proof["score_range"]


def test_every_engine_is_scored_alike(proof):
    scores = [engine["mIoU"] for engine in proof["metric"].values()]
    assert len(scores) == 3
    assert max(scores) - min(scores) < 1e-3


def test_a_network_that_differs_is_seen(tiny_artifact, tiny_network, photos):
    other = tiny_network.copy()
    with torch.no_grad():
        other.module[6].bias += 1.0
    differences = agreement(tiny_artifact, other, photos[:1], threads=2)["max_difference"]
    assert differences["openvino - torch"] == pytest.approx(1.0, abs=1e-3)
    assert differences["openvino - onnxruntime"] < 1e-3


def test_without_a_network_torch_is_not_claimed(tiny_artifact, photos):
    proof = agreement(tiny_artifact, None, photos[:1], threads=2)
    assert set(proof["metric"]) == set(ENGINES)
    assert not proof["torch"]


def test_what_torch_ran_is_said_where_the_file_stores_less(tiny_int8, tiny_network, photos):
    proof = agreement(tiny_int8, tiny_network, photos[:1], threads=2)
    assert proof["torch"] == "float32 weights, while the file stores int8"


def test_it_says_how_many_layers_every_engine_computes_in_integers(tiny_int8, tiny_artifact, photos):
    found = agreement(tiny_int8, None, photos[:1], threads=2)["layers"]
    assert all(0 < integers <= layers == 3 for integers, layers in found.values())
    assert set(agreement(tiny_artifact, None, photos[:1], threads=2)["layers"]) == set(ENGINES)


def test_many_photos_are_thinned_out(tiny_artifact, photos):
    assert agreement(tiny_artifact, None, list(photos) * 5, threads=2)["photos"] == PHOTOS
