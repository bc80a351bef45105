"""Bins: branches of a pyramid go, and the convolution behind it reads fewer channels."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinysight.measure.compute import count_macs
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.bins import Bins
from tinysight.reduction.verify import largest_difference, run, trains

SIZES = (1, 2, 3, 6)


def _bins(network: Network, make_context, *keep: int) -> Network:
    return Bins(keep=keep).reduce(network, make_context(network))


def _ignoring(network: Network, reader: str, kept: Sequence[Sequence[int]]) -> Network:
    """The network whose reader multiplies all but the kept input channels by zero."""
    ignoring = network.copy()
    weight = ignoring.module.get_submodule(reader).weight
    mask = torch.zeros(weight.shape[1])
    for start, stop in kept:
        mask[start:stop] = 1
    with torch.no_grad():
        weight.mul_(mask[None, :, None, None])
    return ignoring


@pytest.mark.parametrize(
    ("builder", "encoder", "reader", "kept"),
    [
        ("pspnet", "resnet18", "decoder.conv.0", [[0, 32], [96, 256]]),
        ("pspnet", "tf_efficientnet_b0", "decoder.conv.0", [[0, 10], [30, 80]]),
        ("pspnet", "mobilenetv3_small_050", "decoder.conv.0", [[0, 4], [12, 32]]),
        ("upernet", "test_resnet", "decoder.psp.out_conv.0", [[0, 104], [120, 128]]),
    ],
)
def test_branches_of_a_library_s_pyramid_go(
    make_library_network, make_context, builder: str, encoder: str, reader: str, kept: list[list[int]]
):
    args = {"decoder_channels": 8} if builder == "upernet" else {}
    network = make_library_network(builder, encoder, **args)
    reduced = _bins(network, make_context, 1, 6)
    removed = ["decoder.psp.blocks.1", "decoder.psp.blocks.2"]
    assert reduced.steps[-1].record == {"pyramids": [{"reader": reader, "kept": kept, "removed": removed}]}
    assert len(reduced.module.decoder.psp.blocks) == 2
    ignoring = _ignoring(network, reader, kept).scores.double()
    images = network.example(batch=3, seed=5).double()
    assert largest_difference(ignoring, reduced.copy().scores.double(), images) < 1e-10
    assert _cost(reduced) < _cost(network)
    assert trains(reduced.scores, reduced.example(batch=2))


def _cost(network: Network) -> tuple[int, int]:
    parameters = sum(parameter.numel() for parameter in network.module.parameters())
    return parameters, count_macs(network.scores, network.example())


@pytest.mark.parametrize("keep", [(1,), ()])
@pytest.mark.parametrize("builder", ["pspnet", "upernet"])
def test_what_is_saved_and_exported_gives_the_same_outputs(
    make_library_network, make_context, assert_deployable, builder: str, keep: tuple[int, ...]
):
    args = {"decoder_channels": 8} if builder == "upernet" else {}
    assert_deployable(_bins(make_library_network(builder, "test_resnet", **args), make_context, *keep))


def _branch(size: int, *more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(size), nn.Conv2d(8, 4, 1), *more)


def _like(branch: Tensor, features: Tensor) -> Tensor:
    return F.interpolate(branch, size=features.shape[2:], mode="bilinear", align_corners=False)


class _List(nn.ModuleList):
    """Branches in a list that runs them itself. ``activation`` runs outside the pyramid too."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__(_branch(size, activation) for size in SIZES)

    def forward(self, features: Tensor) -> list[Tensor]:
        return [_like(branch(features), features) for branch in self]


class _Parallel(nn.Module):
    """Pools in one list, their convolutions in another."""

    def __init__(self, _activation: nn.Module) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d((size, size)) for size in SIZES)
        self.convolutions = nn.ModuleList(nn.Conv2d(8, 4, 1) for _ in SIZES)

    def forward(self, features: Tensor) -> list[Tensor]:
        pairs = zip(self.pools, self.convolutions, strict=True)
        return [convolution(_like(pool(features), features)) for pool, convolution in pairs]


class _Shared(_Parallel):
    """One convolution for every pool."""

    def forward(self, features: Tensor) -> list[Tensor]:
        return [_like(self.convolutions[0](pool(features)), features) for pool in self.pools]


class _Dictionary(nn.ModuleDict):
    """Branches by name, run in order."""

    def __init__(self, _activation: nn.Module) -> None:
        super().__init__({f"to {size}": _branch(size) for size in SIZES})

    def forward(self, features: Tensor) -> list[Tensor]:
        return [_like(branch(features), features) for branch in self.children()]


class _TwoNames(nn.Module):
    """Branches that are attributes and stand in a list as well."""

    def __init__(self, _activation: nn.Module) -> None:
        super().__init__()
        self.one, self.two, self.three, self.six = map(_branch, SIZES)
        self.all = nn.ModuleList([self.one, self.two, self.three, self.six])

    def forward(self, features: Tensor) -> list[Tensor]:
        return [_like(branch(features), features) for branch in self.all]


class _Attributes(_TwoNames):
    """Branches that the code names one by one."""

    def forward(self, features: Tensor) -> list[Tensor]:
        return [_like(branch(features), features) for branch in (self.one, self.two, self.three, self.six)]


class _Functions(nn.Module):
    def __init__(self, _activation: nn.Module) -> None:
        super().__init__()

    def forward(self, features: Tensor) -> list[Tensor]:
        return [_like(F.adaptive_avg_pool2d(features[:, :4], size), features) for size in SIZES]


class _Mixed(_List):
    """Each branch adds what the one before it found."""

    def forward(self, features: Tensor) -> list[Tensor]:
        found = super().forward(features)
        return [sum(found[:number], found[number]) for number in range(len(found))]


class _Gates(_List):
    """Branches that also weigh what is read beside them."""

    def forward(self, features: Tensor) -> list[Tensor]:
        found = super().forward(features)
        features.mul_(sum(found).sigmoid().mean())
        return found


class _Counted(_List):
    def forward(self, features: Tensor) -> list[Tensor]:
        assert len(self) == 4
        return super().forward(features)


class _CountedInTraining(_List):
    def forward(self, features: Tensor) -> list[Tensor]:
        assert len(self) == 4 or not self.training
        return super().forward(features)


class _Network(nn.Module):
    """A stem, 8 channels, a pyramid of ``kind``, 4 channels a bin, and a convolution that reads both.

    A classifier pools the same features; ``extra`` says who else reads the pyramid.
    """

    def __init__(self, kind: type[nn.Module] = _List, extra: str = "", groups: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.relu, self.dropout = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.1)
        self.pyramid, self.reader = kind(self.relu), nn.Conv2d(24, 2, 3, padding=1, groups=groups)
        self.second = nn.Conv2d(24, 2, 1)
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
        self.extra = extra

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features = self.relu(self.stem(images))
        parts = [features, *self.pyramid(features)]
        read = self.dropout(torch.cat(parts, dim=1))
        scores = self.reader(read)
        if self.extra == "twice":
            scores = scores + self.reader(read)
        if self.extra == "two readers":
            scores = scores + self.second(read)
        if self.extra == "sum":
            scores = scores + sum(part.mean() for part in parts[1:])
        return scores, self.classifier(features)


@pytest.mark.parametrize(
    ("kind", "removed"),
    [
        (_List, ["pyramid.1", "pyramid.2"]),
        (_Parallel, ["pyramid.pools.1", "pyramid.convolutions.1", "pyramid.pools.2", "pyramid.convolutions.2"]),
        (_Shared, ["pyramid.pools.1", "pyramid.pools.2"]),
        (_Dictionary, ["pyramid.to 2", "pyramid.to 3"]),
        (_TwoNames, ["pyramid.two", "pyramid.all.1", "pyramid.three", "pyramid.all.2"]),
    ],
)
def test_pyramids_are_found_however_they_are_written(make_network, make_context, kind, removed: list[str]):
    network = make_network(_Network(kind), output=0)
    reduced = _bins(network, make_context, 1, 6)
    kept = [[0, 12], [20, 24]]
    assert reduced.steps[-1].record == {"pyramids": [{"reader": "reader", "kept": kept, "removed": removed}]}
    ignoring = _ignoring(network, "reader", kept).scores.double()
    images = network.example(batch=3, seed=5).double()
    assert largest_difference(ignoring, reduced.copy().scores.double(), images) < 1e-12
    assert _cost(reduced) < _cost(network)


@pytest.mark.parametrize("kind", [_List, _Parallel, _TwoNames])
def test_replay_gives_the_same_network(make_network, make_context, kind):
    network = make_network(_Network(kind), output=0)
    reduced = _bins(network, make_context, 3)
    replayed = Bins.replay(copy.deepcopy(network.module), reduced.steps[-1].record)
    assert replayed.state_dict().keys() == reduced.module.state_dict().keys()
    assert torch.equal(replayed(network.example())[0], run(reduced.scores, network.example()))


def test_without_any_bin_the_pyramid_is_gone(make_network, make_context):
    reduced = _bins(make_network(_Network(), output=0), make_context)
    assert len(reduced.module.pyramid) == 0
    assert (reduced.module.reader.in_channels, reduced.module.reader.weight.shape) == (8, (2, 8, 3, 3))


def test_bins_can_go_in_two_steps(make_network, make_context):
    reduced = _bins(_bins(make_network(_Network(), output=0), make_context, 1, 2), make_context, 2)
    assert [step.record["pyramids"][0]["removed"] for step in reduced.steps] == [
        ["pyramid.2", "pyramid.3"],
        ["pyramid.0"],
    ]
    assert reduced.module.pyramid[0][0].output_size == 2


class _TwoPyramids(nn.Module):
    """Two pyramids that pool one tensor for two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, relu = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()
        self.left, self.left_reader = _List(relu), nn.Conv2d(24, 2, 1)
        self.right, self.right_reader = _List(relu), nn.Conv2d(24, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        left = self.left_reader(torch.cat([features, *self.left(features)], dim=1))
        return left + self.right_reader(torch.cat([*self.right(features), features], dim=1))


def test_every_pyramid_is_cut(make_network, make_context):
    network = make_network(_TwoPyramids())
    reduced = _bins(network, make_context, 6)
    assert reduced.steps[-1].record == {
        "pyramids": [
            {"reader": "left_reader", "kept": [[0, 8], [20, 24]], "removed": ["left.0", "left.1", "left.2"]},
            {"reader": "right_reader", "kept": [[12, 24]], "removed": ["right.0", "right.1", "right.2"]},
        ]
    }


def test_weights_stay_trainable_parameters(make_network, make_context):
    network = make_network(_Network(), output=0)
    network.module.reader.weight.requires_grad_(False)
    module = _bins(network, make_context, 1).module
    assert not module.reader.weight.requires_grad
    assert module.pyramid[0][1].weight.requires_grad


def test_the_given_network_is_left_as_it_was(make_network, make_context):
    network = make_network(_Network(), output=0)
    expected = run(network.scores, network.example())
    _bins(network, make_context, 1)
    assert (len(network.module.pyramid), network.module.reader.in_channels) == (4, 24)
    assert torch.equal(run(network.scores, network.example()), expected)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (_Network(_Functions), "there is no pyramid"),
        (_Network(_Gates), "are mixed with each other before reader reads them"),
        (_Network(_Attributes), "does not run without pyramid.two"),
        (_Network(_Mixed), "are mixed with each other before reader reads them"),
        (_Network(_Counted), "does not run without pyramid.1, pyramid.2"),
        (_Network(_CountedInTraining), "cannot be trained without pyramid.1, pyramid.2"),
        (_Network(groups=2), "read by reader, which is not a plain convolution"),
        (_Network(extra="twice"), "reader, which reads what pyramid.0.0 pools, runs several times"),
        (_Network(extra="two readers"), "does not run without pyramid.1, pyramid.2"),
        (_Network(extra="sum"), "pyramid.1, pyramid.2 do more than fill reader: outputs differ by"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_cut_is_refused_with_the_reason(make_network, make_context, module: nn.Module, reason: str):
    with pytest.raises(NotApplicable, match=reason):
        _bins(make_network(module, output=0), make_context, 1, 6)


@pytest.mark.parametrize(("builder", "encoder"), [("deeplabv3", "test_resnet"), ("unet", "test_efficientnet")])
def test_one_pool_among_other_branches_is_no_pyramid(make_library_network, make_context, builder: str, encoder: str):
    with pytest.raises(NotApplicable, match="there is no pyramid"):
        _bins(make_library_network(builder, encoder), make_context, 1)


class _OnlyBins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pyramid, self.reader = nn.Conv2d(3, 8, 1), _List(nn.ReLU()), nn.Conv2d(16, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.reader(torch.cat(self.pyramid(self.stem(images)), dim=1))


def test_something_must_be_left_to_read(make_network, make_context):
    with pytest.raises(NotApplicable, match="reader reads nothing but the pyramid's bins: keep at least one"):
        _bins(make_network(_OnlyBins()), make_context)


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        ((1, 5, 7), "read by reader has the bins 1, 2, 3, 6: there is no 5, 7"),
        (SIZES, "the pyramid has no other bins than 1, 2, 3, 6 already"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(make_network, make_context, keep: tuple[int, ...], reason: str):
    with pytest.raises(NotApplicable, match=reason):
        _bins(make_network(_Network(), output=0), make_context, *keep)


@pytest.mark.parametrize(("keep", "label"), [((1, 6), "bins 1, 6"), ((), "no bins")])
def test_the_label_names_the_bins(keep: tuple[int, ...], label: str):
    assert Bins(keep=keep).label == label
