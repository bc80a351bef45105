"""Forms: at full rank nothing is lost, at smaller ranks the layers in a row equal their product."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from tinysight.reduction.factorization.forms import FORMS, Form

LAYERS = {
    "linear": nn.Linear(20, 12),
    "matrix": nn.Conv2d(12, 20, 1, stride=2, padding=1),
    "strided": nn.Conv2d(6, 10, 3, stride=2, padding=1, dilation=2),
    "oblong": nn.Conv2d(6, 5, (3, 5), padding="same", bias=False),
    "dilated": nn.Conv2d(4, 7, 3, padding=(2, 0), dilation=(2, 1)),
}
FITTING = [(name, layer) for name, layer in itertools.product(FORMS, LAYERS) if not FORMS[name].unfit(LAYERS[layer])]
NESTED = [pair for pair in FITTING if pair[0] != "cp"]
"""All but the canonical form: of a tensor of random weights neither the rank nor a good form is known."""


@pytest.fixture(params=FITTING, ids="-".join)
def form(request: pytest.FixtureRequest) -> Form:
    name, layer = request.param
    torch.manual_seed(0)
    fresh = copy.deepcopy(LAYERS[layer]).double()
    fresh.reset_parameters()
    return FORMS[name](fresh)


def images_for(form: Form) -> Tensor:
    inputs = form.weight.shape[1]
    return torch.randn(2, inputs, 11, 13).double() if isinstance(form.layer, nn.Conv2d) else torch.randn(3, 20).double()


def some_ranks(form: Form) -> tuple[int, ...]:
    return tuple(max(1, rank // 2) for rank in form.full())


def test_every_kind_of_layer_has_a_form():
    assert {layer for _, layer in FITTING} == set(LAYERS)


@pytest.mark.parametrize("form", NESTED, indirect=True, ids="-".join)
def test_at_full_rank_nothing_is_lost(form: Form):
    images = images_for(form)
    assert torch.allclose(form.factors(form.full())(images), form.layer(images), atol=1e-12)


def test_the_layers_in_a_row_equal_their_product(form: Form):
    images = images_for(form)
    factors = form.factors(some_ranks(form))
    one = copy.deepcopy(form.layer)
    with torch.no_grad():
        one.weight.copy_(form.product([part.weight for part in factors]))
        assert torch.allclose(factors(images), one(images), atol=1e-12)


def test_more_ranks_lose_less(form: Form):
    def lost(ranks: tuple[int, ...]) -> float:
        return float((form.product(form.weights(ranks)) - form.weight).norm())

    assert lost((1,) * len(form.full())) > lost(some_ranks(form)) > lost(form.full()) - 1e-12


@pytest.mark.parametrize("energy", [0.5, 0.9])
@pytest.mark.parametrize("form", NESTED, indirect=True, ids="-".join)
def test_the_ranks_keep_the_energy_asked_for(form: Form, energy: float):
    kept = form.product(form.weights(form.ranks_of_energy(energy)))
    assert 1 - float((kept - form.weight).square().sum() / form.weight.square().sum()) >= energy - 1e-9


def test_a_tensor_of_few_components_is_found_by_cp():
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 8, 3).double()
    parts = [torch.randn(size, 2).double() for size in layer.weight.shape]
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("or,ir,yr,xr->oiyx", *parts))
    form = FORMS["cp"](layer)
    assert form.ranks_of_energy(0.999) == (2,)
    assert torch.allclose(form.product(form.weights((2,))), form.weight, atol=1e-5)


def test_truncation_is_the_best_there_is():
    """Eckart & Young: no matrix of that rank is nearer."""
    torch.manual_seed(0)
    form = FORMS["svd"](nn.Linear(9, 7))
    lost = (form.product(form.weights((3,))) - form.weight).norm()
    assert float(lost) == pytest.approx(float(form.spectra[0][3:].norm()))


def test_frozen_layers_stay_frozen():
    layer = nn.Conv2d(4, 4, 3).requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in FORMS["tucker"](layer).factors((2, 2)).parameters())


@pytest.mark.parametrize("name", FORMS)
def test_weights_of_zero_have_factors(name: str):
    layer = nn.Conv2d(4, 4, 1 if name == "svd" else 3)
    nn.init.zeros_(layer.weight)
    form = FORMS[name](layer)
    factors = form.factors((1,) * len(form.full()))
    assert all(bool(parameter.isfinite().all()) for parameter in factors.parameters())


@pytest.mark.parametrize(
    ("name", "layer", "reason"),
    [
        ("svd", nn.Conv2d(4, 4, 3), "no matrix"),
        ("tucker", nn.Conv2d(4, 4, 3, groups=2), "no plain convolution"),
        ("cp", nn.Linear(4, 4), "no plain convolution"),
        ("separable", nn.Conv2d(4, 4, 1), "one pixel"),
        ("spatial_svd", nn.Conv2d(4, 4, (1, 3)), "one pixel high or wide"),
    ],
)
def test_what_does_not_fit_says_why(name: str, layer: nn.Conv2d | nn.Linear, reason: str):
    assert reason in FORMS[name].unfit(layer)
