"""Weights from files of others: what is read, what is refused, and that nothing but tensors is unpickled."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tinysight.errors import UserError
from tinysight.models.enet import from_pytorch_enet
from tinysight.models.fcn import FCN, from_vgg
from tinysight.models.weights import load_weights, read_weights
from tinysight.models.zoo import adapt_of


def network(seed: int = 0, classes: int = 2) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, classes, 1))


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.mark.parametrize("layout", ["safetensors", "plain", "container", "parallel"])
def test_every_usual_layout_is_read(tmp_path: Path, layout: str):
    state = network().state_dict()
    path = tmp_path / ("a.safetensors" if layout == "safetensors" else "a.pth")
    if layout == "safetensors":
        save_file(state, path)
    elif layout == "plain":
        torch.save(state, path)
    elif layout == "container":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)
    loaded = network(seed=1)
    assert load_weights(loaded, path, None, partly=False) == []
    assert equal(loaded, network())


class Trap:
    """What it is pickled as runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> object:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_file_never_runs(tmp_path: Path, how: str):
    content = {"state_dict": network().state_dict(), "trap": Trap(tmp_path / "mark")}
    if how == "torch":
        torch.save(content, tmp_path / "a.pth")
    else:
        (tmp_path / "a.pth").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=r"a\.pth"):
        read_weights(tmp_path / "a.pth")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("content", [b"", b"no weights"])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_is_no_weights_is_named(tmp_path: Path, content: bytes, name: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        read_weights(tmp_path / name)


def test_a_page_saved_instead_of_weights_is_not_called_unsafe(tmp_path: Path):
    (tmp_path / "a.pth").write_text("<html>404</html>")
    with pytest.raises(UserError, match=r"a\.pth is no file of weights: give what"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("kind", [torch.int8, torch.complex64])
def test_numbers_of_another_kind_are_no_weights(tmp_path: Path, kind: torch.dtype):
    torch.save({name: tensor.to(kind) for name, tensor in network().state_dict().items()}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="not there in the same shape and kind"):
        load_weights(network(), tmp_path / "a.pth", None, partly=True)


@pytest.mark.parametrize("made", [torch.Tensor.to_sparse, lambda tensor: tensor.to("meta")])
def test_tensors_without_plain_values_are_refused(tmp_path: Path, made: Callable[[torch.Tensor], torch.Tensor]):
    torch.save({name: made(tensor) for name, tensor in network().state_dict().items()}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="not there in the same shape and kind"):
        load_weights(network(), tmp_path / "a.pth", None, partly=False)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"a\.pth do not exist"):
        read_weights(tmp_path / "a.pth")


def test_tensors_without_names_are_refused(tmp_path: Path):
    torch.save([torch.zeros(3)], tmp_path / "a.pth")
    with pytest.raises(UserError, match="holds no tensors by name"):
        read_weights(tmp_path / "a.pth")


def test_another_head_is_refused_unless_it_is_trained_next(tmp_path: Path):
    torch.save(network().state_dict(), tmp_path / "a.pth")
    other = network(seed=1, classes=5)
    with pytest.raises(UserError, match=r"2 of its 9 tensors .* the first is '3.weight'"):
        load_weights(other, tmp_path / "a.pth", None, partly=False)
    assert load_weights(other, tmp_path / "a.pth", None, partly=True) == ["3.weight", "3.bias"]
    assert torch.equal(other[0].weight, network()[0].weight)


def test_weights_of_another_network_are_refused_in_any_case(tmp_path: Path):
    torch.save(nn.Linear(3, 4).state_dict(), tmp_path / "a.pth")
    with pytest.raises(UserError, match="do not fit the network"):
        load_weights(network(), tmp_path / "a.pth", None, partly=True)


def test_counters_of_batch_norm_may_be_missing(tmp_path: Path):
    state = {name: tensor for name, tensor in network().state_dict().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "a.pth")
    assert load_weights(network(seed=1), tmp_path / "a.pth", None, partly=False) == []


def test_rows_know_other_implementations():
    assert adapt_of("enet") is from_pytorch_enet
    assert adapt_of("fcn") is from_vgg
    assert adapt_of("pspnet") is adapt_of("somebody:Net") is None


def test_a_vggs_weights_make_an_fcn(tmp_path: Path):
    from torchvision.models import vgg11

    vgg = vgg11()
    torch.save(vgg.state_dict(), tmp_path / "vgg.pth")
    fcn = FCN(classes=3, encoder="vgg11", hidden=16)
    lacking = load_weights(fcn, tmp_path / "vgg.pth", from_vgg, partly=True)
    assert torch.equal(fcn.features[0].weight, vgg.features[0].weight)
    assert {name.split(".")[0] for name in lacking} == {"head", "skips", "upsamplings", "last"}
