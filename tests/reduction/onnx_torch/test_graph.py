"""An export run by PyTorch: the engine's numbers, in batches, with gradients and with hands on every node."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from tinysight.engines.export import export_onnx
from tinysight.engines.quiet import import_onnxruntime
from tinysight.reduction.onnx_torch.graph import GraphNode, TorchGraph, unknown_operators
from tinysight.reduction.verify import largest_difference


def exported(network, path) -> onnx.ModelProto:
    export_onnx(network.scores, network.example(), path)
    return onnx.load(path)


@pytest.fixture
def graph(tiny_network, tmp_path) -> TorchGraph:
    return TorchGraph(exported(tiny_network, tmp_path / "model.onnx"))


def test_it_gives_what_the_network_gives(graph, tiny_network):
    images = tiny_network.example(batch=3)
    assert largest_difference(graph, tiny_network.scores, images) < 1e-4


def test_it_gives_what_the_engine_gives(graph, tiny_network, tmp_path):
    image = tiny_network.example()
    session = import_onnxruntime().InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        found = graph(image).numpy()
    np.testing.assert_allclose(found, session.run(None, {"image": image.numpy()})[0], rtol=1e-3, atol=1e-4)


class FlattensTheBatch(nn.Module):
    """Mixes the images of a batch in a shape that its file fixes for one."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.reshape(3, -1).mean(1)
        return images - mean.reshape(1, 3, 1, 1)


def test_images_run_one_by_one_where_a_file_mixes_them(make_network, tmp_path):
    network = make_network(FlattensTheBatch())
    graph = TorchGraph(exported(network, tmp_path / "model.onnx"))
    batch = network.example(batch=3)
    with torch.no_grad():
        alone = torch.cat([network.scores(image[None]) for image in batch])
        torch.testing.assert_close(graph(batch), alone)


def test_gradients_reach_every_weight(graph, tiny_network):
    graph(tiny_network.example(batch=2)).square().sum().backward()
    weights = [constant for constant in graph.constants if constant.ndim == 4]
    assert len(weights) == 3
    assert all(weight.grad is not None for weight in weights)


def test_constants_have_the_names_of_the_network(graph, tiny_network):
    own = {f"network.{name}" for name, weight in tiny_network.module.named_parameters() if weight.ndim == 4}
    assert own <= set(graph.names)


def test_every_node_can_be_run_by_hand(graph, tiny_network):
    seen: list[str] = []

    def running(node: GraphNode, inputs):
        seen.append(node.name)
        return node(inputs)

    with torch.no_grad():
        graph(tiny_network.example(), running)
    assert seen == [node.name for node in graph.nodes]


def test_an_unknown_operator_is_named():
    graph = helper.make_graph(
        [helper.make_node("Cumulate", ["x"], ["y"])], "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )  # fmt: skip
    model = helper.make_model(graph)
    assert unknown_operators(model) == ["Cumulate"]
    with pytest.raises(NotImplementedError, match="the operator Cumulate"):
        TorchGraph(model)


def test_what_an_operator_cannot_do_is_named_at_once():
    nodes = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.INT8), helper.make_node("Cast", ["c"], ["y"], to=1)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "odd", values[:1], values[1:]))
    with pytest.raises(NotImplementedError, match=r"the node that makes 'c' \(a cast to type 3 of ONNX\)"):
        TorchGraph(model)
