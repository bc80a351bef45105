"""ENet: the layers of its table, and weights that others trained."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tinysight.data import InputPolicy
from tinysight.data.readers.camvid import CamVidFolders
from tinysight.engines import ENGINES
from tinysight.engines.bundle import compile_bundle
from tinysight.measure.quality import evaluate
from tinysight.models.enet import ENet, from_pytorch_enet
from tinysight.models.spec import ModelSpec
from tinysight.models.weights import load_weights
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.network import Network
from tinysight.tasks import Segmentation

CAMVID = Path(os.environ.get("TINYSIGHT_DATA", "")) / "camvid"
WEIGHTS = Path(os.environ.get("TINYSIGHT_WEIGHTS", "")) / "enet_camvid.pth"


@pytest.fixture(scope="module")
def network() -> ENet:
    torch.manual_seed(0)
    return ENet(classes=12).eval()


def test_its_layers_have_the_sizes_of_the_papers_table(network: ENet):
    """Table 1, for an input of 512 x 512."""
    seen: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda _module, _given, result, name=name: seen.update(
                {name: tuple((result[0] if isinstance(result, tuple) else result).shape[1:])}
            )
        )
    with torch.no_grad():
        network(torch.zeros(1, 3, 512, 512))
    assert seen == {
        "initial": (16, 256, 256), "down1": (64, 128, 128), "stage1": (64, 128, 128), "down2": (128, 64, 64),
        "stage2": (128, 64, 64), "stage3": (128, 64, 64), "up4": (64, 128, 128), "stage4": (64, 128, 128),
        "up5": (16, 256, 256), "stage5": (16, 256, 256), "full": (12, 512, 512),
    }  # fmt: skip


def test_the_second_stage_dilates_and_goes_asymmetric(network: ENet):
    kinds = [[(c.kernel_size, c.dilation[0]) for c in b.main if isinstance(c, torch.nn.Conv2d)] for b in network.stage2]
    assert kinds == [
        [((3, 3), 1)], [((3, 3), 2)], [((5, 1), 1), ((1, 5), 1)], [((3, 3), 4)],
        [((3, 3), 1)], [((3, 3), 8)], [((5, 1), 1), ((1, 5), 1)], [((3, 3), 16)],
    ]  # fmt: skip


def test_projections_have_no_biases_and_dropout_grows(network: ENet):
    assert not any(
        getattr(module, "bias", None) is not None for module in network.modules() if "Conv" in str(type(module))
    )
    assert [block.dropout.p for block in (network.down1, network.stage1[3], network.down2, network.stage5[0])] == [
        0.01, 0.01, 0.1, 0.1,
    ]  # fmt: skip


@pytest.mark.realdata
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="TINYSIGHT_WEIGHTS does not hold enet_camvid.pth")
def test_weights_of_another_implementation_fit(network: ENet):
    given = torch.load(WEIGHTS, map_location="cpu", weights_only=True)
    missing, unexpected = network.load_state_dict(from_pytorch_enet(given, network), strict=False)
    assert unexpected == []
    assert [name for name in missing if not name.endswith("num_batches_tracked")] == []


@pytest.mark.realdata
@pytest.mark.skipif(not (WEIGHTS.is_file() and CAMVID.is_dir()), reason="no enet_camvid.pth, or no CamVid")
def test_weights_of_another_implementation_score_what_they_scored_there(tmp_path: Path):
    """65.69 mIoU over 11 classes on the val frames: measured with that implementation's own code."""
    policy = InputPolicy(height=360, width=480, mean=(0, 0, 0), std=(1, 1, 1))
    data = CamVidFolders(path=CAMVID, unlabeled=True).read()
    task = Segmentation(data.classes, data.ignore_index)
    spec = ModelSpec(builder="enet", args={"classes": 12, "pool": 3})
    trained = Network(spec.build().eval(), spec, policy)
    load_weights(trained.module, WEIGHTS, from_pytorch_enet, partly=False)
    make_artifact(trained, task, tmp_path, None)
    for engine in ENGINES:
        bundle, compiled, _ = compile_bundle(tmp_path, engine, 2)
        found = evaluate(compiled, bundle.input, task, data.split("val"), lambda: None)
        assert 100 * task.score(found.statistics) == pytest.approx(65.69, abs=0.05), engine
