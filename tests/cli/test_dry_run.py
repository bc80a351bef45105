"""``reduce --dry-run``: what can be cut, before anything is."""

from __future__ import annotations

from pathlib import Path

OWN = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 2, 1)

    def forward(self, images):
        one = self.one(images)
        return self.head(self.two(one).view(-1, 8, one.shape[2] - 2, one.shape[3] - 2))
"""


def test_layers_are_listed_with_what_goes_with_them(cli, recipe: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    answer = cli("reduce", recipe, "--dry-run")
    assert answer.code == 0, answer.err
    assert "can be cut" in answer.out
    assert "it reaches the output" in answer.out
    assert set(tmp_path.rglob("*")) <= before | {recipe}


def test_missing_files_are_named(cli, recipe: Path) -> None:
    answer = cli("reduce", recipe, "stages=[{fat: {unlabeled: nowhere}}]", "--dry-run")
    assert answer.code == 2
    assert "nowhere does not exist" in answer.err


def test_a_channel_count_in_the_code_is_named_with_its_line(cli, recipe: Path) -> None:
    (recipe.parent / "own_net.py").write_text(OWN)
    answer = cli("reduce", recipe, "model={import: own_net:Net}", "--dry-run", "--trust")
    assert answer.code == 0, answer.err
    assert "two: 'return self.head(self.two(one).view(-1, 8" in " ".join(answer.out.split())
    assert "one " in answer.out.partition("stay whole")[0]


def test_heads_of_an_attention_of_torch_can_be_cut(cli, recipe: Path) -> None:
    sizes = "{image_size: 64, patch_size: 16, num_layers: 1, num_heads: 4, hidden_dim: 16, mlp_dim: 32}"
    network = f"model={{import: 'torchvision.models:VisionTransformer', args: {sizes}}}"
    answer = cli("reduce", recipe, network, "--dry-run", "--trust")
    assert answer.code == 0, answer.err
    (row,) = [
        line.split() for line in answer.out.splitlines() if line.startswith("encoder.layers.encoder_layer_0.self")
    ]
    assert row[-2:] == ["4", "12"]  # four heads, each of four channels of q, k and v
