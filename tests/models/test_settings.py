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


def test_settings_without_pretrained_are_written_as_they_always_were():
    assert "pretrained" not in ModelSettings().model_dump()
    assert (
        ModelSettings.model_validate(ModelSettings(pretrained="ssl").model_dump(exclude_unset=True)).pretrained == "ssl"
    )


def test_two_sources_of_weights_are_refused():
    with pytest.raises(ValidationError, match="checkpoint and pretrained both bring weights"):
        ModelSettings.model_validate({"checkpoint": "folder", "pretrained": True})


@pytest.mark.parametrize("key", ["name", "encoder", "args"])
def test_a_file_that_is_the_whole_network_brings_its_own_architecture(key: str):
    with pytest.raises(ValidationError, match=f"is the whole network: take {key} out"):
        ModelSettings.model_validate({"checkpoint": "net.onnx", key: {} if key == "args" else "unet"})


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="encodr"):
        ModelSettings.model_validate({"encodr": "resnet18"})


def test_checking_settings_imports_no_torch(in_fresh_python):
    script = "import sys, tinysight.models.settings as s; s.ModelSettings().spec(2); print('torch' in sys.modules)"
    assert in_fresh_python(script).strip() == "False"
