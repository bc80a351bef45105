"""Checkpoints: a network rebuilds itself from its specification, steps and weights, and says why when it cannot."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import zipfile

import pytest
import torch
from torch import nn

from tinysight.data import InputPolicy
from tinysight.errors import UserError
from tinysight.models.spec import ModelSpec
from tinysight.reduction.input.resize import Resize
from tinysight.reduction.network import Network, load_network, refuse_other_classes
from tinysight.reduction.precision.bf16 import Bf16
from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.prune import Prune
from tinysight.reduction.verify import largest_difference

FOREIGN = ModelSpec(builder="torch.nn:Conv2d", args={"in_channels": 3, "out_channels": 2, "kernel_size": 1})


@pytest.fixture(scope="module")
def narrowed(tiny_network, make_context) -> Network:
    """The tiny network at another size with three of eight channels left between its first convolutions."""
    context = make_context(tiny_network)
    smaller = Resize(height=16, width=32).reduce(tiny_network, context)
    return Prune(layers=["0"], keep=0.4).reduce(smaller, context)


@pytest.fixture(scope="module")
def kept(narrowed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    narrowed.save(folder)
    return folder


@pytest.fixture
def folder(narrowed, tmp_path):
    """A checkpoint to spoil."""
    narrowed.save(tmp_path)
    return tmp_path


def test_a_loaded_network_gives_identical_outputs(narrowed, kept, tiny_network):
    loaded = load_network(kept, into=tiny_network.module)
    assert largest_difference(loaded.scores, narrowed.scores, narrowed.example()) == 0


def test_a_loaded_network_has_its_lineage(narrowed, kept, tiny_network):
    loaded = load_network(kept, into=tiny_network.module)
    assert (loaded.spec, loaded.origin, loaded.steps) == (narrowed.spec, narrowed.origin, narrowed.steps)


def test_a_loaded_network_is_in_evaluation_mode(kept, tiny_network):
    assert not load_network(kept, into=copy.deepcopy(tiny_network.module).train()).module.training


def test_loading_leaves_the_given_network_as_it_was(kept, tiny_network):
    into = copy.deepcopy(tiny_network.module)
    load_network(kept, into=into)
    assert into[0].weight.shape == (8, 3, 3, 3)


def test_the_checkpoint_is_three_files(kept):
    assert sorted(path.name for path in kept.iterdir()) == ["spec.json", "steps.json", "weights.safetensors"]


def test_the_weights_are_safetensors(kept):
    content = (kept / "weights.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["0.weight"]["shape"] == [3, 3, 3, 3]


def test_nothing_in_the_checkpoint_is_a_pickle(kept):
    for path in kept.iterdir():
        assert not zipfile.is_zipfile(path)
        with path.open("rb") as handle, pytest.raises(Exception):  # noqa: B017, PT011 - whatever pickle says
            pickle.load(handle)


def test_loading_uses_no_pickle(kept, tiny_network, monkeypatch):
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr(pickle, "load", None)
    load_network(kept, into=tiny_network.module)


def test_tied_weights_survive(make_network, tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.Conv2d(3, 3, 1, bias=False))
    module[2].weight = module[0].weight
    make_network(module).save(tmp_path)
    loaded = load_network(tmp_path, into=module)
    assert loaded.module[2].weight is loaded.module[0].weight
    assert torch.equal(loaded.module[2].weight, module[0].weight)


class _Dated(nn.Conv2d):
    """A layer that asks which version of it stored weights are of, as torchvision's MNASNet does."""

    _version = 2

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        if local_metadata.get("version") != 2:
            raise ValueError("version should be set")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


def test_a_layer_is_told_the_version_of_its_weights(make_network, tmp_path):
    network = make_network(_Dated(3, 2, 1))
    network.save(tmp_path)
    loaded = load_network(tmp_path, into=_Dated(3, 2, 1))
    assert torch.equal(loaded.module.weight, network.module.weight)


def test_weights_in_another_memory_layout_are_saved(make_network, tmp_path):
    module = nn.Conv2d(3, 2, 3).to(memory_format=torch.channels_last)
    make_network(module).save(tmp_path)
    assert torch.equal(load_network(tmp_path, into=nn.Conv2d(3, 2, 3)).module.weight, module.weight)


def test_a_network_of_the_zoo_needs_nothing_given(make_network, tmp_path):
    spec = ModelSpec(builder="pspnet", args={"encoder": "test_resnet", "classes": 2})
    network = make_network(spec.build(), spec=spec)
    network.save(tmp_path)
    assert largest_difference(load_network(tmp_path).scores, network.scores, network.example()) == 0


def test_a_live_network_needs_an_instance(folder):
    with pytest.raises(UserError, match=r"load\(path, into=model\)"):
        load_network(folder)


def test_a_foreign_builder_needs_trust(make_network, tmp_path):
    make_network(FOREIGN.build(trust=True), spec=FOREIGN).save(tmp_path)
    with pytest.raises(UserError, match=r"run torch\.nn:Conv2d .*trust=True"):
        load_network(tmp_path)


def test_a_trusted_foreign_builder_is_loaded(make_network, tmp_path):
    network = make_network(FOREIGN.build(trust=True), spec=FOREIGN)
    network.save(tmp_path)
    assert torch.equal(load_network(tmp_path, trust=True).module.weight, network.module.weight)


def test_weights_of_another_size_are_refused(folder, tiny_network):
    other = copy.deepcopy(tiny_network.module)
    other[6] = nn.Conv2d(8, 5, 1)
    with pytest.raises(UserError, match=r"do not fit the network .*6\.weight"):
        load_network(folder, into=other)


def test_steps_of_another_network_are_refused(folder):
    with pytest.raises(UserError, match=r"the 'prune' step of .* does not fit this network"):
        load_network(folder, into=nn.Sequential(nn.Conv2d(3, 2, 1)))


@pytest.mark.parametrize("name", ["spec.json", "steps.json", "weights.safetensors"])
def test_a_missing_file_is_named(folder, tiny_network, name: str):
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} does not exist"):
        load_network(folder, into=tiny_network.module)


@pytest.mark.parametrize("name", ["spec.json", "steps.json"])
@pytest.mark.parametrize("content", [b'{"spec": ', b"\xff\xfe\x00"], ids=["cut off", "no text"])
def test_broken_json_is_named(folder, tiny_network, name: str, content: bytes):
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is damaged .*save the checkpoint again"):
        load_network(folder, into=tiny_network.module)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("spec.json", "{}"),
        ("spec.json", "[]"),
        ("spec.json", '{"schema": "x", "spec": {}}'),
        ("spec.json", '{"schema": 1, "spec": {}}'),
        ("steps.json", '[{"a": 1}]'),
    ],
)
def test_json_that_is_no_checkpoint_is_named(folder, tiny_network, name: str, content: str):
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=f"{name} is not"):
        load_network(folder, into=tiny_network.module)


def test_weights_cut_off_are_named(folder, tiny_network):
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(UserError, match=r"weights\.safetensors"):
        load_network(folder, into=tiny_network.module)


def test_a_newer_schema_asks_for_an_update(folder, tiny_network):
    stored = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(stored | {"schema": 99}))
    with pytest.raises(UserError, match=r"schema 99.*update tinysight"):
        load_network(folder, into=tiny_network.module)


@pytest.mark.parametrize("change", [{"version": 99}, {"method": "of_tomorrow"}])
def test_a_newer_step_asks_for_an_update(folder, tiny_network, change):
    steps = json.loads((folder / "steps.json").read_text())
    (folder / "steps.json").write_text(json.dumps([steps[0], steps[1] | change]))
    with pytest.raises(UserError, match="update tinysight"):
        load_network(folder, into=tiny_network.module)


def test_input_steps_shape_the_input_in_force(narrowed):
    assert (narrowed.input.shape, narrowed.origin.shape) == ((1, 3, 16, 32), (1, 3, 32, 48))


def test_equal_seeds_give_equal_examples(narrowed):
    assert torch.equal(narrowed.example(batch=2, seed=5), narrowed.example(batch=2, seed=5))


def test_the_precision_is_that_of_the_last_step(narrowed, make_context):
    reduced = Bf16().reduce(narrowed, make_context(narrowed, refuse_execution=lambda _precision: None))
    assert reduced.precision == PrecisionRecord(execute="bf16")
    assert reduced.float_part.precision == PrecisionRecord()


def test_a_copy_shares_nothing(narrowed):
    copied = narrowed.copy()
    with torch.no_grad():
        copied.module[0].weight.zero_()
    assert narrowed.module[0].weight.abs().max() > 0


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"free": [], "cuts": 3},
        {"free": ["0"], "cuts": []},
        {"free": [], "cuts": [{"cuts": [{"kept": [10**30], "axes": [["0.weight", 0]]}], "sizes": {}}]},
    ],
)
def test_a_strange_structure_record_is_named(folder, tiny_network, record):
    steps = json.loads((folder / "steps.json").read_text())
    (folder / "steps.json").write_text(json.dumps([steps[0], steps[1] | {"record": record}]))
    with pytest.raises(UserError, match=r"the 'prune' step of .* does not fit this network"):
        load_network(folder, into=tiny_network.module)


def test_a_strange_input_record_is_named(folder, tiny_network):
    steps = json.loads((folder / "steps.json").read_text())
    (folder / "steps.json").write_text(json.dumps([steps[0] | {"record": {"height": "tall"}}, steps[1]]))
    with pytest.raises(UserError, match=r"steps\.json is damaged"):
        load_network(folder, into=tiny_network.module)


def test_what_is_no_path_is_refused():
    with pytest.raises(UserError, match="got int"):
        load_network(3)  # type: ignore[arg-type]


class Attends(nn.Module):
    """Parameters of an attention, and one that no layer holds."""

    def __init__(self, bare: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 2)
        if bare:
            self.places = nn.Parameter(torch.full((1, 4, 8), 7.0))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.attention(tokens, tokens, tokens)[0])


def test_an_attention_is_drawn_anew(make_network):
    network = make_network(Attends(bare=False))
    nn.init.constant_(network.module.attention.in_proj_weight, 7.0)
    assert network.drawn_anew(1).module.attention.in_proj_weight.abs().max() < 2


def test_what_no_layer_draws_is_named(make_network):
    with pytest.raises(NotApplicable, match=r"no layer draws places anew: .* reset_parameters"):
        make_network(Attends(bare=True)).drawn_anew(1)


def test_what_no_layer_draws_is_built_anew_where_the_zoo_can():
    spec = ModelSpec(builder="classifier", args={"encoder": "vit_b_16", "classes": 2, "image_size": 32})
    network = Network(spec.build().eval(), spec, InputPolicy(height=32, width=32))
    with torch.no_grad():
        network.module.class_token.fill_(7.0)
    assert network.drawn_anew(1).module.class_token.abs().max() < 1


@pytest.mark.parametrize("told", ['{"classes": ["soil", "plant"]}', "{", None])
def test_a_checkpoint_for_the_same_classes_or_unknown_ones_is_taken(kept, tmp_path, told):
    folder = shutil.copytree(kept, tmp_path / "network")
    if told is not None:
        (tmp_path / "classes.json").write_text(told)
    refuse_other_classes("teacher", folder, ("soil", "plant"), "give another")


@pytest.mark.parametrize("file", ["classes.json", "bundle.json"])
def test_a_checkpoint_for_classes_in_another_order_is_refused(kept, tmp_path, file):
    folder = shutil.copytree(kept, tmp_path / "network")
    (tmp_path / file).write_text('{"classes": ["plant", "soil"]}')
    with pytest.raises(UserError, match="trained for the classes plant, soil, and the data has soil, plant: give ano"):
        refuse_other_classes("teacher", folder, ("soil", "plant"), "give another")
