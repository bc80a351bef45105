"""The processor, as the operating system describes it."""

from pathlib import Path

import pytest

from tinysight.engines import hardware
from tinysight.engines.hardware import Processor, processor

CPUINFO = "model name\t: A Processor @ 2 GHz\nflags\t\t: fpu avx512_vnni amx_bf16 amx_tile\n\nmodel name : B"
V2, V1 = "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu"


def made(host=8, affinity=8, quota=None, features=()):
    return Processor("x", host, affinity, quota, frozenset(features))


@pytest.fixture
def system(monkeypatch):
    """A file system that holds only what a test puts there."""
    files: dict[str, str] = {}

    def read_text(path, *_arguments, **_options):
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read_text)
    processor.cache_clear()
    yield files
    processor.cache_clear()


@pytest.mark.parametrize(
    ("host", "affinity", "quota", "usable"),
    [(8, 8, None, 8), (8, 3, None, 3), (8, 8, 2.0, 2), (8, 8, 2.9, 2), (8, 8, 0.5, 1), (8, 1, 4.0, 1)],
)
def test_usable_cores_are_the_least_of_all_limits(host, affinity, quota, usable):
    assert made(host, affinity, quota).usable_cores == usable


@pytest.mark.parametrize(
    ("feature", "ability"),
    [
        ("avx512_vnni", "has_int8"), ("avx_vnni", "has_int8"), ("asimddp", "has_int8"),
        ("avx512_bf16", "has_bf16"), ("amx_bf16", "has_bf16"), ("bf16", "has_bf16"),
        ("amx_tile", "has_amx"),
    ],
)  # fmt: skip
def test_a_feature_is_an_ability(feature, ability):
    assert getattr(made(features=["fpu", feature]), ability)
    assert not getattr(made(features=["fpu"]), ability)


def test_name_and_features_come_from_cpuinfo(system):
    system["/proc/cpuinfo"] = CPUINFO
    found = processor()
    assert found.name == "A Processor @ 2 GHz"
    assert found.features == {"fpu", "avx512_vnni", "amx_bf16", "amx_tile"}


def test_arm_calls_them_otherwise(system):
    system["/proc/cpuinfo"] = "processor : 0\nFeatures : fp asimd asimddp bf16\n"
    assert processor().has_int8


def test_a_system_without_proc_still_has_a_processor(system):
    assert processor().usable_cores >= 1
    assert processor().name


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({V2: "200000 100000\n"}, 2.0),
        ({V2: "max 100000\n"}, None),
        ({f"{V1}/cpu.cfs_quota_us": "150000\n", f"{V1}/cpu.cfs_period_us": "100000\n"}, 1.5),
        ({f"{V1}/cpu.cfs_quota_us": "-1\n", f"{V1}/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
        ({V2: "what?"}, None),
    ],
)
def test_the_control_groups_quota(system, files, quota):
    system.update(files)
    assert hardware._quota() == quota


def test_it_is_read_once(system):
    assert processor() is processor()
