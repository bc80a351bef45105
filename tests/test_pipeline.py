"""What an earlier call left for the main flow: used when whole, made again when damaged."""

import json

import pytest

from tinysight.pipeline import _kept_choice

RATIO = {"vs": "reference", "ratio": 2.0, "low": 1.9, "high": 2.1}
TIMES = {
    "speedup": RATIO,
    "speedup_eager": RATIO,
    "speedup_e2e": RATIO,
    "e2e_ms": {"p50": 3.0, "p90": 4.0, "runs": 36},
    "latency_ms": {"p50": 1.0, "p90": 2.0, "runs": 63},
    "eager_p50": 9.0,
}
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
