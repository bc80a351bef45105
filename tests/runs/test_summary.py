"""What ``result.json`` says is read when it is whole, and none when it is damaged."""

import json

import pytest

from tinysight.runs.summary import read_summary

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


def test_a_whole_summary_is_read(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(WHOLE))
    assert read_summary(tmp_path) == WHOLE


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
    assert read_summary(tmp_path) is None
