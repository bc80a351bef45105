"""ModelSpec: the JSON that rebuilds a network. Importing this module imports no torch."""

from __future__ import annotations

import importlib
import traceback
from typing import TYPE_CHECKING, Any

from tinysight.config import Config
from tinysight.errors import UserError, one_line

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LIVE", "ModelSpec", "Provenance"]

LIVE = "live"


class Provenance(Config):
    """Where trained weights come from: their address, the library's ``tag`` for them, and the licence stated there."""

    source: str
    tag: str
    licence: str

    def __str__(self) -> str:
        return f"pretrained weights {self.source} ({self.tag})"


class ModelSpec(Config):
    """What rebuilds a network: a builder and its arguments.

    ``builder`` is a row of the zoo (``pspnet``, ``unet``, …), an import path ``package.module:Class``, or ``live`` for
    an object handed over from Python, which only its owner can build again. ``output`` names the part of the network's
    result that holds the scores: a key of a dict, an index of a tuple, an attribute, or None where the result is the
    tensor itself. ``weights`` only records which pretrained weights this network, or one it was made from, began with:
    building downloads nothing.
    """

    builder: str
    args: dict[str, Any] = {}
    output: str | int | None = None
    parent: str | None = None
    weights: tuple[Provenance, ...] = ()

    @property
    def label(self) -> str:
        """A short name for tables: the builder and its encoder, or the class of a live network."""
        return " ".join(str(part) for part in (self.args.get("class", self.builder), self.args.get("encoder")) if part)

    @property
    def foreign(self) -> bool:
        """Whether building it would import code that is not tinysight's."""
        return ":" in self.builder

    def build(self, *, trust: bool = False) -> nn.Module:
        """Build the network with fresh weights.

        Args:
            trust: allow a builder that is an import path, whose code then runs.

        Raises:
            UserError: the builder is unknown, foreign without trust, live, raises, or returns no network.
        """
        if self.builder == LIVE:
            raise UserError(
                "this checkpoint was made from a live network, which has no builder: use load(path, into=model)"
            )
        if self.foreign:
            return self._import(trust)
        from tinysight.models import zoo

        return zoo.build(self.builder, self.args)

    def _import(self, trust: bool) -> nn.Module:
        if not trust:
            raise UserError(
                f"building this network would import and run {self.builder} with {self.args}: "
                "add --trust, or trust=True, if you know that code"
            )
        module_name, _, attribute = self.builder.partition(":")
        # Whatever somebody's code raises, sys.exit included, is theirs to mend: say what, and where.
        try:
            factory = getattr(importlib.import_module(module_name), attribute)
        except (Exception, SystemExit) as error:
            raise UserError(
                f"the builder {self.builder} cannot be imported ({_said(error)}): check its path, and its code"
            ) from error
        try:
            built = factory(**self.args)
        except (Exception, SystemExit) as error:
            raise UserError(
                f"the builder {self.builder} refuses {self.args} ({_said(error)}): correct model.args, or its code"
            ) from error
        from torch import nn

        if not isinstance(built, nn.Module):
            raise UserError(
                f"the builder {self.builder} returns a {type(built).__name__}, not a torch.nn.Module: name a class of "
                "networks, or a function that returns one"
            )
        return built


def _said(error: BaseException) -> str:
    """Say what was raised, and where, unless that is here or in Python's import itself."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if frame.filename not in {__file__, importlib.__file__} and frame.filename[0] != "<"
    ]
    where = f", line {own[-1].lineno} of {own[-1].filename}" if own else ""
    return f"{type(error).__name__}: {one_line(error)}{where}"
