"""FCN: any size, bilinear at first, and finer with every skip."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import vgg11

from tinysight.errors import UserError
from tinysight.models.fcn import FCN, bilinear_kernel, from_vgg


def fcn(stride: int, **settings) -> FCN:
    torch.manual_seed(0)
    return FCN(classes=3, stride=stride, encoder="vgg11", hidden=16, **settings).eval()


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("size", [(64, 96), (50, 71), (33, 40)])
def test_scores_have_the_size_of_the_picture_whatever_it_is(stride: int, size: tuple[int, int]):
    with torch.no_grad():
        assert fcn(stride)(torch.zeros(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("factor", [2, 8, 32])
def test_upsampling_starts_as_bilinear_interpolation(factor: int):
    maps = torch.randn(1, 1, 5, 6)
    kernel = bilinear_kernel(factor)[None, None]
    ours = F.conv_transpose2d(maps, kernel, stride=factor, padding=factor // 2)
    theirs = F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)
    edge = factor  # where interpolation repeats the border, the convolution sees nothing
    torch.testing.assert_close(ours[..., edge:-edge, edge:-edge], theirs[..., edge:-edge, edge:-edge])


def test_a_new_skip_changes_nothing_at_first():
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert fcn(8).skips[0](torch.randn(1, 512, 4, 4)).abs().max() == 0
        assert fcn(8)(picture).shape == fcn(32)(picture).shape


def detail(stride: int) -> float:
    """Learn to score a fixed VGG's maps of fields of 8 x 8 pixels, and return the share of pixels it gets right."""
    torch.manual_seed(0)
    network = FCN(classes=2, stride=stride, encoder="vgg11_bn", hidden=16, dropout=0.0).requires_grad_(False)
    scoring = [*network.head[-1].parameters(), *network.skips.parameters()]
    fields = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) > 0.5
    truth = fields.long().repeat_interleave(8, 0).repeat_interleave(8, 1)[None]
    picture = truth[:, None].expand(1, 3, 64, 64).float()
    optimizer = torch.optim.Adam([weight.requires_grad_() for weight in scoring], lr=0.03)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(network(picture), truth).backward()
        optimizer.step()
    return float((network(picture).argmax(1) == truth).float().mean())


def test_the_finer_the_stride_the_finer_the_detail():
    coarse, middle, fine = (detail(stride) for stride in (32, 16, 8))
    assert coarse < middle < fine


def test_a_vgg_becomes_convolutional():
    vgg = vgg11(weights=None)
    network = FCN(classes=3, encoder="vgg11")
    network.load_state_dict(from_vgg(vgg.state_dict(), network), strict=False)
    picture = torch.randn(1, 3, 224, 224)
    vgg.eval()
    with torch.no_grad():
        features = vgg.features(picture)
        connected = vgg.classifier[:5](features.flatten(1))
        converted = network.eval().head[:5](features)
    # in the middle of the 7 x 7 map the convolution sees all of it
    torch.testing.assert_close(converted[:, :, 3, 3], connected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("settings", "said"), [({"stride": 4}, "32, 16|8, 16"), ({"encoder": "vgg12"}, "unknown VGG")])
def test_what_it_cannot_be_is_refused(settings: dict, said: str):
    with pytest.raises(UserError, match=said):
        FCN(**{"classes": 3, "encoder": "vgg11", "hidden": 16} | settings)
