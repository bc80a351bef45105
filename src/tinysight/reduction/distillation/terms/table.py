"""The visible table of terms: add a file, add a row."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from tinysight.config import Config
from tinysight.reduction.distillation.terms.attention import Attention
from tinysight.reduction.distillation.terms.base import Term
from tinysight.reduction.distillation.terms.channelwise import Channelwise
from tinysight.reduction.distillation.terms.decoupled import Decoupled
from tinysight.reduction.distillation.terms.embedding import Embedding
from tinysight.reduction.distillation.terms.hints import Hints
from tinysight.reduction.distillation.terms.pairwise import Pairwise
from tinysight.reduction.distillation.terms.relational import Relational
from tinysight.reduction.distillation.terms.selectivity import Selectivity
from tinysight.reduction.distillation.terms.similarity import Similarity

__all__ = ["Terms"]


class Terms(Config):
    """The terms that a recipe may name, each with its settings."""

    hints: Hints | None = None
    attention: Attention | None = None
    selectivity: Selectivity | None = None
    relational: Relational | None = None
    similarity: Similarity | None = None
    channelwise: Channelwise | None = None
    pairwise: Pairwise | None = None
    embedding: Embedding | None = None
    decoupled: Decoupled | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_empty(cls, given: Any) -> Any:
        """Refuse a name without settings, which YAML reads as nothing; a plan spells all terms out that are not set."""
        if isinstance(given, dict) and len(given) < len(cls.model_fields) / 2:
            for name in (name for name, settings in given.items() if settings is None):
                raise ValueError(f"{name} is empty: write {name}: {{}} for its defaults, or leave it out")
        return given

    @property
    def named(self) -> dict[str, Term]:
        """Those that are asked for, by name."""
        return {name: term for name in type(self).model_fields if (term := getattr(self, name)) is not None}
