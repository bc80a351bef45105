"""ENet (Paszke et al. 2016, "ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation")."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ENet", "from_pytorch_enet"]

FEWER = 4
"""A bottleneck's inner convolutions see a quarter of its channels."""


def _normed(convolution: nn.Module, channels: int) -> list[nn.Module]:
    """A convolution with batch norm and one PReLU slope a feature map."""
    return [convolution, nn.BatchNorm2d(channels), nn.PReLU(channels)]


class Initial(nn.Module):
    """A 3×3 convolution of stride 2 with 13 filters beside a max-pool of the picture: 16 maps at half the size."""

    def __init__(self, channels: int, pool: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, channels - 3, 3, stride=2, padding=1, bias=False)
        self.pool = nn.MaxPool2d(pool, stride=2, padding=pool // 2 if pool % 2 else 0)
        self.norm = nn.BatchNorm2d(channels)
        self.activation = nn.PReLU(channels)

    def forward(self, images: Tensor) -> Tensor:
        """Map (batch, 3, h, w) to (batch, 16, h/2, w/2)."""
        joined = torch.cat([self.convolution(images), self.pool(images)], dim=1)
        return torch.as_tensor(self.activation(self.norm(joined)))


class Bottleneck(nn.Module):
    """Projection, main convolution, expansion, spatial dropout; added to the input."""

    def __init__(self, channels: int, dropout: float, *, dilation: int = 1, asymmetric: int = 0) -> None:
        super().__init__()
        inner = channels // FEWER
        self.project = nn.Sequential(*_normed(nn.Conv2d(channels, inner, 1, bias=False), inner))
        self.main = nn.Sequential(*self._main(inner, dilation, asymmetric))
        self.expand = nn.Sequential(*_normed(nn.Conv2d(inner, channels, 1, bias=False), channels))
        self.dropout = nn.Dropout2d(dropout)
        self.activation = nn.PReLU(channels)

    @staticmethod
    def _main(inner: int, dilation: int, asymmetric: int) -> list[nn.Module]:
        if not asymmetric:
            same = nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, bias=False)
            return _normed(same, inner)
        size, side = asymmetric, asymmetric // 2
        column = nn.Conv2d(inner, inner, (size, 1), padding=(side, 0), bias=False)
        row = nn.Conv2d(inner, inner, (1, size), padding=(0, side), bias=False)
        return [*_normed(column, inner), *_normed(row, inner)]

    def forward(self, maps: Tensor) -> Tensor:
        """Keep the shape (batch, channels, h, w)."""
        changed = self.dropout(self.expand(self.main(self.project(maps))))
        return torch.as_tensor(self.activation(maps + changed))


class Downsampling(nn.Module):
    """A bottleneck whose projection is 2×2 of stride 2, beside a max-pool padded with empty maps."""

    def __init__(self, channels: int, wider: int, dropout: float, pool: int) -> None:
        super().__init__()
        inner = channels // FEWER
        self.extra = wider - channels
        self.pool = nn.MaxPool2d(pool, stride=2, padding=pool // 2 if pool % 2 else 0, return_indices=True)
        self.project = nn.Sequential(*_normed(nn.Conv2d(channels, inner, 2, stride=2, bias=False), inner))
        self.main = nn.Sequential(*_normed(nn.Conv2d(inner, inner, 3, padding=1, bias=False), inner))
        self.expand = nn.Sequential(*_normed(nn.Conv2d(inner, wider, 1, bias=False), wider))
        self.dropout = nn.Dropout2d(dropout)
        self.activation = nn.PReLU(wider)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Map (batch, channels, h, w) to (batch, wider, h/2, w/2), and say where each pooled value came from."""
        pooled, places = self.pool(maps)
        padded = functional.pad(pooled, (0, 0, 0, 0, 0, self.extra))
        changed = self.dropout(self.expand(self.main(self.project(maps))))
        return self.activation(padded + changed), places


class Upsampling(nn.Module):
    """A bottleneck whose main convolution is transposed, beside a max-unpool by the encoder's places."""

    def __init__(self, channels: int, narrower: int, dropout: float) -> None:
        super().__init__()
        inner = channels // FEWER
        self.skip = nn.Sequential(nn.Conv2d(channels, narrower, 1, bias=False), nn.BatchNorm2d(narrower))
        self.unpool = nn.MaxUnpool2d(2)
        self.project = nn.Sequential(*_normed(nn.Conv2d(channels, inner, 1, bias=False), inner))
        transposed = nn.ConvTranspose2d(inner, inner, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.main = nn.Sequential(*_normed(transposed, inner))
        self.expand = nn.Sequential(*_normed(nn.Conv2d(inner, narrower, 1, bias=False), narrower))
        self.dropout = nn.Dropout2d(dropout)
        self.activation = nn.PReLU(narrower)

    def forward(self, maps: Tensor, places: Tensor) -> Tensor:
        """Map (batch, channels, h, w) to (batch, narrower, 2h, 2w)."""
        unpooled = self.unpool(self.skip(maps), places)
        changed = self.dropout(self.expand(self.main(self.project(maps))))
        return torch.as_tensor(self.activation(unpooled + changed))


def _second_stage(channels: int, dropout: float) -> list[Bottleneck]:
    """The eight bottlenecks 2.1 to 2.8, which stage 3 has again."""
    return [
        Bottleneck(channels, dropout),
        Bottleneck(channels, dropout, dilation=2),
        Bottleneck(channels, dropout, asymmetric=5),
        Bottleneck(channels, dropout, dilation=4),
        Bottleneck(channels, dropout),
        Bottleneck(channels, dropout, dilation=8),
        Bottleneck(channels, dropout, asymmetric=5),
        Bottleneck(channels, dropout, dilation=16),
    ]


class ENet(nn.Module):
    """A small encoder and a smaller decoder for real-time segmentation, table 1 of the paper.

    Sides of pictures must be divisible by 8. ``dropout`` holds the spatial dropout's rates before bottleneck 2.0 and
    from there on. ``pool`` is the side of the pooling windows: 2 in the paper, 3 in some trained weights.
    """

    def __init__(self, classes: int = 12, dropout: tuple[float, float] = (0.01, 0.1), pool: int = 2) -> None:
        super().__init__()
        early, late = dropout
        self.initial = Initial(16, pool)
        self.down1 = Downsampling(16, 64, early, pool)
        self.stage1 = nn.Sequential(*(Bottleneck(64, early) for _ in range(4)))
        self.down2 = Downsampling(64, 128, late, pool)
        self.stage2 = nn.Sequential(*_second_stage(128, late))
        self.stage3 = nn.Sequential(*_second_stage(128, late))
        self.up4 = Upsampling(128, 64, late)
        self.stage4 = nn.Sequential(*(Bottleneck(64, late) for _ in range(2)))
        self.up5 = Upsampling(64, 16, late)
        self.stage5 = nn.Sequential(Bottleneck(16, late))
        self.full = nn.ConvTranspose2d(16, classes, 3, stride=2, padding=1, output_padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, 3, h, w) to scores (batch, classes, h, w)."""
        maps, places1 = self.down1(self.initial(images))
        maps, places2 = self.down2(self.stage1(maps))
        maps = self.stage3(self.stage2(maps))
        maps = self.stage4(self.up4(maps, places2))
        maps = self.stage5(self.up5(maps, places1))
        return torch.as_tensor(self.full(maps))


_BLOCKS = (
    (r"^initial_block\.", "initial."),
    (r"^downsample([12])_0\.", r"down\1."),
    (r"^upsample([45])_0\.", r"up\1."),
    (r"^transposed_conv\.", "full."),
)
_PARTS = (
    (r"\.main_branch\.", ".convolution."),
    (r"\.batch_norm\.", ".norm."),
    (r"\.main_conv1\.", ".skip."),
    (r"\.ext_conv1\.", ".project."),
    (r"\.ext_conv2\.", ".main."),
    (r"\.ext_conv3\.", ".expand."),
    (r"\.out_prelu\.", ".activation."),
)


def from_pytorch_enet(state: Mapping[str, Tensor], network: ENet) -> dict[str, Tensor]:
    """Give the tensors of PyTorch-ENet, another implementation, the names and shapes of ``network``.

    It shares one PReLU slope among the feature maps inside a bottleneck: here every map gets that slope.
    """
    own = network.state_dict()
    renamed = {_own_name(name): tensor for name, tensor in state.items()}
    return {name: tensor.expand_as(own[name]) if name in own else tensor for name, tensor in renamed.items()}


def _own_name(name: str) -> str:
    name = re.sub(r"^(?:regular|dilated|asymmetric)([1245])_(\d)\.", lambda m: f"stage{m[1]}.{int(m[2]) - 1}.", name)
    # Stage 3 has no downsampling, so its first bottleneck is number 0.
    name = re.sub(r"^(?:regular|dilated|asymmetric)3_(\d)\.", r"stage3.\1.", name)
    for pattern, replacement in (*_BLOCKS, *_PARTS):
        name = re.sub(pattern, replacement, name)
    return name
