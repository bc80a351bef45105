"""Pretrained weights: announced before they are fetched, from a hub on this machine, and never fetched unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from tests.models.hub import Hub, served
from tinysight.errors import UserError
from tinysight.models.pretrained import Normalisation, offer_of, with_pretrained_weights
from tinysight.models.spec import ModelSpec
from tinysight.progress import Progress

LINKNET = ModelSpec(builder="linknet", args={"encoder": "test_resnet", "encoder_depth": 2, "classes": 2})
OF_SMP = ModelSpec(builder="unet", args={"encoder": "mobilenet_v2", "classes": 2})
CLASSIFIER = ModelSpec(builder="classifier", args={"encoder": "test_resnet", "classes": 3})
OF_TORCHVISION = ModelSpec(builder="classifier", args={"encoder": "squeezenet1_1", "classes": 3})
PATIENT = Progress(quiet=True)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that offers nothing yet, and empty caches."""
    with served(tmp_path, monkeypatch) as hub:
        yield hub


def offered(hub: Hub, spec: ModelSpec, state: dict[str, torch.Tensor], **description: Any) -> dict[str, torch.Tensor]:
    folder = hub.folder / offer_of(spec, True).repository
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(description))
    return state


@pytest.fixture
def state(hub: Hub) -> dict[str, torch.Tensor]:
    """The weights of ``test_resnet`` that the hub offers."""
    import timm

    return offered(hub, LINKNET, timm.create_model("test_resnet").state_dict())


def test_weights_arrive_in_the_encoder(state):
    module, _, expected = with_pretrained_weights(LINKNET, True, PATIENT)
    assert torch.equal(module.encoder.model.layer1[0].conv1.weight, state["layer1.0.conv1.weight"])
    assert expected == Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_weights_arrive_in_a_classifier_but_not_in_its_new_head(state):
    module, _, _ = with_pretrained_weights(CLASSIFIER, "r160_in1k", PATIENT)
    assert torch.equal(module.layer1[0].conv1.weight, state["layer1.0.conv1.weight"])
    assert module.fc.weight.shape[0] == 3


def test_smp_says_beside_the_weights_what_they_expect(hub):
    encoder = OF_SMP.build().encoder.state_dict()
    offered(hub, OF_SMP, encoder, mean=[127.5] * 3, std=[51.0] * 3, input_range=[0, 255])
    module, spec, expected = with_pretrained_weights(OF_SMP, True, PATIENT)
    assert torch.equal(module.encoder.features[0][0].weight, encoder["features.0.0.weight"])
    assert expected == Normalisation((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    assert spec.weights[0].licence == "mit"


def test_weights_for_other_pictures_than_rgb_expect_nothing_that_can_be_given(hub):
    offered(hub, OF_SMP, OF_SMP.build().encoder.state_dict(), mean=[0.5] * 3, std=[0.5] * 3, input_space="BGR")
    assert with_pretrained_weights(OF_SMP, True, PATIENT)[2] is None


def test_torchvisions_weights_are_taken_from_its_cache(hub, tmp_path, capsys):
    offer = offer_of(OF_TORCHVISION, True)
    trained = ModelSpec(builder="classifier", args={"encoder": "squeezenet1_1", "classes": 1000}).build().state_dict()
    offer.cache().mkdir(parents=True)
    torch.save(trained, offer.cache() / offer.address.rpartition("/")[2])
    module, _, _ = with_pretrained_weights(OF_TORCHVISION, True, Progress())
    assert torch.equal(module.features[0].weight, trained["features.0.weight"])
    assert module.classifier[1].weight.shape[0] == 3
    assert "without a network" in capsys.readouterr().err


def test_what_is_fetched_is_said_before(hub, state, capsys, tmp_path):
    with_pretrained_weights(LINKNET, True, Progress())
    said = capsys.readouterr().err.splitlines()
    size = (hub.folder / "timm/test_resnet.r160_in1k/model.safetensors").stat().st_size
    assert said[0].startswith(f"pretrained weights 'r160_in1k': {hub.address}/timm/test_resnet.r160_in1k/")
    assert said[0].endswith(f"model.safetensors, {size:,} bytes, licence: apache-2.0")
    assert said[1] == f"downloading into {tmp_path / 'cache'}"
    assert hub.asked[0].startswith("GET /api/models/")


def test_nothing_is_fetched_before_it_is_said(hub, state):
    class Stopping(Progress):
        def say(self, text: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_pretrained_weights(LINKNET, True, Stopping())
    assert not [request for request in hub.asked if "safetensors" in request]


def test_cached_weights_need_no_network(hub, state, capsys):
    with_pretrained_weights(LINKNET, True, PATIENT)
    hub.asked.clear()
    with_pretrained_weights(LINKNET, True, Progress())
    assert hub.asked == []
    assert "without a network" in capsys.readouterr().err


def test_the_specification_rebuilds_without_weights(hub, state):
    module, spec, _ = with_pretrained_weights(LINKNET, True, PATIENT)
    hub.asked.clear()
    again = ModelSpec.model_validate_json(spec.model_dump_json())
    assert again.args == LINKNET.args
    assert {name: t.shape for name, t in again.build().state_dict().items()} == {
        name: t.shape for name, t in module.state_dict().items()
    }
    assert hub.asked == []


def test_the_specification_says_where_the_weights_come_from(state):
    (weights,) = with_pretrained_weights(LINKNET, True, PATIENT)[1].weights
    assert (weights.source, weights.tag, weights.licence) == ("timm/test_resnet.r160_in1k", "r160_in1k", "apache-2.0")


def test_a_network_that_is_not_there_is_told_in_a_sentence(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"test_resnet\.r160_in1k cannot be reached .*give a file .* as model\.weights"):
        with_pretrained_weights(LINKNET, True, PATIENT)


def test_weights_that_do_not_fit_are_told_in_a_sentence(hub):
    offered(hub, OF_SMP, {"strange": torch.zeros(1)}, mean=[0.5] * 3, std=[0.5] * 3)
    with pytest.raises(UserError, match=r"mobilenet_v2\.imagenet@\w+ cannot be loaded .*model\.weights"):
        with_pretrained_weights(OF_SMP, True, PATIENT)


@pytest.mark.parametrize(
    ("spec", "wanted", "message"),
    [
        (LINKNET, "nope", "unknown weights of test_resnet 'nope'"),
        (OF_SMP, "imagnet", "did you mean 'imagenet'"),
        (OF_TORCHVISION, "IMAGENET1K_V2", "did you mean 'IMAGENET1K_V1'"),
        (ModelSpec(builder="pspnet", args={"encoder": "lcnet_035"}), True, "timm offers no weights for 'lcnet_035'"),
        (ModelSpec(builder="classifier", args={"encoder": "mnasnet"}), True, "did you mean 'mnasnet"),
        (ModelSpec(builder="enet", args={"classes": 2}), True, "nobody offers weights for 'enet'"),
    ],
    ids=lambda value: getattr(value, "builder", None),
)
def test_weights_that_nobody_offers_are_named(spec: ModelSpec, wanted: bool | str, message: str):
    with pytest.raises(UserError, match=message):
        offer_of(spec, wanted)


def test_fcn_takes_torchvisions_vgg():
    assert offer_of(ModelSpec(builder="fcn", args={"encoder": "vgg11", "classes": 2}), True).address.endswith(".pth")


def test_building_reaches_no_network(in_fresh_python):
    script = (
        "import sys\n"
        "def hear(event, about):\n"
        "    if event.startswith(('socket.connect', 'socket.getaddrinfo', 'urllib.')): sys.exit(f'{event} {about}')\n"
        "sys.addaudithook(hear)\n"
        "from tinysight.models.spec import ModelSpec\n"
        f"for spec in {[spec.model_dump() for spec in (LINKNET, OF_SMP, CLASSIFIER, OF_TORCHVISION)]}:\n"
        "    ModelSpec.model_validate(spec).build()\n"
    )
    assert in_fresh_python(script) == ""
