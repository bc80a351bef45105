"""Bytes of what ships."""

from __future__ import annotations

import zlib
from pathlib import Path

from tinysight.engines import Engine
from tinysight.measure.records import Bytes

__all__ = ["measure_bytes"]


def measure_bytes(artifact: Path, engine: Engine) -> Bytes:
    """Count every file of ``artifact`` that ``engine`` loads."""
    files = {path.name: path.stat().st_size for path in engine.files(artifact)}
    compressed = sum(len(zlib.compress(path.read_bytes(), 6)) for path in engine.files(artifact))
    return Bytes(engine=engine.name, files=files, total=sum(files.values()), compressed=compressed)
