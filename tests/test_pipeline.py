"""What an earlier call left for the main flow: used when whole, made again when damaged."""

import json

import pytest

from tinysight.pipeline import _kept_choice, _kept_summary

RATIO = {"vs": "reference", "ratio": 2.0, "low": 1.9, "high": 2.1}
TIMES = {
    "speedup": RATIO,
    "speedup_eager": RATIO,
    "latency_ms": {"p50": 1.0, "p90": 2.0, "runs": 63},
    "eager_p50": 9.0,
}
QUALITY = {"metric": "mIoU", "split": "test", "value": 0.8, "low": 0.7, "high": 0.9}
WHOLE = {
    "schema": 1, "best": "b", "reference": "r", "goal": {"max_drop": 0.5}, "broken_limits": [], "cautions": ["careful"],
    "metric_definition": "…", "mac_counter": "…", "data": {"train": 9, "digest": "abc"},
    "test": {
        "images": 9, "reference": QUALITY, "best": QUALITY, "verdict": "acceptable", "why": "P = 1",
        "drop": {"points": 0.1, "low": -0.1, "high": 0.2, "p_within": 1.0},
    },
    "floor": {"split": "val", "unit": "image", "units": 9, "certifiable_drop": 0.4},
    "baseline": {"checkpoint_bytes": 9, "live_weight_bytes": 8, "eager_latency_ms": 7.0},
    "environment": {"cpu": "a cpu", "versions": {"torch": "2"}, "python": "3"},
}  # fmt: skip
DAMAGED = [b"", b'{"a": ', b"\xff\xfe\x00", b"[]", b"{}", b"null"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [(TIMES, True), ({**TIMES, "latency_ms": {}}, False), ({**TIMES, "eager_p50": 0.0}, False), ({}, False)],
)
def test_a_choice_is_kept_when_every_number_is_there(tmp_path, make_record, content, kept):
    (tmp_path / "choice.json").write_text(json.dumps({"a": content}))
    assert (_kept_choice(tmp_path / "choice.json", [make_record("a")]) is not None) == kept


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_choice_is_none(tmp_path, make_record, content):
    (tmp_path / "choice.json").write_bytes(content)
    assert _kept_choice(tmp_path / "choice.json", [make_record("a")]) is None


def test_a_whole_summary_is_kept(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(WHOLE))
    assert _kept_summary(tmp_path / "result.json") == WHOLE


@pytest.mark.parametrize(
    "content",
    [
        *DAMAGED,
        *(
            json.dumps(WHOLE | {name: 7}).encode()
            for name in ("test", "cautions", "floor", "environment", "data", "best")
        ),
    ],
)
def test_a_damaged_summary_is_none(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    assert _kept_summary(tmp_path / "result.json") is None
