"""The program on a bundle's card does what ``predict`` does, for every way to prepare a photo."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinysight.data import InputPolicy
from tinysight.engines import ENGINES
from tinysight.engines.bundle import Bundle
from tinysight.measure.quality import predict_one
from tinysight.report.snippet import snippet

HOW: list[dict[str, Any]] = [
    {"mode": "resize"},
    {"mode": "pad"},
    {"mode": "slide"},
    {"mode": "slide", "overlap": 0.5, "flip": True, "scales": (0.75, 1.5)},
    {"mode": "resize", "flip": True},
    {"mode": "resize", "scales": (1.0, 2.0)},
    {"mode": "pad", "flip": True, "scales": (0.5, 1.3)},
    {"mode": "resize", "scales": (0.5,)},
]


@pytest.mark.parametrize("normalised_by", ["tinysight", "caller"])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("size", [(100, 61), (20, 30), (32, 48), (1, 200)])
def test_the_program_predicts_what_tinysight_predicts(
    tiny_artifact, tiny_task, tmp_path, monkeypatch, normalised_by, how, size
):
    policy = Bundle.open(tiny_artifact).input.model_copy(update={**how, "normalised_by": normalised_by})
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = photo if normalised_by == "tinysight" else (photo / 128 - 1).astype(np.float32).transpose(2, 0, 1)
    (tmp_path / "model.onnx").write_bytes((tiny_artifact / "model.onnx").read_bytes())
    Image.fromarray(photo).save(tmp_path / "photo.jpg", format="PNG")
    np.save(tmp_path / "photo.npy", image)
    network = ENGINES["onnxruntime"].compile(tiny_artifact, threads=1, execute="f32")
    monkeypatch.chdir(tmp_path)
    made: dict[str, np.ndarray] = {}
    exec(snippet(policy, tiny_task), made)
    expected = predict_one(network, policy, tiny_task, image)
    # Sums in another order may decide a pixel whose two best scores are equal but for rounding.
    assert (made["prediction"] == expected).mean() > 0.999


@pytest.mark.parametrize("how", [{"mode": "resize"}, {"mode": "pad"}, {"mode": "slide", "scales": (0.5, 1.0)}])
def test_it_scales_arrays_of_more_channels_than_opencv_takes_at_once(tiny_task, tmp_path, monkeypatch, how):
    policy = InputPolicy(height=32, width=48, mean=(0.0,) * 6, std=(1.0,) * 6, normalised_by="caller", **how)
    image = np.random.default_rng(0).standard_normal((6, 100, 61)).astype(np.float32)
    np.save(tmp_path / "photo.npy", image)
    monkeypatch.chdir(tmp_path)
    given: list[np.ndarray] = []
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_args, **_named: _Remembering(given))
    exec(snippet(policy, tiny_task), {})
    assert all(np.allclose(mine, own) for mine, own in zip(given, policy.inputs(image), strict=True))


class _Remembering:
    """A session that keeps what it is given, and answers with scores of two classes."""

    def __init__(self, given: list[np.ndarray]) -> None:
        self.given = given

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="images")]

    def run(self, _outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.given.append(inputs["images"])
        return [inputs["images"][:, :2]]


def test_it_names_the_values_of_the_bundle(tiny_task):
    policy = InputPolicy(height=64, width=96, mode="pad", mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    text = snippet(policy, tiny_task)
    assert "(0.5, 0.5, 0.5)" in text and "(128, 128, 128)" in text and "(64, 96, 3)" in text
