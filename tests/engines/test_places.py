"""Max-pooling with places: PyTorch's values and indices on every engine, from nodes that engines run fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx


class Places(nn.Module):
    """The values and the indices of one max-pooling, on one plane of scores each."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, images: Tensor) -> Tensor:
        values, places = F.max_pool2d(images, return_indices=True, **self.settings)
        return torch.cat([values, places.to(values.dtype)], dim=1)


POOLINGS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1},
    {"kernel_size": 2, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 4, "padding": 1, "ceil_mode": True},
    {"kernel_size": 1, "stride": 2},
]


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("settings", POOLINGS, ids=str)
def test_values_and_indices_are_pytorchs(settings: dict[str, Any], engine: str, tmp_path: Path) -> None:
    # Few different values, below zero too: windows hold equals, and padding must not win.
    images = torch.randint(-4, -1, (1, 3, 19, 23), generator=torch.Generator().manual_seed(0)).float()
    network = Places(settings)
    export_onnx(network, images, tmp_path / "model.onnx")
    found = ENGINES[engine].compile(tmp_path, threads=1)(images.numpy())
    np.testing.assert_array_equal(found, network(images).numpy())


def test_the_slow_kind_of_pooling_is_not_used(tmp_path: Path) -> None:
    export_onnx(Places({"kernel_size": 2}), torch.zeros(1, 3, 16, 16), tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert all(len(node.output) == 1 for node in graph.node if node.op_type == "MaxPool")
    assert sum(onnx.numpy_helper.to_array(tensor).size for tensor in graph.initializer) < 100


def test_unpooling_puts_values_back_where_they_were(tmp_path: Path) -> None:
    class Unpooled(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return F.max_unpool2d(*F.max_pool2d(images, 2, return_indices=True), 2)

    images = torch.randn(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    export_onnx(Unpooled(), images, tmp_path / "model.onnx")
    for engine in ENGINES.values():
        found = engine.compile(tmp_path, threads=1)(images.numpy())
        np.testing.assert_array_equal(found, Unpooled()(images).numpy())
