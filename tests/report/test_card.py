"""The model card."""

import pytest

from tinysight.data import InputPolicy
from tinysight.engines.bundle import Bundle
from tinysight.measure.records import PrecisionRead
from tinysight.report.card import model_card

AGREEMENT = {
    "photos": 16,
    "metric": {"openvino": {"mIoU": 0.8}, "torch": {"mIoU": 0.81}},
    "max_difference": {"openvino - torch": 1.5e-6},
    "score_range": 9.5,
    "torch": "float32 weights",
    "layers": {"openvino": [4, 4], "onnxruntime": [1, 4]},
}


@pytest.fixture
def bundle():
    return Bundle(
        task="segmentation",
        classes=("background", "sign"),
        ignore_index=255,
        input=InputPolicy(height=32, width=48),
        stored="int8",
        lineage={
            "spec": {"builder": "pspnet", "args": {"encoder": "resnet18"}},
            "steps": [{"method": "trim"}, {"method": "int8"}],
        },
        agreement=AGREEMENT,
        versions={"openvino": "2026.4"},
        licences={"timm": "Apache-2.0"},
    )


def test_it_says_what_the_bundle_is(bundle, make_record):
    card = model_card(bundle, make_record("abc", verdict="best"))
    assert card.startswith("# segmentation of background, sign\n")
    for words in ("`abc`", "**best**", "trim → int8", "pspnet", "32×48", "stored as int8"):
        assert words in card


def test_it_says_what_runs_in_integers(bundle, make_record):
    read = PrecisionRead(stored="int8", executed="int8", integer_share=0.75, integer_layers=3, layers=4)
    card = model_card(bundle, make_record("a", precision=read))
    assert "the engine runs int8, 3 of 4 convolutions and matrix products in integers, and what is left in f32." in card


def test_it_says_what_the_method_remarked(bundle, make_record):
    record = make_record("a", steps=({"kind": "precision", "method": "int8"},), remark="back in float: head")
    assert "in f32. Said by int8: back in float: head.\n" in model_card(bundle, record)
    assert "Said by" not in model_card(bundle, make_record("a"))


def test_it_says_how_to_run_it(bundle, make_record):
    assert "tinysight predict . photo.jpg" in model_card(bundle, make_record("a"))


def test_every_number_has_its_conditions(bundle, make_record):
    card = model_card(bundle, make_record("a", size=20_000))
    assert "| mIoU | 80.00 | val split, 95 % interval 75.00–85.00 |" in card
    assert "| file | 20 kB | model.onnx 20 kB; openvino loads these |" in card
    assert "median of 35 runs, timed apart from end to end, openvino 1.0, 2 threads, batch 1, a cpu" in card


def test_it_shows_what_every_engine_makes_of_the_file(bundle, make_record):
    card = model_card(bundle, make_record("a"))
    assert "| openvino | mIoU 80.00 | 4 of 4 |" in card
    assert "| torch | mIoU 81.00 | – |" in card


def test_rounding_is_no_difference_of_engines(bundle, make_record):
    assert "by rounding, against float32: openvino - torch: 1.5e-06." in model_card(bundle, make_record("a"))
    exact = model_card(bundle.model_copy(update={"stored": "float32"}), make_record("a"))
    assert "between engines: openvino - torch: 1.5e-06." in exact


def test_an_engine_that_the_file_is_not_rounded_for_is_named(bundle, make_record):
    said = "rounded for openvino: onnxruntime computes 1 of 4 layers in integers"
    assert said in model_card(bundle, make_record("a"))
    both = AGREEMENT | {"layers": {"openvino": [4, 4], "onnxruntime": [3, 4]}}
    assert said[:20] not in model_card(bundle.model_copy(update={"agreement": both}), make_record("a"))


def test_a_method_that_takes_two_steps_is_named_once(bundle, make_record):
    lineage = bundle.lineage | {"steps": [{"method": "trim"}, {"method": "qat"}, {"method": "qat"}]}
    assert "Reductions: trim → qat." in model_card(bundle.model_copy(update={"lineage": lineage}), make_record("a"))


def test_it_names_versions_and_licences(bundle, make_record):
    card = model_card(bundle, make_record("a"))
    assert "openvino 2026.4" in card
    assert "timm: Apache-2.0" in card


def test_without_a_proof_it_claims_none(bundle, make_record):
    card = model_card(bundle.model_copy(update={"agreement": None}), make_record("a"))
    assert "on every engine" not in card


def test_data_normalised_by_the_caller_is_described_so(bundle, make_record):
    policy = InputPolicy(height=32, width=48, normalised_by="caller")
    assert "normalised by your own code" in model_card(bundle.model_copy(update={"input": policy}), make_record("a"))


def test_a_reference_says_so(bundle, make_record):
    plain = bundle.model_copy(update={"lineage": {"spec": {}, "steps": []}})
    assert "none: this is the reference" in model_card(plain, make_record("a", verdict="reference"))
