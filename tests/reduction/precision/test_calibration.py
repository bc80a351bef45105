"""Our own calibration: what is recorded is what the engines compute, and biases lose their mean error."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx
from tinysight.progress import Progress
from tinysight.reduction.onnx_torch.graph import TorchGraph
from tinysight.reduction.precision.calibration import calibrated, corrected_biases, ranges_at
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.placement import places_for
from tinysight.reduction.precision.ranges import ESTIMATES
from tinysight.reduction.precision.simulation import simulated
from tinysight.reduction.precision.trial import compiled, drift
from tinysight.reduction.step import NotApplicable

QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def exported(tiny_network, tmp_path_factory) -> onnx.ModelProto:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(tiny_network.scores, tiny_network.example(), path)
    return onnx.load(path)


@pytest.fixture(scope="module")
def images(tiny_network) -> list[np.ndarray]:
    return [tiny_network.example(seed=seed).numpy() for seed in range(4)]


@pytest.fixture
def network(exported, images):
    graph = TorchGraph(exported).eval()
    ranges = ranges_at(graph, places_for(exported, "openvino"), images, ESTIMATES["min_max"], QUIET)
    return calibrated(graph, ranges)


def test_ranges_hold_every_image(exported, images):
    graph = TorchGraph(exported)
    found = ranges_at(graph, places_for(exported, "openvino"), images, ESTIMATES["min_max"], QUIET)
    image = next(each for place, each in found.items() if place.tensor == "image")
    assert image.low == pytest.approx(min(each.min() for each in images))
    assert image.high == pytest.approx(max(each.max() for each in images))


def test_two_passes_see_the_same_ends(exported, images):
    graph = TorchGraph(exported)
    places = places_for(exported, "openvino")
    one, two = (ranges_at(graph, places, images, ESTIMATES[name], QUIET) for name in ("min_max", "mse"))
    assert one.keys() == two.keys()
    assert all(two[place].high <= one[place].high for place in one if one[place])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_simulation_is_what_the_engine_computes(
    network, exported, images, tiny_network, make_context, tmp_path, engine
):
    context = make_context(tiny_network, engine=engine)
    engine = compiled(exported, network.record(), tmp_path, context)
    with torch.no_grad():
        expected = np.concatenate([network(torch.from_numpy(image)).numpy() for image in images])
    assert drift(expected, np.concatenate([engine(image) for image in images])) < 0.02


def test_a_record_simulated_gives_the_same(network, exported, images):
    again = simulated(TorchGraph(exported), network.record())
    with torch.no_grad():
        torch.testing.assert_close(again(torch.from_numpy(images[0])), network(torch.from_numpy(images[0])))


def test_only_the_named_nodes_are_rounded(network, exported):
    first = network.places[0].consumers[0]
    assert {
        one
        for place in simulated(TorchGraph(exported), network.record(), only=[first]).places
        for one in place.consumers
    } == {first}


def test_corrected_biases_take_the_mean_error_away(exported, images, tiny_network):
    """With coarse ranges there is much to correct in the first layer, whose inputs are the float network's."""
    graph = TorchGraph(exported).eval()
    ranges = ranges_at(graph, places_for(exported, "openvino"), images, ESTIMATES["min_max"], QUIET)
    narrow = {place: found and found.shrunk(0.3) for place, found in ranges.items()}
    coarse = calibrated(graph, narrow)
    biases = corrected_biases(coarse, exported, images, QUIET)
    name = next(iter(biases))
    node = next(node for node in graph.nodes if name in node.inputs)
    before, after = _mean_errors(graph, coarse, node, images, name, biases[name])
    assert before > 0.01
    assert after < 0.01 * before


def _mean_errors(graph, coarse, node, images, bias, corrected) -> tuple[float, float]:
    """The largest channel's mean error of one layer on the float network's inputs, with its old and its new bias."""
    totals = [0.0, 0.0]

    def running(each, inputs):
        result = each(inputs)
        if each.name == node.name:
            rounded = each(coarse.rounded(each, inputs, {}))
            change = torch.tensor(corrected) - graph.parameter_named(bias)
            error = (rounded - result).mean((0, 2, 3))
            totals[0], totals[1] = totals[0] + error, totals[1] + error + change
        return result

    with torch.no_grad():
        for image in images:
            graph(torch.from_numpy(image), running)
    return tuple(float((total / len(images)).abs().max()) for total in totals)


def product(bias: np.ndarray, **settings: float) -> onnx.ModelProto:
    """A file of one matrix product, its bias as other tools may write it; without settings, added apart."""
    weight = np.random.default_rng(0).normal(size=(3 * 32 * 48, 8)).astype(np.float32)
    constants = [
        numpy_helper.from_array(np.asarray(each, np.float32), name) for name, each in (("w", weight), ("b", bias))
    ]
    flat = helper.make_node("Flatten", ["image"], ["flat"])
    if settings:
        nodes = [flat, helper.make_node("Gemm", ["flat", "w", "b"], ["scores"], **settings)]
    else:
        nodes = [
            flat,
            helper.make_node("MatMul", ["flat", "w"], ["made"]),
            helper.make_node("Add", ["made", "b"], ["scores"]),
        ]
    ends = [
        helper.make_tensor_value_info(name, 1, shape) for name, shape in (("image", (1, 3, 32, 48)), ("scores", (1, 8)))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize(
    ("model", "corrected"),
    [
        (product(np.ones(8)), True),
        (product(np.ones(8), beta=1.0), True),
        (product(np.ones(8), beta=0.5), False),
        (product(np.ones((1, 8)), beta=1.0), False),
        (product(np.ones(1), beta=1.0), False),
    ],
)
def test_only_a_value_for_each_channel_is_corrected(model, corrected: bool, images):
    graph = TorchGraph(model).eval()
    ranges = ranges_at(graph, places_for(model, "openvino"), images, ESTIMATES["min_max"], QUIET)
    coarse = calibrated(graph, {place: found and found.shrunk(0.3) for place, found in ranges.items()})
    biases = corrected_biases(coarse, model, images, QUIET)
    assert set(biases) == ({"b"} if corrected else set())
    if corrected:
        batch = torch.from_numpy(np.concatenate(images))
        with torch.no_grad():
            moved = (coarse(batch) - graph(batch)).mean(0).numpy()
        assert np.asarray(biases["b"]) - 1 == pytest.approx(-moved, rel=1e-3, abs=1e-4)


def test_tensors_that_become_infinite_stay_in_float(images):
    model = product(np.ones(8))
    masked = helper.make_node("Add", ["scores_before", "made"], ["scores"])
    model.graph.node[-1].output[0] = "biased"
    model.graph.initializer.append(numpy_helper.from_array(np.full((1, 8), -np.inf, np.float32), "mask"))
    model.graph.node.extend([helper.make_node("Where", ["chosen", "mask", "biased"], ["scores_before"]), masked])
    model.graph.initializer.append(numpy_helper.from_array(np.eye(1, 8, dtype=bool), "chosen"))
    graph = TorchGraph(model).eval()
    for estimate in ESTIMATES.values():
        ranges = ranges_at(graph, places_for(model, "openvino"), images, estimate, QUIET)
        assert "scores_before" not in {place.tensor for place in ranges}


@pytest.mark.parametrize("ranges", ESTIMATES)
def test_every_estimate_stays_close_to_the_float_network(
    tiny_network, make_context, exported, images, tmp_path, ranges
):
    context = make_context(tiny_network)
    record = Int8(images=8, ranges=ranges).reduce(tiny_network, context).precision
    exact, rounded = tiny_network.scores, compiled(exported, record, tmp_path, context)
    with torch.no_grad():
        expected = np.concatenate([exact(torch.from_numpy(image)).numpy() for image in images])
    assert drift(expected, np.concatenate([rounded(image) for image in images])) < 0.4


def test_symmetric_ranges_are_recorded_so(tiny_network, make_context):
    record = (
        Int8(images=4, ranges="min_max", preset="performance")
        .reduce(tiny_network, make_context(tiny_network))
        .precision
    )
    assert record.tensors["image"].zero_point == (128,)


def test_the_same_images_make_the_same_record(tiny_network, make_context):
    one, two = (Int8(images=4, ranges="mse").reduce(tiny_network, make_context(tiny_network)) for _ in range(2))
    assert one.precision == two.precision


class TestAuto:
    def test_it_is_mse(self, tiny_network, make_context):
        one, two = (
            Int8(images=4, ranges=each).reduce(tiny_network, make_context(tiny_network)) for each in ("auto", "mse")
        )
        assert one.precision == two.precision

    @pytest.fixture
    def without_convolutions(self, monkeypatch):
        from tinysight.reduction.onnx_torch import graph

        monkeypatch.setattr(
            graph, "OPERATORS", {name: each for name, each in graph.OPERATORS.items() if name != "Conv"}
        )

    @pytest.mark.filterwarnings("ignore")
    def test_nncf_stands_in_where_an_operator_is_missing(self, tiny_network, make_context, without_convolutions):
        assert Int8(images=4).reduce(tiny_network, make_context(tiny_network)).precision.stored == "int8"

    def test_asked_for_by_name_it_says_what_is_missing(self, tiny_network, make_context, without_convolutions):
        with pytest.raises(NotApplicable, match="the operator Conv of the export does not run in PyTorch here"):
            Int8(images=4, ranges="mse").reduce(tiny_network, make_context(tiny_network))

    @pytest.mark.filterwarnings("ignore")
    def test_layers_that_cannot_be_told_apart_are_no_traceback(
        self, tiny_network, make_context, without_convolutions, monkeypatch
    ):
        from tinysight.reduction.precision import trial

        scores = iter([0.9])  # the float network's alone
        monkeypatch.setattr(trial, "quality", lambda *_: next(scores, 0.1))
        with pytest.raises(NotApplicable, match="no layer can be told apart: name ignored layers instead"):
            Int8(images=4, within=1.0).reduce(tiny_network, make_context(tiny_network))
