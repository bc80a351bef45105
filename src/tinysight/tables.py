"""``list`` and ``doctor``: what there is, and what this machine makes of it."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec

from rich.table import Table

from tinysight.engines.hardware import processor
from tinysight.errors import UserError, unknown_name
from tinysight.report.terminal import plain_console
from tinysight.report.text import count_text
from tinysight.runs.environment import versions

__all__ = ["print_doctor", "print_rows"]


def print_rows(what: str, task: str | None = None, largest: str | None = None) -> None:
    """Print the table ``what``; of models, perhaps only those of a task, or with at most so many parameters.

    Raises:
        UserError: there is no such table or task, or ``largest`` is no number such as ``5M``.
    """
    if what not in _TABLES:
        raise unknown_name("table", what, _TABLES)
    if what != "models" and (task is not None or largest is not None):
        raise UserError(f"--task and --max-params choose among models: 'tinysight list {what}' lists everything")
    columns, rows = _TABLES[what]
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in _models(task, largest) if what == "models" else rows():
        table.add_row(*row)
    plain_console().print(table)


def _models(task: str | None = None, largest: str | None = None) -> Iterable[tuple[str, ...]]:
    from tinysight.models.catalogue import catalogue
    from tinysight.models.zoo import ZOO
    from tinysight.tasks import TASKS

    if task is not None and task not in TASKS:
        raise unknown_name("task", task, TASKS)
    most = None if largest is None else _count(largest)
    for entry in catalogue():
        if (task and entry.task != task) or (most is not None and entry.used > most):
            continue
        cost = (count_text(entry.parameters), count_text(entry.used), count_text(entry.macs))
        about = ZOO[entry.name].about
        encoder = ", ".join([entry.encoder or "", *(f"{key} {value}" for key, value in entry.args.items())])
        yield entry.name, encoder, entry.task, *cost, f"{entry.size}×{entry.size}", entry.licence, about


def _count(text: str) -> float:
    """Read a number such as ``500k`` or ``5M``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)", text.lower())
    if match is None:
        raise UserError(f"--max-params '{text}': give a number, such as 500k or 5M")
    return float(match[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2]]


def _reductions() -> Iterable[tuple[str, ...]]:
    from tinysight.reduction.table import METHODS

    for name, method in METHODS.items():
        settings = ", ".join(method.model_fields) or "–"
        yield name, method.changes, settings, _summary(method)


def _readers() -> Iterable[tuple[str, ...]]:
    from tinysight.data.readers import READERS

    for name, reader in READERS.items():
        settings = ", ".join(field for field in reader.model_fields if field != "reader")
        yield name, settings, _summary(reader)


def _engines() -> Iterable[tuple[str, ...]]:
    from tinysight.engines import ENGINES

    for name, engine in ENGINES.items():
        yield name, engine.version(), engine.refuse("bf16") or "bf16 executed natively"


def _summary(documented: type) -> str:
    """The first sentence of a class's docstring."""
    text = " ".join((documented.__doc__ or "").split())
    return re.split(r"(?<!et al)\. ", text.replace("``", ""))[0].rstrip(".") + "."


_TABLES: dict[str, tuple[tuple[str, ...], Callable[[], Iterable[tuple[str, ...]]]]] = {
    "models": (("name", "encoder", "task", "params", "used", "MACs", "input", "licence", "what it is"), _models),
    "reductions": (("name", "changes", "settings", "what it does"), _reductions),
    "readers": (("name", "settings", "what it reads"), _readers),
    "engines": (("name", "version", "bf16 here"), _engines),
}


_WITHOUT_VNNI = "int8 runs by older instructions: less fast, and exact only with reduce_range, the default"


def print_doctor() -> None:
    """Print versions and processor features, each with its meaning."""
    cpu, found = processor(), versions()
    quota = "no limit" if cpu.quota_cores is None else f"{cpu.quota_cores:g}"
    lines = [
        ("Python", platform.python_version(), "3.11 or newer is needed"),
        *[(name, version, _torch_means() if name == "torch" else "") for name, version in found.items()],
        *([] if "torch" in found else [("torch", "absent", _torch_means())]),
        ("processor", cpu.name, ""),
        (
            "cores",
            f"{cpu.host_cores} on the host, {cpu.affinity_cores} by affinity, quota {quota}",
            _cores_mean(cpu.usable_cores),
        ),
        (
            "int8 (VNNI)",
            _yes(cpu.has_int8),
            "int8 files run faster" if cpu.has_int8 else _WITHOUT_VNNI,
        ),
        (
            "bf16",
            _yes(cpu.has_bf16),
            "bf16 execution is native" if cpu.has_bf16 else "bf16 would run as f32: such variants are skipped",
        ),
        ("AMX", _yes(cpu.has_amx), "matrix tiles speed int8 and bf16 further" if cpu.has_amx else "no matrix tiles"),
        ("fp16", "storage only", "x86 engines convert fp16 weights to f32 when they load"),
        ("telemetry", "off", "OpenVINO's and NNCF's is switched off before they load"),
    ]
    table = Table("what", "found", "what it means here", box=None, header_style="bold", pad_edge=False)
    for line in lines:
        table.add_row(*line)
    plain_console().print(table)


def _torch_means() -> str:
    if find_spec("torch"):
        return "all verbs work"
    return "predict, measure, list, doctor and data check work; pip install 'tinysight[reduce]' adds the others"


def _cores_mean(usable: int) -> str:
    return f"engines are given {usable} thread{'s' if usable > 1 else ''}; left alone they would count the host's cores"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
