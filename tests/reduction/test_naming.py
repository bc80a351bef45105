"""Layers by name: what is unknown, and what leaves nothing to do."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from torch import nn

from tinysight.errors import UserError
from tinysight.reduction.naming import refuse_unknown_layers
from tinysight.reduction.table import METHODS

NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3))


@pytest.mark.parametrize("name", ["prune", "factorize", "sparsify", "lottery"])
@pytest.mark.parametrize("unknown", ["encoder", ""])
def test_unknown_layers_are_named(name: str, unknown: str):
    with pytest.raises(UserError, match=f"{name}: there is no layer '{unknown}'"):
        refuse_unknown_layers(METHODS[name](protect=(unknown,)), NETWORK)


def test_a_layer_under_two_names_has_both():
    network = nn.Sequential(NETWORK[0], NETWORK[0])
    refuse_unknown_layers(METHODS["prune"](layers=("0",), protect=("1",)), network)


@pytest.mark.parametrize("name", ["prune", "factorize", "sparsify", "lottery"])
def test_what_protects_all_that_is_asked_for_is_refused(name: str):
    with pytest.raises(ValidationError, match="nothing is left to change"):
        METHODS[name](layers=("encoder.layer1",), protect=("encoder",))
