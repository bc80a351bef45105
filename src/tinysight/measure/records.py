"""The parts of a measurement, each with its unit and conditions. Field names are a contract (runs/records.py)."""

from __future__ import annotations

from pydantic import Field

from tinysight.config import Config

__all__ = ["Bytes", "Latency", "PrecisionRead", "Prospect", "Quality", "Speedup", "TrainingTime"]


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


class TrainingTime(Config):
    """What a training took: the ``seconds`` of its own epochs, interruptions aside, and where it ran.

    Of these it ``waited`` for images, or for a teacher's answers; in these it learned from ``images``, each counted as
    often as it was seen. ``shared_epochs`` of its ``epochs`` another training did, in a trunk the two share.
    """

    epochs: int
    shared_epochs: int
    seconds: float = Field(gt=0)
    waited: float = Field(ge=0)
    images: int = Field(gt=0)
    device: str

    @property
    def learning(self) -> float:
        """The seconds in which the network learned: waiting is no property of a network or an optimizer."""
        return max(self.seconds - self.waited, 1e-9)

    @property
    def seconds_per_epoch(self) -> float:
        """Seconds of learning an epoch."""
        return self.learning / (self.epochs - self.shared_epochs)

    @property
    def images_per_second(self) -> float:
        """How many images a second the network learned from."""
        return self.images / self.learning


class PrecisionRead(Config):
    """What the file stores, what the engine executes, and how many of its heavy layers it runs in integers.

    Heavy are convolutions and matrix products. Both counts are 0 where nothing was read back, as in old records.
    """

    stored: str
    executed: str
    integer_share: float
    integer_layers: int = 0
    layers: int = 0

    @property
    def sentence(self) -> str:
        """What is executed, in words."""
        if not self.integer_share:
            return self.executed
        count = f"{self.integer_layers} of {self.layers}" if self.layers else f"{100 * self.integer_share:.0f} % of the"
        return f"{self.executed}, {count} convolutions and matrix products in integers"


class Prospect(Config):
    """What a network's time and size would be in the ``precision`` it may ship in: no quality, weights do not
    matter."""

    precision: str
    speedup: Speedup
    bytes: int
