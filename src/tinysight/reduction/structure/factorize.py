"""Factorize: write layers' weights as products, where that is faster on the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tinysight.reduction.naming import is_wanted, refuse_nothing_left, refuse_unknown_layers
from tinysight.reduction.step import Context, NotApplicable, StructureReduction
from tinysight.reduction.summary import Summary

if TYPE_CHECKING:
    from torch import nn

    from tinysight.reduction.factorization.plan import Choice, Options
    from tinysight.reduction.network import Network

__all__ = ["Factorize"]

LATENCY_HALVINGS = 6
"""Halvings in the search for a level by time: each exports and times the whole network."""

FormName = Literal["svd", "spatial_svd", "tucker", "cp", "separable"]


class Factorize(StructureReduction):
    """Replace convolutions and linear layers by thinner ones in a row that compute nearly the same.

    Every layer takes the form among ``forms`` that costs least, and is left alone where no form is faster on the engine
    than the layer itself. ``keep`` is a share of the sum of every layer's squared weights (``of: energy``), of every
    layer's full rank, or of what the whole network takes: then the share of energy is sought that gets there.

    ``layers`` and ``protect`` name modules by path, with all that lies inside them.
    """

    name: ClassVar[str] = "factorize"
    main: ClassVar[tuple[str, ...]] = ("keep", "of")

    forms: Annotated[tuple[FormName, ...], Field(min_length=1)] = ("svd", "spatial_svd", "tucker")
    keep: float = Field(0.9, gt=0, lt=1)
    of: Literal["energy", "rank", "macs", "parameters", "latency"] = "energy"
    layers: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _leaves_something_to_factorize(self) -> Factorize:
        refuse_nothing_left(self.layers, self.protect)
        return self

    @property
    def named_layers(self) -> tuple[str, ...]:
        """The layers asked for, or protected."""
        return (*self.layers, *self.protect)

    def reduce(self, network: Network, context: Context) -> Network:
        """Choose, time every choice on the engine, prove, record."""
        from tinysight.reduction.factorization.plan import Options, find_sites
        from tinysight.reduction.factorization.replace import refused

        refuse_unknown_layers(self, network.module)
        sites = find_sites(network.module, network.example(), self._is_wanted)
        if not sites:
            raise NotApplicable("no plain convolution or linear layer runs among the layers asked for")
        options = Options(sites, self.forms)
        while True:
            chosen = self._choose(options, network, context)
            record = {path: {"form": each.form, "ranks": list(each.ranks)} for path, each in chosen.items()}
            faults = self._slower(options, chosen, context) or refused(network.module, record, network.example(batch=2))
            if not faults:
                break
            for path, reason in faults.items():
                options.forbid(path, chosen[path], reason)
        left = options.left(chosen)
        if not chosen:
            raise NotApplicable("; ".join(f"{path}: {reason}" for path, reason in left.items())[:400])
        thinner = self.replay(network.copy().module, {"layers": record})
        counts = {path: (_parameters(network.module, path), _parameters(thinner, path)) for path in record}
        summary = Summary(asked=self.keep, of=self.of, unit="parameters", layers=counts, left=left)
        return network.with_step(self.step({"layers": record}, summary), thinner)

    @staticmethod
    def replay(module: nn.Module, record: dict[str, Any]) -> nn.Module:
        """Put the recorded forms and ranks in place."""
        from tinysight.reduction.factorization.replace import replaced

        return replaced(module, record["layers"])

    def _is_wanted(self, path: str) -> bool:
        return is_wanted([path], self.layers, self.protect)

    def _choose(self, options: Options, network: Network, context: Context) -> dict[str, Choice]:
        """Return forms and ranks by layer: at the level given, or at the largest that gets down to ``keep``."""
        from tinysight.measure.compute import count_macs
        from tinysight.reduction.factorization.plan import largest_level

        if self.of in {"energy", "rank"}:
            return options.at(self.keep, self.of, "macs")
        if self.of == "latency":
            level = largest_level(lambda level: self._is_fast(options, level, network, context), LATENCY_HALVINGS)
            return self._reached(options, level, "macs")
        whole = count_macs(network.scores, network.example())
        if self.of == "parameters":
            live = network.live  # what does not reach the output is in no file
            whole = sum(each.numel() for name, each in network.module.named_parameters() if name in live)
        of: Any = self.of
        level = largest_level(
            lambda level: options.cost(options.at(level, "energy", of), of, whole) <= self.keep * whole
        )
        return self._reached(options, level, of)

    def _reached(self, options: Options, level: float | None, of: Any) -> dict[str, Choice]:
        if level is None:
            alone = options.left(options.at(0.0, "energy", of))
            why = "; left alone: " + "; ".join(f"{path}: {reason}" for path, reason in alone.items()) if alone else ""
            raise NotApplicable(
                f"even the smallest ranks leave more than {self.keep:g} of the network's {self.of}: give a larger keep"
                f"{why}"[:400]
            )
        return options.at(level, "energy", of)

    def _is_fast(self, options: Options, level: float, network: Network, context: Context) -> bool:
        from tinysight.reduction.factorization.replace import replaced

        chosen = options.at(level, "energy", "macs")
        record = {path: {"form": each.form, "ranks": each.ranks} for path, each in chosen.items()}
        thinner = network.copy()
        replaced(thinner.module, record)
        return context.times_as_fast(network.copy().scores, thinner.scores, network.example()) >= 1 / self.keep

    def _slower(self, options: Options, chosen: Mapping[str, Choice], context: Context) -> dict[str, str]:
        """Say by layer that its factors take longer than itself, timed in turn on the engine."""
        slower = {}
        with context.progress.track("timing factors", len(chosen)) as tick:
            for site in options.sites:
                if site.path in chosen:
                    ratio = options.times_as_fast(site, chosen[site.path], context.times_as_fast)
                    if ratio < 1:
                        slower[site.path] = f"takes {1 / ratio:.2f} times as long on the engine"
                    tick(1)
        return slower


def _parameters(module: nn.Module, path: str) -> int:
    return sum(parameter.numel() for parameter in module.get_submodule(path).parameters())
