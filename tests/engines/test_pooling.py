"""Adaptive average pooling: the same numbers from a handful of nodes, in float and in integers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx
from tinysight.engines.pooling import averaging_matrix
from tinysight.reduction.precision.record import TensorPrecision
from tinysight.reduction.precision.writer import quantized_values
from tinysight.reduction.verify import run


class Calls(nn.Module):
    """A network that is one function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


def exported(network, images, folder) -> onnx.GraphProto:
    export_onnx(network, images, folder / "model.onnx")
    return onnx.load(folder / "model.onnx").graph


def kinds(graph: onnx.GraphProto) -> Counter:
    return Counter(node.op_type for node in graph.node)


@pytest.fixture(scope="module")
def images():
    return torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))


class Pyramid(nn.Module):
    """Every kind of size at once: dividing both sides, one or none, larger than the picture, and free."""

    def forward(self, images):
        sizes = [(1, 1), (2, 2), (3, 3), (6, 6), (5, 7), (1, 48), (40, 56), (None, 5)]
        return torch.cat([F.adaptive_avg_pool2d(images, size).flatten(1) for size in sizes], dim=1)


@pytest.fixture(scope="module")
def pyramid(images, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("pyramid")
    exported(Pyramid(), images, folder)
    return folder


@pytest.mark.parametrize("engine", ENGINES)
def test_equals_torch(engine, pyramid, images):
    pooled = ENGINES[engine].compile(pyramid, threads=1)(images.numpy())
    np.testing.assert_allclose(pooled, run(Pyramid(), images).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((1, 1), {"GlobalAveragePool": 1}),
        ((8, 3), {"AveragePool": 1}),
        ((5, 6), {"AveragePool": 1, "Transpose": 2, "MatMul": 1}),
        ((5, 7), {"MatMul": 2, "Transpose": 2}),
    ],
)
def test_takes_no_more_nodes_than_it_needs(cells, expected, images, tmp_path):
    assert kinds(exported(Calls(lambda x: F.adaptive_avg_pool2d(x, cells)), images, tmp_path)) == expected


def test_pooling_to_the_size_that_is_there_is_nothing(images, tmp_path):
    graph = exported(Calls(lambda x: F.adaptive_avg_pool2d(x.relu(), (32, 48)).relu()), images, tmp_path)
    assert kinds(graph).keys() == {"Relu"}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.interpolate(x, size=(5, 7), mode="area"),
        lambda x: F.adaptive_avg_pool1d(x[0], 7),
        lambda x: F.adaptive_avg_pool2d(x[0], 1),
    ],
    ids=["area", "one side", "no batch"],
)
def test_other_ways_to_ask_for_it(function, images, tmp_path):
    graph = exported(Calls(function), images, tmp_path)
    assert kinds(graph)["MatMul"] in (1, 2) and len(graph.node) < 8
    pooled = ENGINES["onnxruntime"].compile(tmp_path, threads=1)(images.numpy())
    np.testing.assert_allclose(pooled, run(Calls(function), images).numpy(), atol=1e-6)


def test_a_program_taken_apart_exports_as_well(images, tmp_path):
    class Program(Calls):
        def eval(self):
            return self  # a program cannot change its mode

    program = torch.export.export(Calls(lambda x: F.adaptive_avg_pool2d(x, (5, 7))), (images,)).run_decompositions()
    assert kinds(exported(Program(program.module()), images, tmp_path))["MatMul"] == 2


@pytest.mark.parametrize(("size", "cells"), [(32, 3), (32, 6), (40, 7), (5, 8), (7, 7)])
def test_the_matrix_is_torchs_pooling(size, cells):
    expected = F.adaptive_avg_pool1d(torch.eye(size)[None], cells)[0]
    np.testing.assert_allclose(averaging_matrix(size, cells), expected.numpy(), atol=1e-7)


def test_int8_holds_the_matrix_exactly():
    matrix = averaging_matrix(32, 3)
    scales = tuple((matrix.max(axis=0) / 127).tolist())
    integers = quantized_values(matrix, TensorPrecision(dtype="int8", scale=scales, axis=1))
    np.testing.assert_allclose(integers * np.float32(scales), matrix, rtol=1e-6)
