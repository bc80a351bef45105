"""Placement: what is rounded, and that every engine then computes in integers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx
from tinysight.errors import UserError
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.placement import layers_named, layers_of, places_for
from tinysight.reduction.step import NotApplicable


class Residual(nn.Module):
    """Two branches that are added, pooled and classified."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.depthwise, self.head = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.stem(images))
        joined = torch.relu(first + self.inner(first))
        return self.head(torch.relu(self.depthwise(joined)).mean((2, 3)))


@pytest.fixture
def network(make_network):
    torch.manual_seed(0)
    return make_network(Residual().eval())


@pytest.fixture
def exported(network, tmp_path) -> onnx.ModelProto:
    export_onnx(network.scores, network.example(), tmp_path / "model.onnx")
    return onnx.load(tmp_path / "model.onnx")


def test_layers_are_named_by_their_modules(exported):
    assert [layer.name for layer in layers_of(exported)] == ["stem", "inner", "depthwise", "head"]


def test_weights_are_rounded_along_their_output_channels(exported):
    weights = {place.tensor: place.axis for place in places_for(exported, "openvino") if place.kind == "weight"}
    assert set(weights.values()) == {0}
    assert len(weights) == 4


def test_weights_keep_to_levels_of_which_two_products_fit_into_16_bits(exported):
    weights = [place for place in places_for(exported, "openvino") if place.kind == "weight"]
    assert [place.largest for place in weights] == [64, 64, 127, 64]  # the depthwise layer adds no second product
    assert 255 * 64 * 2 < 2**15 <= 255 * 65 * 2
    assert {place.largest for place in places_for(exported, "openvino", reduce_range=False)} == {127}


def test_openvino_wants_inputs_and_what_is_added(exported):
    places = [place for place in places_for(exported, "openvino") if place.kind == "activation"]
    assert places[0].tensor == "image"
    assert len(places) == 5  # the image, both summands, their sum, the pooled features


def test_onnx_runtime_wants_outputs_too(exported):
    for_one, for_other = (len(places_for(exported, engine)) for engine in ("openvino", "onnxruntime"))
    assert for_other > for_one


class Passing(nn.Module):
    """A tensor that a layer and a pooling read, which are joined."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, stride=2)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.stem(images))
        return self.head(torch.cat([self.inner(first), torch.max_pool2d(first, 2)], 1))


def test_what_passes_values_on_reads_them_rounded_where_a_layer_does(tmp_path):
    export_onnx(Passing().eval(), torch.zeros(1, 3, 8, 8), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    readers = {node.output[0]: node.op_type for node in model.graph.node}
    places = [place for place in places_for(model, "openvino") if place.kind == "activation"]
    found = [sorted(readers[consumer] for consumer in place.consumers) for place in places]
    assert found == [["Conv"], ["Conv", "MaxPool"], ["Conv"]], "the image, the shared tensor, and what was joined"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_what_an_ignored_layer_gives_is_added_in_float(exported, engine: str):
    (total,) = [node for node in exported.graph.node if node.op_type == "Add"]
    assert [place for place in places_for(exported, engine) if total.output[0] in place.consumers]
    assert not [place for place in places_for(exported, engine, ["inner"]) if total.output[0] in place.consumers]


def file_of(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: tuple[int, ...]) -> onnx.ModelProto:
    """A file as other tools write it: from ``image`` of ``shape`` to ``scores``."""
    ends = [
        onnx.helper.make_tensor_value_info("image", 1, shape),
        onnx.helper.make_tensor_value_info("scores", 1, None),
    ]
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_sum_that_keeps_a_root_from_zero_is_not_rounded(engine: str):
    nodes = [
        onnx.helper.make_node("Conv", ["image", "w"], ["a"]),
        onnx.helper.make_node("Mul", ["a", "a"], ["squares"]),
        onnx.helper.make_node("Add", ["squares", "eps"], ["kept"]),
        onnx.helper.make_node("Sqrt", ["kept"], ["root"]),
        onnx.helper.make_node("Div", ["a", "root"], ["scores"]),
    ]
    model = file_of(nodes, {"w": np.ones((4, 3, 1, 1)), "eps": np.full((1,), 1e-6)}, (1, 3, 8, 8))
    assert "squares" not in {place.tensor for place in places_for(model, engine)}


def test_a_weight_of_two_layers_with_other_axes_stays_in_float():
    nodes = [
        onnx.helper.make_node("Gemm", ["image", "w"], ["a"], transB=1),
        onnx.helper.make_node("Gemm", ["a", "w"], ["scores"]),
    ]
    model = file_of(nodes, {"w": np.eye(8)}, (1, 8))
    assert not places_for(model, "openvino")


@pytest.mark.parametrize(("engine", "places"), [("openvino", 2), ("onnxruntime", 0)])
def test_transposed_convolutions_are_rounded_where_an_engine_runs_them_in_integers(engine: str, places: int):
    nodes = [onnx.helper.make_node("ConvTranspose", ["image", "w"], ["scores"])]
    assert len(places_for(file_of(nodes, {"w": np.ones((3, 4, 2, 2))}, (1, 3, 8, 8)), engine)) == places


def test_transposed_convolutions_in_groups_are_no_layers():
    nodes = [onnx.helper.make_node("ConvTranspose", ["image", "w"], ["scores"], group=3)]
    assert not layers_of(file_of(nodes, {"w": np.ones((3, 1, 2, 2))}, (1, 3, 8, 8)))


def test_ignored_layers_keep_their_weights_and_inputs(exported):
    places = places_for(exported, "openvino", ["stem"])
    assert not [place for place in places if place.tensor in ("image", "network.stem.weight")]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_ignored_layers_read_nothing_rounded_even_what_others_do(exported, engine: str):
    (inner,) = layers_named(exported, ["inner"])
    assert [place for place in places_for(exported, engine) if inner.node in place.consumers]
    assert not [place for place in places_for(exported, engine, ["inner"]) if inner.node in place.consumers]


def test_a_module_is_ignored_with_all_layers_inside(tmp_path):
    inside = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 3))).eval()
    export_onnx(inside, torch.zeros(1, 3, 8, 8), tmp_path / "model.onnx")
    assert [layer.name for layer in layers_named(onnx.load(tmp_path / "model.onnx"), ["1"])] == ["1.0"]


def test_a_mistyped_layer_is_named_with_the_nearest(exported):
    with pytest.raises(UserError, match=r"no layer 'depthwize' with a weight: did you mean 'depthwise'\?"):
        places_for(exported, "openvino", ["depthwize"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ranges", ["nncf", "min_max"])
def test_ignored_layers_stay_float_whoever_calibrates(network, exported, make_context, ranges: str):
    record = Int8(images=4, ranges=ranges, ignored=("inner",)).reduce(network, make_context(network)).precision
    inner = next(layer for layer in layers_of(exported) if layer.name == "inner")
    readers = [one for each in record.tensors.values() for one in each.consumers or ()]
    assert inner.node not in readers


@pytest.mark.parametrize(("engine", "integers"), [("openvino", 4), ("onnxruntime", 3)])
def test_every_layer_runs_in_integers(network, make_context, tiny_task, tmp_path, engine: str, integers: int):
    """ONNX Runtime leaves the last layer: its output, the scores, is not rounded."""
    context = make_context(network, engine=engine)
    quantized = Int8(images=4, ranges="min_max").reduce(network, context)
    make_artifact(quantized, tiny_task, tmp_path / "artifact", context.float_export(network))
    found = ENGINES[engine].compile(tmp_path / "artifact", threads=2).executed()
    assert (found["integer_layers"], found["layers"]) == (integers, 4)


class Pools(nn.Module):
    """An adaptive pooling between two layers, which the exporter makes a product with matrices of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(torch.relu(self.encoder(images)), (5, 7))
        return nn.functional.interpolate(self.decoder(pooled), images.shape[2:])


class TestMatricesOfTheExporter:
    @pytest.fixture
    def pools(self, make_network):
        torch.manual_seed(0)
        return make_network(Pools().eval())

    def test_they_go_by_the_layer_that_reads_them(self, pools, tmp_path):
        export_onnx(pools.scores, pools.example(), tmp_path / "model.onnx")
        names = [layer.name for layer in layers_of(onnx.load(tmp_path / "model.onnx"))]
        assert len(names) > 2 and set(names) == {"encoder", "decoder"}

    def test_they_are_ignored_with_it(self, pools, make_context):
        reduced = Int8(images=4, ignored=("decoder",), max_drift=None).reduce(pools, make_context(pools))
        assert {name for name, each in reduced.precision.tensors.items() if each.axis is not None} == {
            "network.encoder.weight"
        }
        assert "left in float: decoder" in reduced.steps[-1].remark

    def test_where_all_modules_are_ignored_there_is_nothing_to_round(self, pools, make_context):
        with pytest.raises(NotApplicable, match="ignored covers all layers"):
            Int8(images=4, ignored=("encoder", "decoder")).reduce(pools, make_context(pools))
