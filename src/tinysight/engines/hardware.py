"""What this machine's processor is and can do, as far as it decides speed. No engine and no torch is imported."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Processor", "processor"]


@dataclass(frozen=True)
class Processor:
    """The processor this process runs on.

    ``usable_cores`` is what this process may use: the least of the host's cores, its affinity and its cgroup quota.
    Engines size their thread pools from the host, so threads are always set from this number.
    """

    name: str
    host_cores: int
    affinity_cores: int
    quota_cores: float | None
    features: frozenset[str]

    @property
    def usable_cores(self) -> int:
        """Whole cores this process can keep busy, at least 1."""
        quota = self.quota_cores if self.quota_cores is not None else math.inf
        return max(1, int(min(self.host_cores, self.affinity_cores, quota)))

    @property
    def has_int8(self) -> bool:
        """Whether int8 products have instructions of their own (VNNI)."""
        return bool({"avx512_vnni", "avx_vnni", "asimddp"} & self.features)

    @property
    def has_bf16(self) -> bool:
        """Whether bfloat16 products have instructions of their own."""
        return bool({"avx512_bf16", "amx_bf16", "bf16"} & self.features)

    @property
    def has_amx(self) -> bool:
        """Whether there are tile matrix units."""
        return "amx_tile" in self.features


@cache
def processor() -> Processor:
    """Read the processor's name, cores, quota and features from the operating system."""
    fields = _cpuinfo()
    cores = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    name = fields.get("model name") or platform.processor() or platform.machine()
    features = frozenset((fields.get("flags") or fields.get("Features") or "").split())
    return Processor(name, cores, affinity, _quota(), features)


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    fields: dict[str, str] = {}
    for key, value in pairs:
        fields.setdefault(key.strip(), value.strip())
    return fields


def _quota() -> float | None:
    """Return the cores a control group allows, or None where it sets no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        base = Path("/sys/fs/cgroup/cpu")
        limit_us = int((base / "cpu.cfs_quota_us").read_text())
        return limit_us / int((base / "cpu.cfs_period_us").read_text()) if limit_us > 0 else None
    except (OSError, ValueError):
        return None
