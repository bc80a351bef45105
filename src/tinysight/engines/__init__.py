"""The engines: one file each, one row here. Importing this room loads none of them."""

from __future__ import annotations

from tinysight.engines.base import Compiled, Engine
from tinysight.engines.onnxruntime import OnnxRuntime
from tinysight.engines.openvino import OpenVino

ENGINES: dict[str, Engine] = {
    "openvino": OpenVino(),
    "onnxruntime": OnnxRuntime(),
}

__all__ = ["ENGINES", "Compiled", "Engine"]
