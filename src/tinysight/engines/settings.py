"""What a recipe may say about the engine."""

from __future__ import annotations

from pydantic import Field

from tinysight.config import Config
from tinysight.engines.hardware import processor

__all__ = ["EngineSettings"]


class EngineSettings(Config):
    """Which engine ships, and with how many threads; the default is every core this process may use."""

    name: str = "openvino"
    threads: int = Field(default_factory=lambda: processor().usable_cores, ge=1, le=1024)
