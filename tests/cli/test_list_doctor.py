"""``list`` and ``doctor``."""

from __future__ import annotations

import pytest

from tinysight.data.readers import READERS
from tinysight.engines import ENGINES
from tinysight.engines.hardware import Processor
from tinysight.models.zoo import ZOO
from tinysight.reduction.table import METHODS


@pytest.mark.parametrize(
    ("what", "names"), [("models", ZOO), ("reductions", METHODS), ("readers", READERS), ("engines", ENGINES)]
)
def test_every_row_is_listed(cli, what: str, names: dict[str, object]) -> None:
    answer = cli("list", what)
    assert answer.code == 0
    rows = answer.out.splitlines()
    for name in names:
        assert any(row.split()[:1] == [name] for row in rows), name


def test_no_sentence_ends_at_et_al(cli) -> None:
    assert not any(row.rstrip().endswith("et al.") for row in cli("list", "reductions").out.splitlines())


def test_without_vnni_doctor_says_what_int8_is_worth(cli, monkeypatch) -> None:
    old = Processor("an old processor", 2, 2, None, frozenset())
    monkeypatch.setattr("tinysight.tables.processor", lambda: old)
    assert "exact only with reduce_range" in " ".join(cli("doctor").out.split())


def test_a_mistyped_table_gets_the_nearest(cli) -> None:
    answer = cli("list", "modles")
    assert answer.code == 2
    assert "unknown table 'modles': did you mean 'models'?" in answer.err


def test_doctor_says_what_each_finding_means(cli) -> None:
    answer = cli("doctor")
    assert answer.code == 0
    for word in ("Python", "torch", "openvino", "processor", "cores", "int8", "bf16", "fp16", "storage only", "off"):
        assert word in answer.out, word


def test_models_are_chosen_by_task_and_size(cli) -> None:
    answer = cli("list", "models", "--task", "classification", "--max-params", "1.5M")
    names = [row.split()[:2] for row in answer.out.splitlines()[1:] if row[:1] != " "]
    assert ["classifier", "squeezenet1_1"] in names
    assert not any(name[0] == "pspnet" for name in names)
    assert not any("resnet50" in name for name in names)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "--task", "segmentatoin"], "did you mean 'segmentation'"),
        (["models", "--max-params", "many"], "--max-params 'many': give a number"),
        (["models", "--max-params", "nan"], "--max-params 'nan': give a number"),
        (["models", "--max-params", ""], "--max-params '': give a number"),
        (["readers", "--max-params", ""], "--task and --max-params choose among models"),
        (["readers", "--task", "segmentation"], "choose among models"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(cli, arguments: list[str], said: str) -> None:
    answer = cli("list", *arguments)
    assert answer.code == 2
    assert said in answer.err
