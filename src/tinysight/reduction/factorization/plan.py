"""Which layers are factorized, in which form and with which ranks."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from torch import Tensor, nn

from tinysight.measure.compute import count_macs
from tinysight.reduction.factorization.forms import FORMS, Form, Layer, Ranks
from tinysight.reduction.verify import run

__all__ = ["Choice", "Cost", "Options", "Site", "find_sites", "largest_level"]

Cost = Literal["macs", "parameters"]

LEVELS = 12
"""Halvings in the search for a level: a thousandth of the whole range is finer than ranks are."""


@dataclass(frozen=True)
class Site:
    """A layer that may be factorized, with what it reads of one image, how often it runs, and what that takes."""

    path: str
    layer: Layer
    images: Tensor
    calls: int
    costs: Mapping[Cost, int]


@dataclass(frozen=True)
class Choice:
    """A form and its ranks for one layer, and what the factors take."""

    form: str
    ranks: Ranks
    costs: Mapping[Cost, int]


def find_sites(module: nn.Module, images: Tensor, wanted: Callable[[str], bool]) -> list[Site]:
    """Return the plain convolutions and linear layers that run, in the network's order, among those ``wanted``."""
    read: dict[str, Tensor] = {}
    calls: Counter[str] = Counter()
    watched = copy.deepcopy(module)
    for path, layer in watched.named_modules():
        if _is_plain(layer) and wanted(path):

            def note(_module: nn.Module, inputs: tuple[Any, ...], path: str = path) -> None:
                read.setdefault(path, inputs[0].detach().clone())
                calls[path] += 1

            layer.register_forward_pre_hook(note)
    run(watched, images)
    layers = {path: _layer(module, path) for path in read}
    return [
        Site(path, layer, read[path], calls[path], _costs(layer, read[path], calls[path]))
        for path, layer in layers.items()
    ]


@dataclass
class Options:
    """What each layer may become.

    ``unfit`` says of a layer and a form why the two do not go together, ``forbidden`` what was found against it.
    """

    sites: Sequence[Site]
    forms: Sequence[str]
    unfit: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    forbidden: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        self._forms: dict[tuple[str, str], Form] = {}
        for site in self.sites:
            for name in self.forms:
                if reason := FORMS[name].unfit(site.layer):
                    self.unfit[site.path][name] = reason
                else:
                    self._forms[site.path, name] = FORMS[name](site.layer)
        self._sites = {site.path: site for site in self.sites}
        self._choice = cache(self._count)
        self._times: dict[tuple[str, str, Ranks], float] = {}

    def at(self, level: float, by: Literal["energy", "rank"], of: Cost) -> dict[str, Choice]:
        """Return for every layer the form that costs least at a level: a share of its weights' energy or full ranks.

        Layers that would cost no less than before are left out.
        """
        chosen = {}
        for site in self.sites:
            found = min(self._of(site, level, by), key=lambda choice: choice.costs[of], default=None)
            if found and all(found.costs[one] < site.costs[one] for one in found.costs):
                chosen[site.path] = found
        return chosen

    def forbid(self, path: str, choice: Choice, reason: str) -> None:
        """Take a form from a layer."""
        self.forbidden[path][choice.form] = reason

    def times_as_fast(
        self, site: Site, choice: Choice, timed: Callable[[nn.Module, nn.Module, Tensor], float]
    ) -> float:
        """Return how many times as fast the factors are as the layer; each pair is timed once."""
        key = (site.path, choice.form, choice.ranks)
        if key not in self._times:
            factors = self._forms[site.path, choice.form].factors(choice.ranks)
            self._times[key] = timed(copy.deepcopy(site.layer), factors, site.images)
        return self._times[key]

    def cost(self, chosen: Mapping[str, Choice], of: Cost, whole: int) -> int:
        """Return what a network takes that took ``whole`` before."""
        saved = (site.costs[of] - chosen[site.path].costs[of] for site in self.sites if site.path in chosen)
        return whole - sum(saved)

    def left(self, chosen: Iterable[str]) -> dict[str, str]:
        """Say of every layer that is not chosen why it is left alone."""
        return {site.path: self._why(site.path) for site in self.sites if site.path not in chosen}

    def _why(self, path: str) -> str:
        unfit, forbidden = self.unfit[path], self.forbidden[path]
        if len(unfit) == len(self.forms):
            return "; ".join(f"{name}: {reason}" for name, reason in unfit.items())
        reasons = [f"{name}: {reason}" for name, reason in forbidden.items()]
        if len(unfit) + len(forbidden) < len(self.forms):
            reasons.append("no other form saves anything" if reasons else "no form saves anything at this level")
        return "; ".join(reasons)

    def _of(self, site: Site, level: float, by: str) -> Iterator[Choice]:
        for name in self.forms:
            if name not in self.unfit[site.path] and name not in self.forbidden[site.path]:
                form = self._forms[site.path, name]
                ranks = form.ranks_of_energy(level) if by == "energy" else form.ranks_of_share(level)
                yield self._choice(site.path, name, ranks)

    def _count(self, path: str, name: str, ranks: Ranks) -> Choice:
        site = self._sites[path]
        shapes = nn.Sequential(*FORMS[name](copy.deepcopy(site.layer).to("meta")).parts(ranks))
        return Choice(name, ranks, _costs(shapes, site.images.to("meta"), site.calls))


def largest_level(fits: Callable[[float], bool], halvings: int = LEVELS) -> float | None:
    """Return the largest level in (0, 1) that fits, where smaller levels fit sooner; None where none does."""
    low, high, found = 0.0, 1.0, None
    for _ in range(halvings):
        middle = (low + high) / 2
        if fits(middle):
            low = found = middle
        else:
            high = middle
    return found


def _is_plain(module: nn.Module) -> bool:
    """Tell layers that compute what their class in torch computes; libraries' own kinds may do more."""
    kinds = (nn.Conv2d, nn.Linear)
    plain = isinstance(module, kinds) and type(module).forward in {kind.forward for kind in kinds}
    return plain and getattr(module, "padding_mode", "zeros") == "zeros"


def _layer(module: nn.Module, path: str) -> Layer:
    layer = module.get_submodule(path)
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    return layer


def _costs(module: nn.Module, images: Tensor, calls: int) -> dict[Cost, int]:
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return {"macs": calls * count_macs(module, images), "parameters": parameters}
