"""Attention whose heads need not make up the width of what it reads, in place of ``torch.nn.MultiheadAttention``.

PyTorch's own asks that heads times their width equal the embedding's width, so that neither can be cut without the
other. This one takes its sizes from its weights, which keep their names.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from tinysight.reduction.verify import EXACT, InDouble, relative_difference, run

__all__ = ["FreeAttention", "free_attentions", "freed", "with_free_attentions"]


class FreeAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) with the weights of a ``torch.nn.MultiheadAttention``.

    ``in_proj_weight`` is (3 x heads x head width, embedding), ``out_proj`` leads back to the embedding. Called like
    PyTorch's, without masks; it returns no weights.
    """

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads = original.num_heads
        self.dropout = original.dropout
        self.batch_first = original.batch_first
        self.in_proj_weight = original.in_proj_weight
        self.in_proj_bias = original.in_proj_bias
        self.out_proj = original.out_proj

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Let every token of ``query`` (batch, tokens, embedding) look at those of ``key`` and ``value``."""
        del need_weights
        asked, offered, given = map(self._heads, self._projected(query, key, value))
        dropout = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(asked, offered, given, dropout_p=dropout)
        seen = seen.transpose(1, 2).flatten(2)
        return self.out_proj(seen if self.batch_first else seen.transpose(0, 1)), None

    def _projected(self, *tokens: Tensor) -> Sequence[Tensor]:
        """Return queries, keys and values; of tokens that look at themselves in one product."""
        weight, bias = self.in_proj_weight, self.in_proj_bias
        if all(each is tokens[0] for each in tokens):
            return functional.linear(tokens[0], weight, bias).chunk(3, 2)
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        return [functional.linear(*each) for each in zip(tokens, weight.chunk(3), biases, strict=True)]

    def _heads(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, channels) or (tokens, batch, channels) -> (batch, heads, tokens, head width)."""
        tokens = tokens if self.batch_first else tokens.transpose(0, 1)
        return tokens.view(*tokens.shape[:2], self.num_heads, -1).transpose(1, 2)


def freed(network: nn.Module, images: Tensor) -> tuple[nn.Module, list[str]]:
    """Return a copy whose attentions are free, as far as the outputs allow, and their paths."""
    paths = free_attentions(network, images)
    return with_free_attentions(copy.deepcopy(network), paths), paths


def free_attentions(network: nn.Module, images: Tensor) -> list[str]:
    """Return the paths of the attentions that can be replaced without changing the outputs."""
    own = nn.MultiheadAttention
    paths = [path for path, module in network.named_modules() if type(module) is own and _is_plain(module)]
    if not paths:
        return []
    before, pictures = copy.deepcopy(network).double(), images.double()
    try:
        free = with_free_attentions(copy.deepcopy(before), paths)
        with InDouble():
            return paths if relative_difference(run(before, pictures), run(free, pictures)) <= EXACT else []
    except Exception:  # code that gives masks, or wants the weights, does not run
        return []


def with_free_attentions(module: nn.Module, paths: Sequence[str]) -> nn.Module:
    """Put free attentions in the place of PyTorch's, in place."""
    for path in paths:
        parent, _, name = path.rpartition(".")
        original = module.get_submodule(path)
        assert isinstance(original, nn.MultiheadAttention)
        setattr(module.get_submodule(parent), name, FreeAttention(original))
    return module


def _is_plain(module: nn.MultiheadAttention) -> bool:
    """Whether queries, keys and values are as wide as each other and nothing is added to them."""
    return module._qkv_same_embed_dim and module.bias_k is None and not module.add_zero_attn
