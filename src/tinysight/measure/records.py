"""The parts of a measurement, each with its unit and conditions. Field names are a contract (runs/records.py)."""

from __future__ import annotations

from pydantic import Field

from tinysight.config import Config

__all__ = ["Bytes", "Latency", "PrecisionRead", "Prospect", "Quality", "Speedup"]


class Quality(Config):
    """``value`` of ``metric`` on ``split`` in [0, 1], with the bootstrap's 95 % interval."""

    metric: str
    split: str
    value: float
    low: float
    high: float


class Bytes(Config):
    """Bytes of all ``files`` the ``engine`` loads, as shipped, and of the same files packed with zip's deflate."""

    engine: str
    files: dict[str, int]
    total: int = Field(gt=0)
    compressed: int = Field(gt=0)


class Latency(Config):
    """Milliseconds of one call: median and 90th percentile over ``runs`` calls, with everything they depend on."""

    p50: float = Field(gt=0)
    p90: float = Field(gt=0)
    engine: str
    engine_version: str
    threads: int
    batch: int
    shape: tuple[int, ...]
    runs: int
    cpu: str


class Speedup(Config):
    """How many times faster than ``vs``: median over interleaved rounds, with their 5th and 95th percentile."""

    vs: str
    ratio: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)


class PrecisionRead(Config):
    """What the file stores, what the engine executes, and the share of heavy layers it runs in integers."""

    stored: str
    executed: str
    integer_share: float


class Prospect(Config):
    """What a network's time and size would be in the ``precision`` it may ship in: no quality, weights do not
    matter."""

    precision: str
    speedup: Speedup
    bytes: int
