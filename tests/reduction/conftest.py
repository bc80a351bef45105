"""What every reduction needs: tiny networks of each kind, and a context with tiny training data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinysight.config import digest_of
from tinysight.data import InputPolicy
from tinysight.data.live import live_samples
from tinysight.progress import Progress


@pytest.fixture(scope="session")
def make_network() -> Callable[..., Any]:
    """Wrap a module as a ``Network`` with a 32x48 input; every norm gets statistics that matter."""
    import torch
    from torch import nn

    from tinysight.models.spec import LIVE, ModelSpec
    from tinysight.reduction.network import Network

    def make(module: nn.Module, *, output: str | int | None = None, spec: ModelSpec | None = None) -> Network:
        generator = torch.Generator().manual_seed(0)
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(generator=generator)
                norm.running_var.uniform_(0.5, 2.0, generator=generator)
        return Network(module.eval(), spec or ModelSpec(builder=LIVE, output=output), InputPolicy(height=32, width=48))

    return make


@pytest.fixture(scope="session")
def make_context(tiny_task, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Make the context for reducing a network: 9 random pictures, no bf16, exports kept by lineage."""
    from tinysight.engines.export import export_onnx
    from tinysight.reduction.network import Network
    from tinysight.reduction.step import Context
    from tinysight.training.teachers import EagerTeacher

    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (9, 32, 48, 3), dtype=np.uint8)
    masks = (pictures[..., 0] > 127).astype(np.uint8)
    exports: dict[str, Path] = {}

    def export(network: Network) -> Path:
        key = json.dumps([id(network.module), *(step.model_dump(mode="json") for step in network.steps)])
        if key not in exports:
            exports[key] = tmp_path_factory.mktemp("export") / "model.onnx"
            export_onnx(network.scores, network.example(), exports[key])
        return exports[key]

    def make(teacher: Network, **changes: Any) -> Context:
        shared = tmp_path_factory.mktemp("shared")
        settings: dict[str, Any] = {
            "task": tiny_task,
            "train": live_samples(list(zip(pictures, masks, strict=True)), "train"),
            "held_out": frozenset,
            "teacher": teacher,
            "ask_teacher": lambda: EagerTeacher(teacher.copy().scores, "cpu"),
            "parent": "parent",
            "device": "cpu",
            "seed": 0,
            "engine": "openvino",
            "threads": 2,
            "augment": False,
            "folder": tmp_path_factory.mktemp("state"),
            "shared": lambda key: shared / digest_of(key),
            "float_export": export,
            "refuse_execution": lambda _precision: "no BF16 instructions",
            "times_as_fast": lambda *_: 2.0,
            "progress": Progress(quiet=True),
        }
        return Context(**(settings | changes))

    return make
