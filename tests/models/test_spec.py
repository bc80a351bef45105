"""ModelSpec: what rebuilds a network, and what it refuses to run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from torch import nn

from tinysight.errors import UserError
from tinysight.models.spec import LIVE, ModelSpec

FOREIGN = ModelSpec(builder="torch.nn:Conv2d", args={"in_channels": 3, "out_channels": 2, "kernel_size": 1})


def test_a_spec_survives_json():
    spec = ModelSpec(builder="pspnet", args={"encoder": "resnet18", "classes": 2}, output="out", parent="abc")
    assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec


def test_an_index_stays_a_number_in_json():
    spec = ModelSpec(builder=LIVE, output=1)
    assert ModelSpec.model_validate_json(spec.model_dump_json()).output == 1


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="outptu"):
        ModelSpec.model_validate({"builder": "pspnet", "outptu": "out"})


def test_a_row_of_the_zoo_is_built_without_trust():
    spec = ModelSpec(builder="pspnet", args={"encoder": "test_resnet", "classes": 2})
    assert type(spec.build()).__name__ == "PSPNet"


def test_a_foreign_builder_says_what_would_run():
    with pytest.raises(UserError, match=r"import and run torch\.nn:Conv2d with .*'kernel_size': 1.*trust=True"):
        FOREIGN.build()


def test_a_trusted_foreign_builder_is_called():
    built = FOREIGN.build(trust=True)
    assert isinstance(built, nn.Conv2d)
    assert built.weight.shape == (2, 3, 1, 1)


@pytest.mark.parametrize("builder", ["no_such_module:Net", "torch.nn:NoSuchNet"])
def test_a_foreign_builder_that_is_not_there_is_named(builder: str):
    with pytest.raises(UserError, match=f"{builder} cannot be imported"):
        ModelSpec(builder=builder).build(trust=True)


def test_arguments_a_foreign_builder_refuses_are_named():
    with pytest.raises(UserError, match=r"torch\.nn:Conv2d .*'kernel'"):
        ModelSpec(builder="torch.nn:Conv2d", args={"kernel": 3}).build(trust=True)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def (", r"cannot be imported \(SyntaxError: .*line 1\)"),
        ("1 / 0", r"cannot be imported \(ZeroDivisionError: .*, line 1 of .*strange_net\.py\)"),
        ("import sys\nsys.exit(0)", r"cannot be imported \(SystemExit: 0, line 2 of"),
        ("def Net():\n    return {}['width']", r"refuses {} \(KeyError: 'width', line 2 of .*strange_net\.py\)"),
        ("def Net():\n    return 5", r"returns a int, not a torch\.nn\.Module"),
        ("import torch\ndef Net():\n    return torch.nn.Conv2d", r"returns a type, not a torch\.nn\.Module"),
    ],
)
def test_code_that_raises_or_returns_no_network_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
):
    (tmp_path / "strange_net.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "strange_net", raising=False)
    with pytest.raises(UserError, match=said):
        ModelSpec(builder="strange_net:Net").build(trust=True)


def test_a_relative_builder_is_refused():
    with pytest.raises(UserError, match=r"\.net:Net cannot be imported \(TypeError"):
        ModelSpec(builder=".net:Net").build(trust=True)


def test_a_live_network_is_built_by_its_owner_only():
    with pytest.raises(UserError, match=r"load\(path, into=model\)"):
        ModelSpec(builder=LIVE).build(trust=True)
