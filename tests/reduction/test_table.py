"""The table of methods: what a sequence of them leaves."""

from __future__ import annotations

import pytest

from tinysight.reduction.table import METHODS, is_untrained


@pytest.mark.parametrize(
    ("methods", "untrained"),
    [
        ([], False),
        (["trim"], False),
        (["encoder"], True),
        (["encoder", "trim"], True),
        (["encoder", "recalibrate"], True),
        (["encoder", "distil"], False),
        (["encoder", "distil", "trim"], False),
        (["distil", "encoder"], True),
    ],
)
def test_a_network_is_untrained_until_it_is_taught(methods, untrained):
    assert is_untrained(methods) == untrained


def test_methods_stand_under_their_names():
    assert all(name == method.name for name, method in METHODS.items())
