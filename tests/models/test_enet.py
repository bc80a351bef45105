"""ENet: the layers of its table, and weights that others trained."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tinysight.models.enet import ENet, from_pytorch_enet

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
