"""Bytes: every file the engine loads, as shipped."""

import zipfile

import pytest

from tinysight.engines import ENGINES
from tinysight.measure.size import measure_bytes


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_loads_the_one_model_file(engine, tiny_artifact):
    files = measure_bytes(tiny_artifact, ENGINES[engine]).files
    assert files == {"model.onnx": (tiny_artifact / "model.onnx").stat().st_size}


@pytest.mark.parametrize("engine", ENGINES)
def test_total_is_the_sum_of_the_files(engine, tiny_artifact):
    measured = measure_bytes(tiny_artifact, ENGINES[engine])
    assert measured.total == sum(measured.files.values()) > 0


def test_compressed_is_what_a_zip_would_hold(tiny_artifact, tmp_path):
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tiny_artifact / "model.onnx")
        packed = sum(entry.compress_size for entry in archive.infolist())
    # zlib adds a header and a checksum, 6 bytes a file.
    assert measure_bytes(tiny_artifact, ENGINES["openvino"]).compressed == pytest.approx(packed, abs=16)


def test_measurement_names_its_engine(tiny_artifact):
    assert measure_bytes(tiny_artifact, ENGINES["onnxruntime"]).engine == "onnxruntime"
