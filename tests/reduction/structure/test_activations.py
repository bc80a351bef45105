"""Activations: what is costly goes, by what it computes; gates and weights stay."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.activations import Activations
from tinysight.reduction.verify import largest_difference, run, trains


def _replace(network: Network, make_context, to: str = "relu") -> Network:
    return Activations(to=to).reduce(network, make_context(network))


def _count(network: Network, *kinds: type[nn.Module]) -> int:
    return sum(isinstance(module, kinds) for module in network.module.modules())


@pytest.mark.parametrize(
    ("builder", "encoder", "kind", "what", "gate"),
    [
        ("pspnet", "tf_efficientnet_b0", nn.SiLU, "silu", nn.Sigmoid),
        ("pspnet", "mobilenetv3_small_050", nn.Hardswish, "hardswish", nn.Hardsigmoid),
        ("unet", "test_efficientnet", nn.SiLU, "silu", nn.Sigmoid),
        ("pspnet", "efficientnet-b0", nn.SiLU, "silu", nn.Sigmoid),  # one module runs in several places
        ("segformer", "mit_b0", nn.GELU, "gelu", nn.Sigmoid),
    ],
)
def test_costly_activations_of_a_library_s_network_go(
    make_library_network, make_context, builder: str, encoder: str, kind: type[nn.Module], what: str, gate
):
    network = make_library_network(builder, encoder)
    reduced = _replace(network, make_context)
    assert set(reduced.steps[-1].record["replaced"].values()) == {what}
    assert _ran(reduced, kind) == 0 < _ran(network, kind)
    assert _ran(reduced, gate) == _ran(network, gate)
    assert trains(reduced.scores, reduced.example(batch=2))


def _ran(network: Network, kind: type[nn.Module]) -> int:
    """Count the runs of modules of a kind."""
    ran: list[nn.Module] = []
    watched = network.copy()
    for module in watched.module.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda module, *_: ran.append(module))
    run(watched.scores, watched.example())
    return len(ran)


def test_what_is_saved_and_exported_gives_the_same_outputs(make_library_network, make_context, assert_deployable):
    assert_deployable(_replace(make_library_network("pspnet", "test_efficientnet"), make_context, "relu6"))


def test_weights_stay_as_they_were(make_library_network, make_context):
    network = make_library_network("pspnet", "test_efficientnet")
    before, after = network.module.state_dict(), _replace(network, make_context).module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


class _Named(nn.Module):
    """An activation of somebody's own."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.sigmoid, self.hard = kind, nn.Sigmoid(), nn.ReLU6()

    def forward(self, values: Tensor) -> Tensor:
        if self.kind == "silu":
            return values * self.sigmoid(values)
        if self.kind == "hardswish":
            return values * self.hard(values + 3) / 6
        if self.kind == "mish":
            return values * F.softplus(values).tanh()
        if self.kind == "quick_gelu":
            return values * self.sigmoid(1.702 * values)
        if self.kind == "hard_mish":
            return values / 2 * (values + 2).clamp(0, 2)
        return values * (values.flatten(1).mean() > 0)


class _Net(nn.Module):
    """Two convolutions with ``activation`` between them, twice, and a squeeze-excite gate."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.activation = nn.Conv2d(3, 8, 3, padding=1), activation
        self.squeeze, self.gate = nn.Conv2d(8, 8, 1), nn.Sigmoid()
        self.again, self.head = activation, nn.Conv2d(8, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.activation(self.first(images))
        features = features * self.gate(self.squeeze(features.mean((2, 3), keepdim=True)))
        return self.head(self.again(features))


class _Silent(nn.Module):
    """The same with the activation as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head, self.spare = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1), nn.SiLU()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.silu(self.first(images)))


@pytest.mark.parametrize(
    ("module", "what"),
    [
        (nn.SiLU(inplace=True), "silu"),
        (nn.GELU(), "gelu"),
        (nn.GELU(approximate="tanh"), "gelu_tanh"),
        (nn.Hardswish(), "hardswish"),
        (nn.Mish(), "mish"),
        (nn.ELU(), "elu"),
        (nn.CELU(), "elu"),
        (nn.SELU(), "selu"),
        *[(_Named(what), what) for what in ("silu", "hardswish", "mish", "quick_gelu", "hard_mish")],
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_activation_is_known_by_what_it_computes(make_network, make_context, module: nn.Module, what: str):
    reduced = _replace(make_network(_Net(module)), make_context)
    assert reduced.steps[-1].record == {"to": "relu", "replaced": {"activation": what, "again": what}}
    by_hand = make_network(_Net(nn.ReLU()))
    assert largest_difference(by_hand.scores, reduced.scores, by_hand.example()) == 0


@pytest.mark.parametrize("name", ["Swish", "SwishMe", "Mish", "MishMe", "HardSwish", "HardSwishMe", "HardMish", "GELU"])
def test_timm_s_own_classes_are_known(make_network, make_context, name: str):
    from timm.layers import activations, activations_me

    kind = getattr(activations, name, None) or getattr(activations_me, name)
    reduced = _replace(make_network(_Net(kind())), make_context)
    assert isinstance(reduced.module.again, nn.ReLU)


def test_the_activation_of_a_fused_norm_is_found(make_network, make_context):
    from timm.layers import BatchNormAct2d

    fused = BatchNormAct2d(4, act_layer=nn.SiLU, inplace=True)
    network = make_network(nn.Sequential(nn.Conv2d(3, 4, 1), fused, nn.Conv2d(4, 2, 1)))
    reduced = _replace(network, make_context)
    assert reduced.steps[-1].record["replaced"] == {"1.act": "silu"}
    assert reduced.module[1].act.inplace


def test_what_was_one_module_stays_one(make_network, make_context):
    reduced = _replace(make_network(_Net(nn.SiLU())), make_context)
    assert reduced.module.again is reduced.module.activation


@pytest.mark.parametrize(
    ("to", "kind", "left"),
    [("relu", nn.ReLU, 0), ("relu6", nn.ReLU6, 0), ("hardswish", nn.Hardswish, 1)],
)
def test_what_they_become_can_be_chosen(make_network, make_context, to: str, kind: type[nn.Module], left: int):
    network = make_network(nn.Sequential(nn.Conv2d(3, 2, 1), nn.SiLU(), nn.Conv2d(2, 2, 1), nn.Hardswish()))
    reduced = _replace(network, make_context, to)
    assert [type(reduced.module[1]), type(reduced.module[3])] == [kind, kind]
    assert len(reduced.steps[-1].record["replaced"]) == 2 - left


def test_dropout_beside_an_activation_stays(make_network, make_context):
    inner = nn.Sequential(nn.SiLU(), nn.Dropout(0.5))
    reduced = _replace(make_network(nn.Sequential(nn.Conv2d(3, 2, 1), inner)), make_context)
    assert reduced.steps[-1].record["replaced"] == {"1.0": "silu"}


@pytest.mark.parametrize("module", [nn.Sigmoid(), nn.Hardsigmoid(), nn.Tanh(), nn.LeakyReLU(), nn.ReLU(), nn.PReLU()])
def test_gates_and_cheap_activations_are_left_alone(make_network, make_context, module: nn.Module):
    with pytest.raises(NotApplicable, match="no module that runs computes a costlier activation than relu"):
        _replace(make_network(_Net(module)), make_context)


def test_a_module_of_another_kind_is_no_activation(make_network, make_context):
    with pytest.raises(NotApplicable):
        _replace(make_network(_Net(_Named("depends on the whole image"))), make_context)


def test_a_function_is_not_seen_and_nothing_is_claimed(make_network, make_context):
    with pytest.raises(NotApplicable, match="calls as functions cannot be seen"):
        _replace(make_network(_Silent()), make_context)


class _Hidden(nn.Module):
    """Runs an activation through a plain list as well as through the module tree."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.hidden, self.open = nn.Conv2d(3, 2, 1), nn.SiLU(), nn.GELU()
        self.order = [self.hidden]

    def forward(self, images: Tensor) -> Tensor:
        return self.open(self.order[0](self.first(images)))


def test_a_module_that_runs_from_outside_the_tree_is_not_claimed(make_network, make_context):
    network = make_network(_Hidden())
    assert _replace(network, make_context).steps[-1].record["replaced"] == {"open": "gelu"}


def test_replay_gives_the_same_network(make_network, make_context):
    network = make_network(_Net(_Named("silu")))
    reduced = _replace(network, make_context)
    replayed = Activations.replay(copy.deepcopy(network.module), reduced.steps[-1].record)
    assert largest_difference(replayed, reduced.module, network.example()) == 0


def test_the_given_network_is_left_as_it_was(make_network, make_context):
    network = make_network(_Net(nn.SiLU()))
    _replace(network, make_context)
    assert isinstance(network.module.activation, nn.SiLU)
    assert not network.module.activation._forward_hooks


def test_a_second_time_there_is_nothing_to_do(make_network, make_context):
    with pytest.raises(NotApplicable):
        _replace(_replace(make_network(_Net(nn.SiLU())), make_context), make_context)


def test_the_label_names_what_they_become():
    assert Activations().label == "activations to relu"
