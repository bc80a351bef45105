"""What a recipe may say about the reference network."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tinysight.models.settings import ModelSettings


def test_the_spec_holds_encoder_classes_and_the_librarys_own_arguments():
    spec = ModelSettings(name="unet", encoder="resnet34", args={"encoder_depth": 4}).spec(5)
    assert spec.builder == "unet"
    assert spec.args == {"encoder": "resnet34", "classes": 5, "encoder_depth": 4}


def test_an_unknown_network_suggests_the_nearest():
    with pytest.raises(ValidationError, match="did you mean 'unet'"):
        ModelSettings(name="unett")


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="encodr"):
        ModelSettings.model_validate({"encodr": "resnet18"})


def test_checking_settings_imports_no_torch(in_fresh_python):
    script = "import sys, tinysight.models.settings as s; s.ModelSettings().spec(2); print('torch' in sys.modules)"
    assert in_fresh_python(script).strip() == "False"
