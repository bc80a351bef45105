"""Pretrained weights that a network's library offers: found, announced, and downloaded. The one place that downloads.

Nothing here runs unless a recipe says ``pretrained``. What is fetched, how large it is and on what terms is said first.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlparse

import huggingface_hub
import torch
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from torch import nn

from tinysight.errors import UserError, one_line, unknown_name
from tinysight.models.libraries import build_classifier, build_decoder, classifier_names, library_encoder
from tinysight.models.spec import ModelSpec, Provenance
from tinysight.models.zoo import ZOO, adapt_of, build
from tinysight.progress import Progress

__all__ = ["Normalisation", "Offer", "offer_of", "with_pretrained_weights"]

WAY_OUT = "or give a file you have as model.weights, which needs no network"
SAFE, PICKLED, DESCRIPTION = "model.safetensors", "pytorch_model.bin", "config.json"
"""Names of files in the hub's repositories: weights as they should be, as they may be, and what goes with them."""
PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Normalisation:
    """How weights expect pictures: (RGB / 255 - mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def otherwise(self, mean: tuple[float, ...], std: tuple[float, ...]) -> str:
        """Say that pictures are normalised by another ``mean`` and ``std``; empty where they are not."""
        if (mean, std) == (self.mean, self.std):
            return ""
        return (
            f"the pretrained weights expect mean {list(self.mean)} and std {list(self.std)}, and the input is "
            f"normalised by mean {list(mean)} and std {list(std)}: training has to make up for it"
        )


@dataclass(frozen=True)
class Offer:
    """Weights that may be had: those with ``tag``, at a web ``address`` or in a ``repository`` of the hub.

    ``files`` are the names the weights may have in the repository, in the order they are looked for; ``described``
    says that what they expect stands in another file there. ``licence`` and ``normalisation`` are None where they are
    known only once the hub is asked. ``channels`` are those of its pictures, ``classes`` those of a whole network, None
    for an encoder.
    """

    tag: str
    address: str = ""
    repository: str = ""
    revision: str | None = None
    files: tuple[str, ...] = ()
    described: bool = False
    licence: str | None = None
    normalisation: Normalisation | None = None
    channels: int = 3
    classes: int | None = None
    of_torchvision: Any = None

    @property
    def source(self) -> str:
        """Where they lie, for records: the hub's repository with its revision, or the address."""
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.repository}{at}" if self.repository else self.address

    def cached(self) -> list[Path]:
        """Return the files in the library's cache: none unless all that is needed is there."""
        if self.address:
            path = self.cache() / Path(urlparse(self.address).path).name
            return [path] if path.is_file() else []
        weights = next(filter(None, map(self._in_cache, self.files)), None)
        description = self._in_cache(DESCRIPTION) if self.described else None
        found = [path for path in (weights, description) if path]
        return found if len(found) == 1 + self.described else []

    def cache(self) -> Path:
        """Return the folder the library downloads into."""
        return Path(torch.hub.get_dir()) / "checkpoints" if self.address else Path(constants.HF_HUB_CACHE)

    def _in_cache(self, file: str) -> Path | None:
        found = huggingface_hub.try_to_load_from_cache(self.repository, file, revision=self.revision)
        return Path(found) if isinstance(found, str) else None


def offer_of(spec: ModelSpec, wanted: bool | str) -> Offer:
    """Find the weights for a network without asking any network.

    Args:
        spec: a row of the zoo with its arguments.
        wanted: the library's tag of certain weights, or True for its usual ones.

    Raises:
        UserError: the network's library offers none, or none with that tag.
    """
    row, encoder = ZOO[spec.builder], spec.args.get("encoder")
    tag = None if isinstance(wanted, bool) else wanted
    if row.family is build_decoder:
        name = library_encoder(encoder)
        return _of_timm(name.removeprefix("tu-"), tag) if name.startswith("tu-") else _of_smp(name, tag)
    if row.family is build_classifier:
        of_timm, of_torchvision = classifier_names()
        if encoder not in (*of_timm, *of_torchvision):
            raise unknown_name("classification network", str(encoder), (*of_timm, *of_torchvision))
        return _of_timm(str(encoder), tag) if encoder in of_timm else _of_torchvision(str(encoder), tag)
    if row.takes_torchvision:
        return _of_torchvision(str(encoder or "vgg16"), tag)
    raise UserError(f"model.pretrained: nobody offers weights for '{spec.builder}': leave it out, {WAY_OUT}")


def with_pretrained_weights(
    spec: ModelSpec, wanted: bool | str, progress: Progress
) -> tuple[nn.Module, ModelSpec, Normalisation | None]:
    """Build a network with pretrained weights, after saying which; returns it, its specification and what it expects.

    The specification records where the weights come from, and rebuilds the network without them. The normalisation is
    None where the weights expect something else than RGB.

    Raises:
        UserError: there are no such weights, they cannot be had, or the network cannot be built.
    """
    offer = offer_of(spec, wanted)
    spec.build()  # what is wrong with the network's own arguments is told before anything is fetched
    cached = bool(offer.cached())
    licence = _announced(offer, cached, progress)
    try:
        with _quiet_hub(offline=cached):
            module = _filled(spec, offer)
    except Exception as error:  # each library, and each kind of network failure, has its own
        cause = one_line(error.__cause__ or error, 160)
        raise UserError(
            f"the pretrained weights {offer.source} cannot be loaded ({cause}): try again, {WAY_OUT}"
        ) from error
    weights = Provenance(source=offer.source, tag=offer.tag, licence=licence)
    return module, spec.model_copy(update={"weights": (*spec.weights, weights)}), _expected(offer)


def _of_timm(name: str, tag: str | None) -> Offer:
    import timm

    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{name}.*")]
    if not tags:
        raise UserError(f"model.pretrained: timm offers no weights for '{name}': choose another encoder, {WAY_OUT}")
    if tag is not None and tag not in tags:
        raise UserError(f"model.pretrained: {unknown_name(f'weights of {name}', tag, tags)}, {WAY_OUT}")
    config: Any = timm.get_pretrained_cfg(name if tag is None else f"{name}.{tag}")
    repository, _, revision = (config.hf_hub_id or "").partition("@")
    named = config.hf_hub_filename
    return Offer(
        tag=config.tag,
        address="" if repository else config.url,
        repository=repository,
        revision=revision or None,
        files=(str(Path(named).with_suffix(".safetensors")), named) if named else (SAFE, PICKLED),
        licence=config.license,
        normalisation=Normalisation(tuple(config.mean), tuple(config.std)),
        channels=config.input_size[0],
        classes=config.num_classes,
    )


def _of_smp(encoder: str, tag: str | None) -> Offer:
    import segmentation_models_pytorch as smp

    offers = smp.encoders.encoders[encoder]["pretrained_settings"]
    if not offers:
        raise UserError(
            f"model.pretrained: segmentation-models-pytorch offers no weights for '{encoder}': choose another encoder, "
            f"{WAY_OUT}"
        )
    if tag is not None and tag not in offers:
        raise UserError(f"model.pretrained: {unknown_name(f'weights of {encoder}', tag, offers)}, {WAY_OUT}")
    chosen = tag or next(iter(offers))
    repository, revision = offers[chosen]["repo_id"], offers[chosen]["revision"]
    return Offer(tag=chosen, repository=repository, revision=revision, files=(SAFE,), described=True)


def _of_torchvision(name: str, tag: str | None) -> Offer:
    import torchvision.models

    offers = {weights.name: weights for weights in torchvision.models.get_model_weights(name)}
    if not offers:
        raise UserError(f"model.pretrained: torchvision offers no weights for '{name}': leave it out, {WAY_OUT}")
    if tag is not None and tag not in offers:
        raise UserError(f"model.pretrained: {unknown_name(f'weights of {name}', tag, offers)}, {WAY_OUT}")
    chosen = offers[tag] if tag else torchvision.models.get_model_weights(name).DEFAULT
    preset, meta = chosen.transforms(), chosen.meta
    return Offer(
        tag=chosen.name,
        address=chosen.url,
        licence=meta.get("license") or f"not stated by torchvision, see {meta.get('recipe', chosen.url)}",
        normalisation=Normalisation(tuple(preset.mean), tuple(preset.std)),
        classes=len(meta["categories"]),
        of_torchvision=chosen,
    )


def _announced(offer: Offer, cached: bool, progress: Progress) -> str:
    """Say what is used or fetched, before it is; returns the licence in words."""
    size, asked, file = (None, None, None) if cached else _asked(offer)
    licence = offer.licence or asked or f"not known here, see {constants.ENDPOINT}/{offer.repository}"
    files = file or (offer.cached()[0].name if cached else offer.files[0] if offer.files else "")
    where = offer.address or huggingface_hub.hf_hub_url(offer.repository, files, revision=offer.revision)
    length = f"{offer.cached()[0].stat().st_size:,} bytes" if cached else f"{size:,} bytes" if size else "size unknown"
    progress.say(f"pretrained weights '{offer.tag}': {where}, {length}, licence: {licence}")
    place = offer.cache()
    progress.say(f"taken from {place} without a network" if cached else f"downloading into {place}")
    return licence


def _asked(offer: Offer) -> tuple[int | None, str | None, str | None]:
    """Ask for the weights' size, their licence and their file's name; each None where it is not told.

    Raises:
        UserError: nobody answers.
    """
    try:
        if offer.address:
            request = urllib.request.Request(offer.address, method="HEAD")
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                length = answer.headers["Content-Length"]
            return (int(length) if length else None), None, None
        with _quiet_hub(offline=False):
            about = huggingface_hub.HfApi().model_info(
                offer.repository, revision=offer.revision, files_metadata=True, timeout=PATIENCE_SECONDS
            )
    except (HTTPError, HfHubHTTPError):  # not told: loading will say whether the weights are there
        return None, None, None
    except Exception as error:  # of the libraries' many, each means that nobody answers; they would try for a minute
        raise UserError(
            f"the pretrained weights {offer.source} cannot be reached ({one_line(error, 160)}): try again with a "
            f"network, {WAY_OUT}"
        ) from error
    sizes = {sibling.rfilename: sibling.size for sibling in about.siblings or ()}
    file = next((name for name in offer.files if name in sizes), None)
    return sizes.get(file or ""), about.card_data.get("license") if about.card_data else None, file


@contextlib.contextmanager
def _quiet_hub(*, offline: bool) -> Iterator[None]:
    """Let the hub's library send nothing about us, and where all is cached, ask nothing either."""
    before = constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY
    constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY = before[0] or offline, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY = before


def _filled(spec: ModelSpec, offer: Offer) -> nn.Module:
    """Build the network with the weights, through its library."""
    if offer.of_torchvision is None:
        return build(spec.builder, spec.args, offer.tag)
    module, state = build(spec.builder, spec.args), offer.of_torchvision.get_state_dict(progress=False)
    adapt, own = adapt_of(spec.builder), module.state_dict()
    given = dict(adapt(state, module)) if adapt else state
    # A head for other classes is another shape: it stays as it starts.
    module.load_state_dict(own | {name: t for name, t in given.items() if name in own and t.shape == own[name].shape})
    return module


def _expected(offer: Offer) -> Normalisation | None:
    if not offer.described:
        return offer.normalisation
    said = json.loads(offer.cached()[1].read_text(encoding="utf-8"))
    if said.get("input_space", "RGB") != "RGB":
        return None
    largest = max(said.get("input_range") or [0, 1])
    mean, std = (tuple(float(value) / largest for value in said[key]) for key in ("mean", "std"))
    return Normalisation(mean, std)
