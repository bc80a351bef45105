"""Prune: cut the least important channels of every layer, or of some, with all that hangs on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tinysight.errors import unknown_name
from tinysight.reduction.naming import is_wanted, refuse_nothing_left, refuse_unknown_layers
from tinysight.reduction.step import Context, NotApplicable, StructureReduction
from tinysight.reduction.summary import Summary

if TYPE_CHECKING:
    from torch import nn

    from tinysight.reduction.network import Network

__all__ = ["CRITERIA", "Prune", "known_criterion"]

NORM = re.compile(r"l([1-9]|inf)")
CRITERIA = ("fpgm", "norm_scale", "activation", "taylor", "obd", "random")
"""Besides the norms l1, l2, … and linf."""


def known_criterion(name: str) -> str:
    """Return ``name`` where it is a criterion.

    Raises:
        ValueError: it is none, with the nearest there is.
    """
    if name not in CRITERIA and not NORM.fullmatch(name):
        raise ValueError(str(unknown_name("criterion", name, (*CRITERIA, "l1", "l2", "linf"))))
    return name


Criterion = Annotated[str, AfterValidator(known_criterion)]
Share = Annotated[float, Field(ge=0, le=1)]


def _multiple(value: Any) -> Any:
    if value != "measured" and not (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        raise ValueError("must be a whole number from 1 on, or 'measured'")
    return value


FAR = 0.05
"""From this distance to what was asked on, the reason is said and not only recorded."""


class Prune(StructureReduction):
    """Keep a share of the network's channels, or of what it takes, and cut the rest for good.

    ``of`` says what ``keep`` is a share of: channels, multiply-accumulates, parameters, bytes of the exported file, or
    time on the engine, measured. Which channels must go together is read off the network's operators; every cut is
    compared with the original that ignores what was cut, and rolled back where it is wrong.

    ``scope`` compares channels within their layer, or, each by its layer's mean, across the network. In several
    ``rounds``, what is left is judged anew before more goes. Every layer keeps the share ``least`` of its channels,
    those in ``limits`` the share that stands there. ``round_to`` makes channel counts multiples of a number, or of the
    one that the engine likes, which is ``measured``. ``layers``, ``protect`` and ``limits`` name modules by path, with
    all that lies inside them.
    """

    name: ClassVar[str] = "prune"
    main: ClassVar[tuple[str, ...]] = ("keep", "of")

    keep: float = Field(0.5, gt=0, lt=1)
    of: Literal["channels", "macs", "parameters", "bytes", "latency"] = "channels"
    criterion: Criterion = "l1"
    scope: Literal["layer", "global"] = "layer"
    rounds: int = Field(1, ge=1, le=100)
    least: float = Field(0.1, ge=0, lt=1)
    limits: dict[str, Share] = {}
    round_to: Annotated[int | Literal["measured"], BeforeValidator(_multiple)] = 1
    layers: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    images: int = Field(128, ge=2)

    @model_validator(mode="after")
    def _leaves_something_to_cut(self) -> Prune:
        refuse_nothing_left(self.layers, self.protect)
        if outside := [path for path in self.limits if not is_wanted([path], self.layers, self.protect)]:
            raise ValueError(f"limits names '{outside[0]}', which is protected or not among layers: leave it out there")
        if self.of == "channels" and self.least > self.keep:
            raise ValueError(
                f"least ({self.least:g}) leaves more channels than keep ({self.keep:g}): give a smaller one"
            )
        return self

    @property
    def named_layers(self) -> tuple[str, ...]:
        """The layers asked for, protected or limited."""
        return (*self.layers, *self.protect, *self.limits)

    def reduce(self, network: Network, context: Context) -> Network:
        """Choose, cut, prove, record, in as many rounds as asked."""
        from tinysight.reduction.channels.pruning import Pruning
        from tinysight.reduction.channels.rounding import liked_multiple

        refuse_unknown_layers(self, network.module)
        round_to = liked_multiple(context.times_as_fast) if self.round_to == "measured" else self.round_to
        work = Pruning(self, network, context, round_to)
        for number in range(1, self.rounds + 1):
            work.cut_down_to(self.keep ** (number / self.rounds))
        if not work.cuts:
            raise NotApplicable(work.nothing()[:400])
        if work.reached > self.keep + FAR:
            remain = f"{100 * work.reached:.0f} % of the {self.of} remain"
            context.progress.say(_far(remain, self.keep, work.refused))
        summary = Summary(
            asked=self.keep, of=self.of, reached=work.reached, unit="channels", layers=work.layers(), left=work.refused
        )
        record = {"free": work.free, "cuts": work.cuts} | ({"round_to": round_to} if round_to > 1 else {})
        return network.with_step(self.step(record, summary), work.current.module.eval())

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Cut the recorded channels."""
        from tinysight.reduction.channels.attention import with_free_attentions
        from tinysight.reduction.channels.cut import cut

        module = with_free_attentions(module, record["free"])
        for one in record["cuts"]:
            module = cut(module, one)
        return module


def _far(remains: str, asked: float, refused: Mapping[str, str]) -> str:
    reasons = {layer: reason for layer, reason in refused.items() if "the output" not in reason}
    first = next((f": {layer} stays whole because {reason}" for layer, reason in reasons.items()), "")
    return f"prune: {remains}, {100 * asked:g} % were asked; {len(reasons)} inner layers cannot be cut{first}"
