"""Provenance, and nothing that names a person or a machine."""

import getpass
import importlib.metadata
import json
import platform
import socket

from tinysight.runs.environment import LIBRARIES, environment, versions


def test_versions_are_those_installed():
    found = versions()
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found.keys() <= set(LIBRARIES)


def test_what_is_not_installed_is_left_out(monkeypatch):
    def only_numpy(name):
        if name != "numpy":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.0"

    monkeypatch.setattr(importlib.metadata, "version", only_numpy)
    assert versions() == {"numpy": "2.0"}


def test_it_says_what_decides_speed():
    assert environment().keys() == {
        "python", "system", "cpu", "usable_cores", "cpu_int8", "cpu_bf16", "versions",
    }  # fmt: skip


def test_it_is_json():
    assert json.loads(json.dumps(environment())) == environment()


def test_it_names_neither_user_nor_machine(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "nobody")
    values = [str(value) for key, value in environment().items() if key != "versions"]
    assert not any(socket.gethostname() in value or platform.node() in value for value in values)


def test_reading_versions_imports_none_of_them(in_fresh_python):
    script = "import sys; from tinysight.runs.environment import environment; environment(); print(*sys.modules)"
    loaded = set(in_fresh_python(script).split())
    assert not loaded & {"torch", "openvino", "onnxruntime", "nncf", "timm"}
