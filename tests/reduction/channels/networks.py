"""Small networks, one for each way in which channels hang together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm


class Wired(nn.Module):
    """Layers by name; each subclass wires them its own way."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


def conv(inputs: int, outputs: int, side: int = 3, **more: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, padding=side // 2, **more)


class Residual(Wired):
    def __init__(self) -> None:
        super().__init__(stem=conv(3, 8), one=conv(8, 12), two=conv(12, 8), norm=nn.BatchNorm2d(8), head=conv(8, 2))

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        return self.head(functional.relu(stem + self.norm(self.two(functional.relu(self.one(stem))))))


class Dense(Wired):
    def __init__(self) -> None:
        super().__init__(one=conv(3, 6), two=conv(6, 4), norm=nn.BatchNorm2d(10), three=conv(10, 5), head=conv(15, 2))

    def forward(self, images: Tensor) -> Tensor:
        one = self.one(images)
        joined = torch.cat([one, self.two(one)], 1)
        return self.head(torch.cat([joined, self.three(functional.relu(self.norm(joined)))], dim=1))


class Shuffled(Wired):
    def __init__(self) -> None:
        super().__init__(one=conv(3, 8), two=conv(4, 6), three=conv(6, 4), head=conv(8, 2))

    def forward(self, images: Tensor) -> Tensor:
        left, right = self.one(images).chunk(2, dim=1)
        joined = torch.cat([left, self.three(functional.relu(self.two(right)))], 1)
        n, channels, height, width = joined.shape
        return self.head(joined.view(n, 2, channels // 2, height, width).transpose(1, 2).reshape(joined.shape))


class Flattened(Wired):
    def __init__(self) -> None:
        super().__init__(one=conv(3, 6), hidden=nn.Linear(96, 10), scale=nn.PReLU(10), head=nn.Linear(10, 2))

    def forward(self, images: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(self.one(images), 4)
        return self.head(self.scale(self.hidden(torch.flatten(pooled, 1))))


class Grouped(Wired):
    """Many groups, few groups, depthwise, and depthwise with two outputs for each input."""

    def __init__(self) -> None:
        super().__init__(
            stem=conv(3, 8), many=conv(8, 16, groups=4), mixed=conv(16, 12), few=conv(12, 8, groups=2),
            depthwise=conv(8, 8, groups=8), doubled=conv(8, 16, groups=8), head=conv(16, 2),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        features = functional.silu(self.mixed(self.many(self.stem(images))))
        return self.head(self.doubled(self.depthwise(self.few(features))))


class Excited(Wired):
    def __init__(self) -> None:
        super().__init__(stem=conv(3, 8), down=conv(8, 4, 1), up=conv(4, 8, 1), place=conv(8, 1), head=conv(8, 2))

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        gate = self.up(functional.relu(self.down(features.mean((2, 3), keepdim=True)))).sigmoid()
        return self.head(features * gate * self.place(features).sigmoid())


class Normed(Wired):
    """Batch, group and instance norm, and a layer norm over channels that stand last."""

    def __init__(self) -> None:
        super().__init__(
            one=conv(3, 8), batch=nn.BatchNorm2d(8), two=conv(8, 12), group=nn.GroupNorm(4, 12), three=conv(12, 6),
            instance=nn.InstanceNorm2d(6, affine=True), four=conv(6, 10), layer=nn.LayerNorm(10), head=nn.Linear(10, 2),
        )  # fmt: skip
        self.gain = nn.Parameter(torch.rand(10))

    def forward(self, images: Tensor) -> Tensor:
        features = self.three(functional.gelu(self.group(self.two(self.batch(self.one(images))))))
        last = self.four(self.instance(features)).permute(0, 2, 3, 1)
        return self.head(self.layer(last) * self.gain)


class Upsampled(Wired):
    """Transposed convolutions, plain and grouped, unpooling and interpolation, as in a decoder."""

    def __init__(self) -> None:
        super().__init__(
            one=conv(3, 8), two=conv(8, 8), up=nn.ConvTranspose2d(8, 6, 2, 2),
            fine=nn.ConvTranspose2d(6, 6, 3, 1, 1, groups=6), few=nn.ConvTranspose2d(6, 4, 3, 1, 1, groups=2),
            head=conv(12, 2),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        one = self.one(images)
        pooled, places = functional.max_pool2d(one, 2, return_indices=True)
        unpooled = functional.max_unpool2d(self.two(pooled), places, 2)
        raised = self.few(functional.leaky_relu(self.fine(self.up(pooled))))
        wide = functional.interpolate(raised, size=one.shape[-2:], mode="bilinear")
        return self.head(torch.cat([unpooled, wide], 1))


class Shared(Wired):
    def __init__(self) -> None:
        super().__init__(stem=conv(3, 8), twice=conv(8, 8), norm=nn.BatchNorm2d(8), head=conv(8, 2))

    def forward(self, images: Tensor) -> Tensor:
        once = self.norm(self.twice(self.stem(images)))
        return self.head(self.norm(self.twice(functional.relu(once))))


class Attending(Wired):
    """Tokens with a learned position and a class token; q, k and v from one matrix, head by head."""

    def __init__(self) -> None:
        super().__init__(
            stem=nn.Conv2d(3, 12, 4, 4), norm=nn.LayerNorm(12), qkv=nn.Linear(12, 36), proj=nn.Linear(12, 12)
        )
        self.hidden, self.out, self.head = nn.Linear(12, 20), nn.Linear(20, 12), nn.Linear(12, 2)
        self.token, self.position = nn.Parameter(torch.rand(1, 1, 12)), nn.Parameter(torch.rand(1, 17, 12))
        self.num_heads, self.size = 4, 3

    def forward(self, images: Tensor) -> Tensor:
        patches = self.stem(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], 1) + self.position
        n, count, _ = tokens.shape
        qkv = self.qkv(self.norm(tokens)).reshape(n, count, 3, self.num_heads, self.size).permute(2, 0, 3, 1, 4)
        weights = (qkv[0] @ qkv[1].transpose(-2, -1)).softmax(-1)
        tokens = tokens + self.proj((weights @ qkv[2]).transpose(1, 2).flatten(2))
        return self.head((tokens + self.out(functional.gelu(self.hidden(tokens))))[:, 0])


class Comparing(Wired):
    """Attention by angles, whose keys have no bias: the middle third of one that q, k and v share is set to zero."""

    def __init__(self) -> None:
        super().__init__(stem=nn.Conv2d(3, 12, 4, 4), qkv=nn.Linear(12, 36), proj=nn.Linear(12, 2))
        self.n_heads, self.size = 4, 3

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        bias = self.qkv.bias.clone()
        third = bias.numel() // 3
        bias[third : 2 * third].zero_()
        qkv = functional.linear(tokens, self.qkv.weight, bias)
        qkv = qkv.reshape(*tokens.shape[:2], 3, self.n_heads, self.size).permute(2, 0, 3, 1, 4)
        weights = (functional.normalize(qkv[0], dim=-1) @ functional.normalize(qkv[1], dim=-1).mT).softmax(-1)
        return self.proj((weights @ qkv[2]).transpose(1, 2).flatten(2)).mean(1)


class Rearranged(Wired):
    """Pixels from channels, parts added up, padding around places."""

    def __init__(self) -> None:
        super().__init__(one=conv(3, 16), two=conv(4, 6), three=conv(4, 6), head=conv(6, 2))

    def forward(self, images: Tensor) -> Tensor:
        fine = functional.pad(functional.pixel_shuffle(self.one(images), 2), (1, 1, 1, 1))
        return self.head(torch.stack([self.two(fine), self.three(fine)], 1).sum(1))


class Gated(Wired):
    """Halves that gate each other, bounds by channel, and one tensor made as wide as another."""

    def __init__(self) -> None:
        super().__init__(one=conv(3, 12), two=conv(6, 6), single=conv(6, 1), head=conv(6, 2))
        self.bound = nn.Parameter(torch.rand(1, 6, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        gated = functional.glu(self.one(images), dim=1)
        bounded = torch.clamp(self.two(gated), max=self.bound)
        return self.head(torch.maximum(bounded, self.single(gated).expand_as(bounded)))


class Checked(Wired):
    """``torch.as_tensor`` makes the exporter check what it is given."""

    def __init__(self) -> None:
        super().__init__(one=conv(3, 6), two=conv(6, 4), head=conv(4, 2))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.as_tensor(self.two(torch.as_tensor(self.one(images)))))


CUT = {
    Residual: {"stem": 8, "one": 12},
    Dense: {"one": 6, "two": 4, "three": 5},
    Shuffled: {"one": 4, "two": 6},
    Flattened: {"one": 6, "hidden": 10},
    Grouped: {"stem": 4, "mixed": 6, "few": 4},
    Excited: {"stem": 8, "down": 4},
    Normed: {"one": 8, "two": 4, "three": 6, "four": 10},
    Upsampled: {"one": 8, "up": 3, "few": 2},
    Shared: {"stem": 8},
    Attending: {"stem": 12, "qkv": 4, "hidden": 20},
    Comparing: {"stem": 12, "qkv": 4},
    Rearranged: {"one": 4, "two": 6},
    Gated: {"one": 6},
    Checked: {"one": 6, "two": 4},
}
"""For each network its groups by name, with the number of units."""


class Refusing(Wired):
    """A convolution, something between that its channels do not survive, and another."""

    def __init__(self, between: str) -> None:
        super().__init__(one=conv(3, 8), two=conv(8, 2), single=conv(1, 2), odd=weight_norm(conv(8, 2)))
        self.between = between

    def forward(self, images: Tensor) -> Tensor:
        features = self.one(images)
        if self.between == "literal":
            return self.two(features.view(-1, 8, 64, 4).view(-1, 8, 16, 16))
        if self.between == "softmax":
            return self.two(features.softmax(1))
        if self.between == "mean":
            return self.single(features.mean(1, keepdim=True))
        if self.between == "picked":
            return self.single(features[:, 2:3])
        if self.between == "operator":
            return self.two(torch.fft.fft2(features).real)
        if self.between == "computed weight":
            return self.odd(features)
        if self.between == "larger of two":
            return self.two(torch.max(features, -features))
        if self.between == "constant":
            return self.two(features + torch.arange(8.0).view(1, 8, 1, 1))
        return features
