"""Measuring one artifact, all at once."""

import json

import pytest

from tinysight.engines import ENGINES
from tinysight.engines.bundle import Bundle
from tinysight.errors import UserError
from tinysight.measure.candidate import PHOTO_ROUNDS, PHOTO_RUNS, ROUNDS, RUNS, Bench
from tinysight.measure.quality import PerImage, quality_of
from tinysight.progress import Progress


@pytest.fixture(scope="module")
def bench(tiny_data) -> Bench:
    return Bench("openvino", 2, tiny_data, Progress(quiet=True))


@pytest.fixture(scope="module")
def per_image(tmp_path_factory):
    return tmp_path_factory.mktemp("measured") / "new" / "per_image.npz"


@pytest.fixture(scope="module")
def measured(bench, tiny_artifact, per_image):
    """Measured against a network that takes a second a call."""

    def slow(runs: int, _warm_up: int) -> list[float]:
        return [1000.0] * runs

    return bench.measure(tiny_artifact, "val", per_image, {"slow": slow}, {"slow": slow, "slower": slow})


def test_bytes_are_those_of_the_engine(measured, tiny_artifact):
    assert measured.bytes.total == sum(path.stat().st_size for path in ENGINES["openvino"].files(tiny_artifact))


def test_quality_comes_from_the_statistics_it_kept(measured, per_image, tiny_task):
    assert measured.quality == quality_of(tiny_task, PerImage.load(per_image), "val")


def test_latency_states_its_conditions(measured):
    latency = measured.latency_ms
    assert (latency.engine, latency.threads, latency.batch, latency.shape) == ("openvino", 2, 1, (1, 3, 32, 48))
    assert latency.engine_version == ENGINES["openvino"].version()
    assert latency.cpu


def test_latency_is_over_all_rounds(measured):
    assert measured.latency_ms.runs == ROUNDS * RUNS


def test_the_90th_percentile_is_not_below_the_median(measured):
    assert measured.latency_ms.p90 >= measured.latency_ms.p50 > 0


def test_speedup_is_against_what_it_was_timed_with(measured):
    assert measured.speedups.keys() == {"slow"}
    assert measured.speedups["slow"].ratio > 1


def test_a_photos_whole_way_is_held_against_whole_ways(measured):
    assert measured.e2e_speedups.keys() == {"slow", "slower"}
    assert 1 < measured.e2e_speedups["slow"].ratio < measured.speedups["slow"].ratio
    assert measured.e2e_ms.runs == PHOTO_ROUNDS * PHOTO_RUNS


def test_precision_is_what_file_and_engine_say(measured):
    assert (measured.precision.stored, measured.precision.sentence) == ("float32", "f32")
    assert measured.precision.layers > 0


def test_memory_is_that_of_the_measuring_process(measured):
    assert 20 < measured.peak_rss_mb < 2000


def test_an_output_of_another_task_is_refused(bench, tiny_artifact, tmp_path):
    described = json.loads((tiny_artifact / "bundle.json").read_text())
    for file in ENGINES["openvino"].files(tiny_artifact):
        (tmp_path / file.name).symlink_to(file)
    Bundle.model_validate(described | {"classes": ["a", "b", "c"]}).save(tmp_path)
    with pytest.raises(UserError, match=r"shape \(1, 2, 32, 48\).*check the number of classes"):
        bench.measure(tmp_path, "val", tmp_path / "per_image.npz", {}, {})
