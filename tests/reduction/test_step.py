"""The contract every method shares: labels, orders, steps."""

from __future__ import annotations

from itertools import product

import pytest
from pydantic import ValidationError

from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.input.resize import Resize
from tinysight.reduction.precision.fp16 import Fp16
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.step import Step
from tinysight.reduction.structure.factorize import Factorize
from tinysight.reduction.structure.trim import Trim
from tinysight.reduction.table import METHODS
from tinysight.reduction.weights.finetune import Finetune


def test_a_label_names_only_what_was_changed():
    assert Int8(images=64).label == "int8 (images 64)"


def test_a_label_of_defaults_is_the_name():
    assert Int8().label == "int8"


def test_a_label_names_main_settings_and_writes_lists_for_people():
    method = Factorize(forms=("svd", "tucker"))
    assert method.label == "factorize (keep 0.9, of energy, forms svd + tucker)"


def test_checkpoints_are_told_apart_by_the_folders_they_lie_in():
    assert Distil(teachers=("runs/a/network", "runs/b")).label == "distil (teachers a + b)"


def test_a_resize_is_labelled_by_its_size():
    assert Resize(height=96, width=128).label == "96x128"


def test_a_step_names_its_method_and_version():
    assert Trim().step({"dead": ["aux"]}) == Step(kind="structure", method="trim", version=1, record={"dead": ["aux"]})


def test_a_step_of_an_unknown_kind_is_refused():
    with pytest.raises(ValidationError, match="kind"):
        Step(kind="colour", method="trim", version=1, record={})


@pytest.mark.parametrize("method", [Trim, Finetune])
def test_nothing_follows_a_precision_step(method):
    assert method.refuse_after(["structure", "precision"]) == (
        f"{method.name} changes {method.changes} and cannot follow a precision step: put it before"
    )


def test_two_precisions_are_variants_of_one_stage():
    assert Fp16.refuse_after(["precision"]) == (
        "fp16 cannot follow another precision step: make both variants of one stage"
    )


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_every_method_may_come_first(method):
    assert method.refuse_after([]) is None


@pytest.mark.parametrize(("first", "second"), list(product(METHODS.values(), repeat=2)))
def test_declarations_are_symmetric(first, second):
    assert (second.changes in first.precedes) == (first.changes in second.follows)


def test_names_in_the_table_are_those_of_the_methods():
    assert all(name == method.name for name, method in METHODS.items())


def test_lossless_methods_do_not_claim_to_recover():
    assert not any(method.lossless and method.recovers for method in METHODS.values())


def test_checking_a_method_imports_no_torch(in_fresh_python):
    script = "import sys; from tinysight.reduction.table import METHODS; METHODS['int8'](images=9)"
    assert in_fresh_python(script + "; print('torch' in sys.modules)").strip() == "False"


def test_a_lossless_method_damages_nothing():
    assert not any(method.lossless and method.damages for method in METHODS.values())
