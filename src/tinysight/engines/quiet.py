"""Importing OpenVINO, ONNX Runtime and NNCF without their telemetry: the only place in the project that imports them.

``import openvino`` alone would send an event and write a folder into the user's home. A None in ``sys.modules`` makes
Python treat the telemetry package as not installed, which OpenVINO and NNCF allow for. ``import onnxruntime`` would
start an uploader, and keep a device id and a data base in the user's cache; it asks the environment, once.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any

__all__ = ["import_nncf", "import_onnxruntime", "import_openvino"]

# Set as soon as this room is entered: torch's exporter and NNCF import ONNX Runtime too. The second is its older name.
os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"


def import_openvino() -> Any:
    """Return the ``openvino`` module."""
    return _import("openvino")


def import_onnxruntime() -> Any:
    """Return the ``onnxruntime`` module."""
    return _import("onnxruntime")


def import_nncf() -> Any:
    """Return the ``nncf`` module."""
    # It imports torch's extension builder, which remarks on a missing CUDA toolkit that nobody asked for.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    return _import("nncf")


def _import(name: str) -> Any:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    return importlib.import_module(name)
