"""An ONNX file as a network: it counts as torch does, is copied, and is kept byte for byte."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tinysight.engines.export import export_onnx
from tinysight.errors import UserError
from tinysight.measure.compute import count_macs
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.network import Network, load_network
from tinysight.reduction.precision.fp16 import Fp16
from tinysight.reduction.precision.int16 import Int16
from tinysight.reduction.precision.storage import Storage

IMAGES = torch.zeros(1, 3, 32, 48)


class Heavy(nn.Module):
    """One of every operator that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3, bias=False)
        self.transposed = nn.ConvTranspose2d(6, 4, 2, stride=2, bias=False)
        self.product = nn.Parameter(torch.ones(48, 8))
        self.last = nn.Linear(4 * 32 * 8, 2, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(torch.flatten(self.transposed(self.grouped(images)) @ self.product, 1))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export_onnx(Heavy(), IMAGES, path)
    return path


@pytest.fixture(scope="module")
def network(path: Path) -> Network:
    return load_network(path)


def test_it_counts_what_torch_counts(network: Network):
    assert network.file
    assert {node.op_type for node in network.file.model().graph.node} >= {"Conv", "ConvTranspose", "MatMul", "Gemm"}
    assert network.file.macs(IMAGES) == count_macs(Heavy(), IMAGES)
    own = sum(parameter.numel() for parameter in Heavy().parameters())
    assert network.file.parameter_counts() == (own, own, own)


def test_what_no_operator_reads_is_not_used(path: Path, tmp_path: Path):
    model = onnx.load(path)
    model.graph.initializer.append(onnx.numpy_helper.from_array(torch.ones(5).numpy(), "spare"))
    onnx.save(model, tmp_path / "net.onnx")
    total, used, _ = load_network(tmp_path / "net.onnx").file.parameter_counts()
    assert total == used + 5


def test_weights_in_constant_nodes_are_found(path: Path, network: Network, tmp_path: Path):
    model = onnx.load(path)
    weights = list(model.graph.initializer)
    nodes = [onnx.helper.make_node("Constant", [], [weight.name], value=weight) for weight in weights]
    nodes += model.graph.node
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, tmp_path / "net.onnx")
    found = load_network(tmp_path / "net.onnx")
    assert found.file
    assert network.file
    assert found.file.parameter_counts() == network.file.parameter_counts()
    assert torch.equal(found.scores(IMAGES), network.scores(IMAGES))


def test_weights_that_are_not_numbers_are_refused(path: Path, tmp_path: Path):
    """An activation function may hide them: ONNX Runtime's Relu makes 0 of NaN."""
    model = onnx.load(path)
    weight = model.graph.initializer[0]
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[0] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(UserError, match=rf"'{weight.name}' are not numbers \(NaN\).*train it again"):
        load_network(tmp_path / "net.onnx")


@pytest.mark.parametrize(("method", "kind"), [(Fp16(), "float16"), (Int16(), "int16")])
def test_weights_stored_in_another_type_are_refused(
    method: Storage, kind: str, tiny_network, make_context, tiny_task, tmp_path: Path
):
    """Behind the operator that makes them float again no precision would find a layer."""
    make_artifact(method.reduce(tiny_network, make_context(tiny_network)), tiny_task, tmp_path / "stored", None)
    with pytest.raises(UserError, match=f"stores weights as {kind}.*the float32 file it was made from"):
        load_network(tmp_path / "stored" / "model.onnx")


def test_it_runs_images_one_by_one(network: Network):
    images = torch.randn(3, *IMAGES.shape[1:])
    assert torch.equal(network.scores(images)[2:], network.scores(images[2:]))


def test_a_copy_runs(network: Network):
    assert torch.equal(copy.deepcopy(network.scores)(IMAGES), network.scores(IMAGES))


def test_the_checkpoint_keeps_the_file(network: Network, path: Path, tmp_path: Path):
    network.save(tmp_path)
    again = load_network(tmp_path)
    assert again.file
    again.file.write(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()
    assert (again.spec, again.input) == (network.spec, network.input)


def test_a_checkpoint_of_another_network_is_named(network: Network, tiny_network: Network, tmp_path: Path):
    tiny_network.save(tmp_path)
    stored = json.loads((tmp_path / "spec.json").read_text())
    stored["spec"] = network.spec.model_dump(mode="json")
    (tmp_path / "spec.json").write_text(json.dumps(stored))
    with pytest.raises(UserError, match="holds no ONNX file"):
        load_network(tmp_path)
