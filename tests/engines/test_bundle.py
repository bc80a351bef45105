"""bundle.json: what a folder says about itself."""

import json
import shutil

import pytest

from tinysight.data import InputPolicy
from tinysight.engines.bundle import Bundle, compile_bundle
from tinysight.errors import UserError

DESCRIBED = {
    "task": "segmentation",
    "classes": ("background", "sign"),
    "ignore_index": 255,
    "input": InputPolicy(height=32, width=48, mode="pad"),
}


@pytest.fixture
def saved(tmp_path):
    Bundle(**DESCRIBED, stored="int8", lineage={"steps": []}, versions={"numpy": "2"}).save(tmp_path)
    return tmp_path


def rewrite(folder, **changes):
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def test_survives_the_disk(saved):
    expected = Bundle(**DESCRIBED, stored="int8", lineage={"steps": []}, versions={"numpy": "2"})
    assert Bundle.open(saved) == expected


def test_names_its_schema(saved):
    assert json.loads((saved / "bundle.json").read_text())["schema"] == 1


def test_makes_its_task(saved, tiny_task):
    task = Bundle.open(saved).make_task()
    assert (task.name, task.classes, task.ignore_index) == ("segmentation", ("background", "sign"), 255)


def test_a_folder_without_one_is_no_bundle(tmp_path):
    with pytest.raises(UserError, match=r"is not a bundle: it has no bundle\.json"):
        Bundle.open(tmp_path)


def test_a_newer_schema_asks_for_an_update(saved):
    with pytest.raises(UserError, match="schema 99, newer than this tinysight knows: update"):
        Bundle.open(rewrite(saved, schema=99))


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b'{"schema": 1}', b'{"schema": "new"}', b""])
def test_a_broken_one_is_named(saved, content):
    (saved / "bundle.json").write_bytes(content)
    with pytest.raises(UserError, match=r"bundle.json is damaged \(.*\): export the bundle again"):
        Bundle.open(saved)


def test_an_unknown_field_breaks_it(saved):
    with pytest.raises(UserError, match=r"damaged.*extra"):
        Bundle.open(rewrite(saved, extra=1))


def test_an_unknown_task_is_named(saved):
    with pytest.raises(UserError, match="unknown task 'segmentatoin': did you mean 'segmentation'"):
        Bundle.open(rewrite(saved, task="segmentatoin")).make_task()


def test_compiling_gives_description_network_and_version(tiny_artifact):
    from tinysight.engines import ENGINES

    bundle, network, version = compile_bundle(tiny_artifact, "onnxruntime", 1)
    assert bundle.classes == ("background", "advertising")
    assert network.executed()["executed"] == "f32"
    assert version == ENGINES["onnxruntime"].version()


def test_an_unknown_engine_is_refused(tiny_artifact):
    with pytest.raises(UserError, match="unknown engine 'tensorrt'"):
        compile_bundle(tiny_artifact, "tensorrt", 1)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_model_file_of_another_size_is_refused(tiny_artifact, tmp_path, engine):
    folder = shutil.copytree(tiny_artifact, tmp_path / "bundle")
    described = Bundle.open(folder)
    smaller = described.input.model_copy(update={"height": described.input.height // 2})
    described.model_copy(update={"input": smaller}).save(folder)
    with pytest.raises(UserError, match="the two do not belong together"):
        compile_bundle(folder, engine, 1)
