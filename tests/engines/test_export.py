"""The clean float export."""

import logging
import os

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tinysight.engines.export import INPUT, OUTPUT, export_onnx
from tinysight.errors import UserError
from tinysight.reduction.verify import run


class PyramidPooling(nn.Module):
    """PSPNet's pooling: averages over 1, 2, 3 and 6 cells a side, brought back to the features' size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(cells) for cells in (1, 2, 3, 6))

    def forward(self, images):
        features = self.stem(images)
        pooled = [F.interpolate(pool(features), features.shape[2:], mode="bilinear") for pool in self.pools]
        return torch.cat([features, *pooled], dim=1)


class Undecided(nn.Module):
    """Its graph depends on the picture."""

    def forward(self, images):
        return images * 2 if images.sum() > 0 else images[:, :, ::2]


@pytest.fixture(scope="module")
def exported(tiny_artifact) -> bytes:
    return (tiny_artifact / "model.onnx").read_bytes()


def test_nothing_tells_where_it_was_made(exported):
    strangers = [b".py", b"site-packages", b"Traceback", os.getcwd().encode(), os.path.expanduser("~").encode()]
    assert [text for text in strangers if text in exported] == []


def test_no_metadata_is_left(exported):
    model = onnx.load_from_string(exported)
    kept = [model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer]
    assert not any(part.metadata_props or part.doc_string for part in kept)


def test_equal_weights_make_equal_bytes(tiny_network, exported, tmp_path):
    export_onnx(tiny_network.copy().scores, tiny_network.example(seed=7), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported


def test_the_file_is_valid(exported):
    onnx.checker.check_model(onnx.load_from_string(exported), full_check=True)


def test_input_and_output_have_names_and_a_fixed_shape(exported):
    graph = onnx.load_from_string(exported).graph
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)
    }
    assert shapes == {INPUT: [1, 3, 32, 48], OUTPUT: [1, 2, 32, 48]}


def test_batch_norm_is_folded_into_convolutions(exported):
    kinds = [node.op_type for node in onnx.load_from_string(exported).graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 3


class Tokens(nn.Module):
    """A linear layer on every place of a picture: the exporter holds its weight transposed."""

    def __init__(self, *, twins: bool = False) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 5)
        self.twin = nn.Linear(5, 5)
        if twins:
            self.twin.load_state_dict(self.last.state_dict())

    def forward(self, images):
        tokens = torch.relu(self.first(images.flatten(2).transpose(1, 2)))
        return torch.relu(self.twin(torch.relu(self.last(tokens)))).mean(1)


def names_of_matrices(model: nn.Module, tmp_path) -> set[str]:
    export_onnx(model.eval(), torch.zeros(1, 3, 4, 4), tmp_path / "model.onnx")
    return {each.name for each in onnx.load(tmp_path / "model.onnx").graph.initializer if len(each.dims) == 2}


def test_transposed_weights_have_their_parameters_names(tmp_path):
    assert names_of_matrices(Tokens(), tmp_path) == {"first.weight.T", "last.weight.T", "twin.weight.T"}
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert np.isfinite(session.run(None, {INPUT: np.ones((1, 3, 4, 4), np.float32)})[0]).all()


def test_of_equal_weights_none_has_the_others_name(tmp_path):
    names = names_of_matrices(Tokens(twins=True), tmp_path)
    assert "first.weight.T" in names
    assert not names & {"last.weight.T", "twin.weight.T"}


def test_pyramid_pooling_exports_at_any_size(tmp_path):
    torch.manual_seed(0)
    network, images = PyramidPooling(), torch.randn(1, 3, 40, 56)
    export_onnx(network, images, tmp_path / "pyramid.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "pyramid.onnx", providers=["CPUExecutionProvider"])
    scores = session.run(None, {INPUT: images.numpy()})[0]
    np.testing.assert_allclose(scores, run(network, images).numpy(), atol=1e-5)


def test_what_cannot_be_expressed_is_explained_on_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be exported to ONNX: ") as caught:
        export_onnx(Undecided(), torch.ones(1, 3, 8, 8), tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)


def test_a_failed_export_leaves_no_file(tmp_path):
    with pytest.raises(UserError):
        export_onnx(Undecided(), torch.ones(1, 3, 8, 8), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_exporting_says_nothing(tiny_network, tmp_path, capfd):
    export_onnx(tiny_network.scores, tiny_network.example(), tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")


def test_the_exporters_logger_is_put_back(tiny_network, tmp_path):
    before = logging.getLogger("torch.onnx").level
    export_onnx(tiny_network.scores, tiny_network.example(), tmp_path / "model.onnx")
    assert logging.getLogger("torch.onnx").level == before


class Unpooled(nn.Module):
    """Pools with places and puts the values back there, as ENet does."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, images):
        values, places = self.pool(images)
        return self.unpool(values, places)


def test_the_exporter_says_nothing(tmp_path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    export_onnx(Unpooled(), torch.rand(1, 3, 8, 8), tmp_path / "model.onnx")
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []
    assert capfd.readouterr() == ("", "")
