"""Importing OpenVINO and NNCF without their telemetry: the only place in the project that imports either.

``import openvino`` alone would send an event and write a folder into the user's home. A None in ``sys.modules`` makes
Python treat the telemetry package as not installed, which both libraries allow for.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

__all__ = ["import_nncf", "import_openvino"]


def import_openvino() -> Any:
    """Return the ``openvino`` module."""
    return _import("openvino")


def import_nncf() -> Any:
    """Return the ``nncf`` module."""
    # It imports torch's extension builder, which remarks on a missing CUDA toolkit that nobody asked for.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    return _import("nncf")


def _import(name: str) -> Any:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    return importlib.import_module(name)
