"""Fixtures for every test: one tiny network, exported once a session, and tiny data.

``tiny_network``   a ``Network`` of three convolutions with batch norm, random weights, 32x48 input, 2 classes; its
                   builder is live, so load its checkpoint with ``into=tiny_network.module``. Never change it: copy it.
``tiny_artifact``  the folder it is exported to (model.onnx, bundle.json, network/). Read only.
``tiny_int8``      the same network with a hand-made int8 record for its convolutions, exported likewise. Read only.
``tiny_task``      segmentation of background and advertising.
``tiny_data``      ``data.json`` of drawn facades, 64x64: 12 train, 6 val, 4 test. Read only.
``in_fresh_python``  runs a script in a fresh interpreter and returns what it printed.
``make_record``    makes a measured ``CandidateRecord``: ``make_record("id", ratio=2.0, verdict="best")``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Read by torch when it is first imported, here or in a process that a test starts.
os.environ["OMP_NUM_THREADS"] = "2"


@pytest.fixture(scope="session")
def tiny_task():
    from tinysight.tasks import Segmentation

    return Segmentation(("background", "advertising"))


@pytest.fixture(scope="session")
def tiny_network():
    import torch
    from torch import nn

    from tinysight.data import InputPolicy
    from tinysight.models.spec import LIVE, ModelSpec
    from tinysight.reduction.network import Network

    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 2, 1),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    )
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5)
        module[6].bias.copy_(torch.tensor([0.1, -0.1]))
    spec = ModelSpec(builder=LIVE, args={"class": "Tiny"})
    return Network(module.eval(), spec, InputPolicy(height=32, width=48))


@pytest.fixture(scope="session")
def tiny_artifact(tiny_network, tiny_task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tinysight.reduction.artifact import make_artifact

    folder = tmp_path_factory.mktemp("artifacts") / "tiny"
    make_artifact(tiny_network, tiny_task, folder, None)
    return folder


@pytest.fixture(scope="session")
def tiny_int8(tiny_network, tiny_task, tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights by their range in each channel, activations by one that suits random weights: nothing is calibrated."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    from tinysight.reduction.artifact import make_artifact
    from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
    from tinysight.reduction.step import Step

    exported = onnx.load(tiny_artifact / "model.onnx")
    weights = {weight.name: numpy_helper.to_array(weight) for weight in exported.graph.initializer}
    rectified = {node.output[0] for node in exported.graph.node if node.op_type == "Relu"}
    tensors = {}
    for node in exported.graph.node:
        if node.op_type != "Conv":
            continue
        image, weight = node.input[:2]
        largest = np.abs(weights[weight]).max(axis=(1, 2, 3))
        tensors[weight] = TensorPrecision(dtype="int8", scale=tuple((largest / 127).tolist()), axis=0)
        zero, steps = (-128, 255) if image in rectified else (0, 127)
        tensors[image] = TensorPrecision(dtype="int8", scale=(5.0 / steps,), zero_point=(zero,))
    # ONNX Runtime takes a convolution for an integer one only when its output is quantized too.
    last = next(node for node in reversed(exported.graph.node) if node.op_type == "Conv")
    tensors[last.output[0]] = TensorPrecision(dtype="int8", scale=(5.0 / 127,), zero_point=(0,))
    record = PrecisionRecord(tensors=tensors).model_dump(mode="json")
    quantized = tiny_network.with_step(Step(kind="precision", method="int8", version=1, record=record))
    folder = tmp_path_factory.mktemp("artifacts") / "tiny-int8"
    make_artifact(quantized, tiny_task, folder, tiny_artifact / "model.onnx")
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tinysight.data.readers import Facades
    from tinysight.data.source import save_data

    reader = Facades(train=12, val=6, test=4, height=64, width=64)
    path = tmp_path_factory.mktemp("data") / "data.json"
    save_data(path, reader, reader.read())
    return path


@pytest.fixture(scope="session")
def in_fresh_python() -> Callable[..., str]:
    # Some libraries behave better when they notice that they are tested.
    users = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("PYTEST_")}

    def run(script: str, **environment: str) -> str:
        command = [sys.executable, "-c", script]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=users | environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def make_record() -> Callable[..., Any]:
    """Make a measured candidate: ``ratio`` sets its time, ``size`` its bytes, ``points`` and ``p`` its drop."""
    from tinysight.measure.records import Bytes, Latency, PrecisionRead, Quality, Speedup, TrainingTime
    from tinysight.runs.records import CandidateRecord, Drop

    def make(
        identity: str, *, ratio: float = 1.0, size: int = 10_000, points: float = 0.0, p: float = 1.0, **changes: Any
    ) -> CandidateRecord:
        ms = 10.0 / ratio
        latency = Latency(
            p50=ms, p90=ms, engine="openvino", engine_version="1.0", threads=2, batch=1, shape=(1, 3, 32, 48), runs=35,
            cpu="a cpu",
        )  # fmt: skip
        record = CandidateRecord(
            id=identity,
            parent="reference",
            stage="stage",
            variant=identity,
            config={},
            seed=0,
            verdict="acceptable",
            quality=Quality(metric="mIoU", split="val", value=0.8, low=0.75, high=0.85),
            drop=Drop(points=points, low=points - 1, high=points + 1, p_within=p),
            bytes=Bytes(engine="openvino", files={"model.onnx": size}, total=size, compressed=9),
            params_total=1000,
            params_used=900,
            nonzero=800,
            macs=1_000_000,
            latency_ms=latency,
            e2e_ms=latency,
            speedup=Speedup(vs="reference", ratio=ratio, low=ratio, high=ratio),
            speedup_eager=Speedup(vs="eager", ratio=2 * ratio, low=ratio, high=3 * ratio),
            speedup_e2e=Speedup(vs="reference", ratio=ratio / 2, low=ratio / 2, high=ratio),
            peak_rss_mb=100.0,
            precision=PrecisionRead(stored="float32", executed="f32", integer_share=0.0),
            training=TrainingTime(epochs=2, shared_epochs=0, seconds=9.0, waited=1.0, images=400, device="a cpu"),
            artifact=f"candidates/{identity}",
            seconds=1.0,
        )
        return record.with_(**changes)

    return make
