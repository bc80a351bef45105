"""Bytes: every file the engine loads, as shipped."""

import zipfile

import pytest

from tinysight.engines import ENGINES
from tinysight.measure.size import measure_bytes


def test_openvinos_topology_counts_beside_its_weights(tiny_artifact):
    files = measure_bytes(tiny_artifact, ENGINES["openvino"]).files
    assert files == {name: (tiny_artifact / name).stat().st_size for name in ("model.xml", "model.bin")}


@pytest.mark.parametrize("engine", ENGINES)
def test_total_is_the_sum_of_the_files(engine, tiny_artifact):
    measured = measure_bytes(tiny_artifact, ENGINES[engine])
    assert measured.total == sum(measured.files.values()) > 0


def test_what_the_engine_does_not_load_does_not_count(tiny_artifact):
    assert measure_bytes(tiny_artifact, ENGINES["onnxruntime"]).files.keys() == {"model.onnx"}


def test_compressed_is_what_a_zip_would_hold(tiny_artifact, tmp_path):
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tiny_artifact / "model.xml")
        archive.write(tiny_artifact / "model.bin")
        packed = sum(entry.compress_size for entry in archive.infolist())
    # zlib adds a header and a checksum, 6 bytes a file.
    assert measure_bytes(tiny_artifact, ENGINES["openvino"]).compressed == pytest.approx(packed, abs=16)


def test_measurement_names_its_engine(tiny_artifact):
    assert measure_bytes(tiny_artifact, ENGINES["onnxruntime"]).engine == "onnxruntime"
