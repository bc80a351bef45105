"""The account of what a method took away: a sentence, and lines for a log."""

from __future__ import annotations

from tinysight.reduction.summary import Summary


def _summary(**changes: object) -> Summary:
    layers = {"stem": (1000, 200), "head": (1000, 300)}
    return Summary.model_validate({"asked": 0.2, "of": "weights", "unit": "weights", "layers": layers} | changes)


def test_the_sentence_says_what_was_asked_and_what_remains():
    sentence = _summary(reached=0.25).sentence
    assert sentence == "20 % of the weights asked, 25.0 % kept: 500 of 2,000 weights in 2 layers"


def test_what_is_not_counted_is_not_claimed():
    assert "kept" not in _summary().sentence


def test_layers_left_alone_are_counted_and_named():
    summary = _summary(left={"neck": "it is slower"})
    assert summary.sentence.endswith("; 1 more left alone")
    assert list(summary.lines())[-1].split() == ["neck", "left", "alone:", "it", "is", "slower"]


def test_every_layer_has_its_line():
    first, second = _summary().lines()
    assert first.split() == ["stem", "200", "of", "1,000", "weights", "(20.0", "%)"]
    assert "30.0 %" in second
