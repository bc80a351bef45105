"""bf16: an instruction to the engine, only where the engine obeys it."""

from __future__ import annotations

import pytest

from tinysight.reduction.precision.bf16 import Bf16
from tinysight.reduction.precision.record import PrecisionRecord
from tinysight.reduction.step import NotApplicable


def test_it_changes_execution_alone(tiny_network, make_context):
    context = make_context(tiny_network, refuse_execution=lambda _precision: None)
    assert Bf16().reduce(tiny_network, context).precision == PrecisionRecord(execute="bf16")


def test_the_file_stays_float32(tiny_network, make_context):
    context = make_context(tiny_network, refuse_execution=lambda _precision: None)
    assert Bf16().reduce(tiny_network, context).precision.stored == "float32"


def test_where_the_engine_refuses_its_reason_is_given(tiny_network, make_context):
    context = make_context(tiny_network, refuse_execution=lambda precision: f"no {precision} here")
    with pytest.raises(NotApplicable, match=r"^no bf16 here$"):
        Bf16().reduce(tiny_network, context)
