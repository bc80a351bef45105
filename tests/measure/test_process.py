"""The measuring process, as its owner sees it."""

import os
import shutil
import signal
import subprocess

import pytest

from tinysight.errors import UserError
from tinysight.measure.process import MeasuringProcess


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen]:
    """Every process that was started."""
    processes: list[subprocess.Popen] = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return processes


@pytest.fixture
def job(tiny_artifact) -> dict:
    return {"artifact": str(tiny_artifact), "engine": "onnxruntime", "threads": 1}


@pytest.fixture(scope="module")
def running(tiny_artifact):
    with MeasuringProcess({"artifact": str(tiny_artifact), "engine": "openvino", "threads": 2}) as process:
        yield process


def test_it_answers(running):
    assert running.ask("describe")["executed"] == "f32"


def test_it_imports_no_torch(running):
    assert running.ask("describe")["torch"] is False


def test_it_says_whether_the_output_fits(running):
    assert running.ask("describe")["refused"] is None


def test_it_knows_its_engine(running):
    from tinysight.engines import ENGINES

    assert running.ask("describe")["engine_version"] == ENGINES["openvino"].version()


def test_its_memory_is_its_own(running):
    assert 20 < running.ask("describe")["peak_rss_mb"] < 2000


def test_it_times_as_often_as_asked(running):
    times = running.time(6, 2)
    assert len(times) == 6
    assert min(times) > 0


def test_it_counts_samples(running, tiny_data):
    assert running.ask("count", data=str(tiny_data), split="test") == {"images": 4}


def test_it_ticks_once_an_image(running, tiny_data, tmp_path):
    ticks = []
    running.ask("quality", tick=ticks.append, data=str(tiny_data), split="val", result=str(tmp_path / "result.npz"))
    assert ticks == [1] * 6


def test_it_writes_the_statistics_it_was_asked_for(running, tiny_data, tmp_path):
    from tinysight.measure.quality import PerImage

    running.ask("quality", data=str(tiny_data), split="test", result=str(tmp_path / "result.npz"))
    assert PerImage.load(tmp_path / "result.npz").statistics[..., :2].sum() == 4 * 64 * 64


def test_it_times_the_whole_way_of_a_photo(running, tiny_data):
    assert len(running.ask("end_to_end", data=str(tiny_data), split="val", runs=3, warm_up=1)["ms"]) == 3


def test_a_mistake_does_not_end_it(running, tiny_data):
    with pytest.raises(UserError, match="unknown split 'vla': did you mean 'val'"):
        running.ask("count", data=str(tiny_data), split="vla")
    assert running.ask("describe")["refused"] is None


def test_it_ends_with_its_context(started, job):
    with MeasuringProcess(job):
        assert started[0].poll() is None
    assert started[0].poll() is not None


def test_it_ends_when_loading_fails(started, job, tmp_path):
    with pytest.raises(UserError, match="is not a bundle"):
        MeasuringProcess(job | {"artifact": str(tmp_path)})
    assert started[0].poll() is not None


def test_a_crash_is_reported_in_one_sentence(job):
    with MeasuringProcess(job) as process, pytest.raises(UserError) as caught:
        process.ask("latency", runs="many", warm_up=0)
    sentence = str(caught.value)
    assert sentence.startswith(f"the process that measures {job['artifact']} ended with code 1: TypeError")
    assert "\n" not in sentence


def test_being_killed_is_explained(started, job):
    with MeasuringProcess(job) as process:
        os.kill(started[0].pid, signal.SIGKILL)
        with pytest.raises(UserError, match=r"ended with code -9: it was killed, .* too little memory"):
            process.ask("describe")


def test_an_unknown_engine_is_refused(job):
    with pytest.raises(UserError, match="unknown engine 'onxruntime': did you mean 'onnxruntime'"):
        MeasuringProcess(job | {"engine": "onxruntime"})


def test_nothing_is_imported_from_the_current_folder(job, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    with MeasuringProcess(job) as process:
        assert process.ask("describe")["refused"] is None


def test_a_bundle_that_moved_is_named(job, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(job["artifact"], moved)
    (moved / "model.onnx").unlink()
    with pytest.raises(UserError, match=r"model\.onnx does not exist"):
        MeasuringProcess(job | {"artifact": str(moved)})
