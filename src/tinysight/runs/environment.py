"""Provenance: versions and machine, written into every run and bundle."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

from tinysight.engines.hardware import processor

__all__ = ["LIBRARIES", "environment", "versions"]

LIBRARIES = (
    "tinysight", "numpy", "opencv-python-headless", "pillow", "openvino", "onnxruntime", "pydantic",
    "torch", "torchvision", "timm", "segmentation-models-pytorch", "onnx", "onnxscript", "nncf", "safetensors",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return the installed versions of the libraries that decide results; those not installed are left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, Any]:
    """Return versions, processor and system; nothing that names the user or the machine."""
    cpu = processor()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu.name,
        "usable_cores": cpu.usable_cores,
        "cpu_int8": cpu.has_int8,
        "cpu_bf16": cpu.has_bf16,
        "versions": versions(),
    }
