"""The precision record: exact in JSON, and closed to contradictions."""

import numpy as np
import pytest
from pydantic import ValidationError

from tinysight.reduction.precision.record import PrecisionRecord, TensorPrecision
from tinysight.reduction.precision.writer import quantized_values


def _record() -> PrecisionRecord:
    rng = np.random.default_rng(0)
    scales = tuple(10.0 ** rng.uniform(-30, 4, 500))
    return PrecisionRecord(
        tensors={
            "weight": TensorPrecision(dtype="int8", scale=scales, axis=0),
            "x": TensorPrecision(dtype="uint8", scale=(0.1,), zero_point=(7,), consumers=("y",)),
            "head": TensorPrecision(dtype="float16"),
        },
        branches={"x": (TensorPrecision(dtype="int8", scale=(1 / 3,), consumers=("z",)),)},
        biases={"bias": tuple(rng.normal(size=500))},
    )


def test_json_keeps_every_float32_to_the_last_bit():
    record = _record()
    again = PrecisionRecord.model_validate_json(record.model_dump_json())
    assert again == record
    assert PrecisionRecord.model_validate(record.model_dump(mode="json")) == record
    scale = np.asarray(again.tensors["weight"].scale)
    assert np.array_equal(scale, scale.astype(np.float32))


def test_values_are_rounded_to_float32_and_written_short():
    precision = TensorPrecision(dtype="int8", scale=(0.1,))
    assert precision.scale == (float(np.float32(0.1)),)
    assert '"scale":[0.1]' in precision.model_dump_json()


def test_stored_is_the_lowest_precision_in_the_file():
    half = PrecisionRecord(tensors={"w": TensorPrecision(dtype="float16")})
    assert [PrecisionRecord(execute="bf16").stored, half.stored, _record().stored] == ["float32", "float16", "int8"]


def test_of_lists_a_tensor_and_its_branches():
    record = _record()
    assert [precision.dtype for precision in record.of("x")] == ["uint8", "int8"]
    assert record.of("elsewhere") == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": "int8"}, "needs a scale"),
        ({"dtype": "int8", "scale": (0.0,)}, "above 0"),
        ({"dtype": "int8", "scale": (1e-60,)}, "above 0 in float32"),
        ({"dtype": "int8", "scale": (float("nan"),)}, "finite"),
        ({"dtype": "int8", "scale": (1e300,)}, "finite"),
        ({"dtype": "int8", "scale": (1.0, 2.0)}, "need an axis"),
        ({"dtype": "uint8", "scale": (1.0,), "zero_point": (-1,)}, "between 0 and 255"),
        ({"dtype": "int8", "scale": (1.0,), "zero_point": (0, 0)}, "one for each scale"),
        ({"dtype": "float16", "scale": (1.0,)}, "plain cast"),
        ({"dtype": "int8", "scale": (1.0,), "consumers": ()}, "at least 1"),
        ({"dtype": "int4", "scale": (1.0,)}, "int8"),
    ],
)
def test_contradictions_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        TensorPrecision(**fields)


def test_branches_need_their_own_consumers():
    alone, all_of_them = (TensorPrecision(dtype="int8", scale=(1.0,), consumers=one) for one in (("y",), None))
    with pytest.raises(ValidationError, match="not in tensors"):
        PrecisionRecord(branches={"x": (alone,)})
    for branch in (alone, all_of_them):
        with pytest.raises(ValidationError, match="its own consumers"):
            PrecisionRecord(tensors={"x": alone}, branches={"x": (branch,)})


def test_levels_beyond_the_largest_are_cut_off_on_both_sides():
    kept = TensorPrecision(dtype="int8", scale=(0.5,), largest=64)
    assert quantized_values(np.float32([-99, -32, 0.5, 32, 99]), kept).tolist() == [-64, -64, 1, 64, 64]
    assert TensorPrecision(dtype="int8", scale=(0.5,)).levels == (-128, 127)


def test_only_weights_have_a_largest_level():
    with pytest.raises(ValidationError, match="uint8 takes all its levels: leave largest out"):
        TensorPrecision(dtype="uint8", scale=(0.5,), largest=64)
