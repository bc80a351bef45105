"""The workshop, with the tiny network as reference and float16 as its one reduction."""

import json
from typing import ClassVar

import pytest
import torch

from tinysight.data.source import DATA, open_data, save_data
from tinysight.engines import ENGINES
from tinysight.engines.bundle import Bundle
from tinysight.engines.settings import EngineSettings
from tinysight.job import Job
from tinysight.progress import Progress
from tinysight.reduction.precision.fp16 import Fp16
from tinysight.reduction.step import NotApplicable
from tinysight.runs.folder import RunFolder
from tinysight.search.goal import Goal
from tinysight.search.walk import Stage
from tinysight.workshop import Workshop

STAGE = Stage("precision", (Fp16(),))
QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def job(tiny_network, tiny_task, tiny_data):
    from tinysight.data.readers import Facades

    dataset = open_data(tiny_data)
    return Job(
        plan={"model": {"name": "tiny"}}, task=tiny_task, reader=Facades(train=12, val=6, test=4, height=64, width=64),
        dataset=dataset, data_digest=dataset.digest(), weights_digest="", train=dataset.split("train"), augment=False,
        training="reference-0", make_reference=lambda folder, progress: tiny_network.copy(),
        pristine=tiny_network.module, cautions=(), stages=(STAGE,), goal=Goal(max_drop=5),
        engine=EngineSettings(threads=2), seed=0, device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(job, tmp_path_factory):
    """The run's folder, closed again, with the records of the reference, a candidate, and one that came too late."""
    path = tmp_path_factory.mktemp("run")
    with RunFolder(path, job.plan) as folder, Workshop(job, folder, QUIET) as workshop:
        save_data(path / DATA, job.reader, job.dataset)
        reference = workshop.reference()
        late = workshop.attempt(reference, STAGE, Fp16(), "too late")
        return path, reference, workshop.attempt(reference, STAGE, Fp16(), None), late


@pytest.fixture
def again(job, made):
    """The same run, gone on with."""
    with RunFolder(made[0], job.plan) as folder, Workshop(job, folder, QUIET) as workshop:
        yield workshop


@pytest.mark.parametrize("which", [1, 2])
def test_a_record_says_where_its_artifact_lies(made, which):
    record = made[which]
    assert record.artifact == f"candidates/{record.id}"
    assert Bundle.open(made[0] / record.artifact).classes == ("background", "advertising")


def test_what_was_never_made_has_no_artifact(made):
    late = made[3]
    assert (late.verdict, late.why, late.artifact) == ("not_run", "too late", None)


def test_every_measurement_is_filled_in(made):
    line = made[2].line()
    # A prospect is measured only where networks are chosen before they are trained, and this one was not trained.
    assert [name for name, value in line.items() if value is None] == ["summary", "prospect", "training"]


def test_bytes_are_those_of_the_artifact(made):
    path, _, candidate, _ = made
    files = ENGINES["openvino"].files(path / candidate.artifact)
    assert candidate.bytes.total == sum(file.stat().st_size for file in files)


def test_the_reference_is_found_again(again, made):
    assert again.reference() == made[1]


def test_a_candidate_is_found_again(again, made):
    assert again.attempt(made[1], STAGE, Fp16(), None) == made[2]


def test_a_finished_candidate_is_never_too_late(again, made):
    assert again.attempt(made[1], STAGE, Fp16(), "too late") == made[2]


@pytest.mark.parametrize("name", ["per_image.npz", "model.onnx", "bundle.json", "record.json"])
def test_a_candidate_with_a_damaged_file_is_made_again(again, made, name):
    path = made[0] / made[2].artifact / name
    path.write_bytes(path.read_bytes()[:20])
    record = again.attempt(made[1], STAGE, Fp16(), None)
    assert record.drop == made[2].drop
    assert path.stat().st_size > 20


def test_a_candidate_whose_record_counts_other_files_is_made_again(again, made):
    path = made[0] / made[2].artifact / "record.json"
    line = json.loads(path.read_text())
    line["bytes"]["files"]["model.bin"] = 5
    path.write_text(json.dumps(line))
    record = again.attempt(made[1], STAGE, Fp16(), None)
    assert list(record.bytes.files) == list(made[2].bytes.files)


def test_a_candidate_that_is_found_again_stands_in_todays_stage(again, made):
    renamed = Stage("formats", (Fp16(),))
    assert again.attempt(made[1], renamed, Fp16(), None).stage == "formats"


def test_what_is_loaded_on_first_use_takes_none_of_a_methods_random_numbers(job, made, again, monkeypatch):
    """Else a run that goes on would make other networks than one that was never interrupted."""
    drawn = []

    class Drawing(Fp16):
        name: ClassVar[str] = "drawing"

        def reduce(self, network, context):
            drawn.append(float(torch.rand(1)))
            raise NotApplicable("it only draws")

    load = Workshop.network
    monkeypatch.setattr(Workshop, "network", lambda self, identity: (torch.rand(1), load(self, identity))[1])
    again.attempt(made[1], STAGE, Drawing(), None)
    torch.manual_seed(job.seed)
    assert drawn == [float(torch.rand(1))]
