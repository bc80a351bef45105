"""The libraries that networks come from: which encoders they have, and how one is built."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
from typing import TYPE_CHECKING, Any

from tinysight.errors import UserError, one_line, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = [
    "CHOSEN_ELSEWHERE",
    "build_classifier",
    "build_decoder",
    "build_own",
    "classifier_names",
    "encoder_names",
    "found",
    "library_encoder",
    "parameters_of",
]

CHOSEN_ELSEWHERE = {
    "encoder": "it is a setting of its own",
    "encoder_name": "the encoder is a setting of its own",
    "encoder_weights": "weights start random, or come from model.pretrained, model.weights or model.checkpoint",
    "in_channels": "photos have three channels",
    "classes": "their number follows from the data",
    "num_classes": "their number follows from the data",
    "kwargs": "name the arguments themselves",
}
"""Arguments of the libraries' classes that no recipe sets, and why."""

LOADING = ("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "weights", "weights_backbone")
"""Arguments by which libraries read files or download: a specification, perhaps a stranger's, must do neither."""


def encoder_names() -> tuple[list[str], list[str]]:
    """Return the encoders of segmentation-models-pytorch, and those of timm."""
    import segmentation_models_pytorch as smp
    import timm

    return list(smp.encoders.encoders), timm.list_models()


def classifier_names() -> tuple[list[str], list[str]]:
    """Return the classification networks of timm, and those that only torchvision has."""
    import timm
    import torchvision.models

    of_timm = timm.list_models()
    return of_timm, sorted(set(torchvision.models.list_models(module=torchvision.models)) - set(of_timm))


def parameters_of(source: str) -> dict[str, inspect.Parameter]:
    """Return the arguments of the builder ``package.module:Name`` by name."""
    return dict(inspect.signature(found(source)).parameters)


def build_decoder(name: str, source: str, args: dict[str, Any], pretrained: str | None) -> nn.Module:
    """Build a decoder of segmentation-models-pytorch on ``args['encoder']``, of its own or of timm.

    ``pretrained`` is the tag of the encoder's trained weights, which the library then loads or downloads.

    Raises:
        UserError: an unknown encoder, or arguments the library refuses.
    """
    options = dict(args)
    encoder = library_encoder(options.pop("encoder", "resnet18"))
    library_class = found(source)
    _refuse_loading(name, options)
    _refuse_swallowed(name, library_class, encoder, options)
    about = f"{name} with encoder '{encoder}' and {options}"
    weights: str | bool | None = pretrained
    if pretrained is not None and encoder.startswith("tu-"):  # timm's tags are part of the name
        encoder, weights = f"{encoder}.{pretrained}", True
    return _built(about, lambda: library_class(encoder_name=encoder, encoder_weights=weights, **options))


def build_classifier(name: str, source: str, args: dict[str, Any], pretrained: str | None) -> nn.Module:
    """Build the classification network ``args['encoder']`` of timm, or of torchvision where timm has none of that name.

    ``pretrained`` is the tag of timm's trained weights, which it then loads or downloads.

    Raises:
        UserError: an unknown network, or arguments the library refuses.
    """
    import torchvision.models

    options = dict(args)
    encoder, classes = options.pop("encoder", "resnet18"), options.pop("classes", 1000)
    _refuse_loading(name, options)
    of_timm, of_torchvision = classifier_names()
    about = f"{name} '{encoder}' with {options}"
    if encoder in of_timm:
        create, full = found(source), encoder if pretrained is None else f"{encoder}.{pretrained}"
        return _built(about, lambda: create(full, pretrained=pretrained is not None, num_classes=classes, **options))
    if encoder in of_torchvision:
        return _built(
            about, lambda: torchvision.models.get_model(encoder, weights=None, num_classes=classes, **options)
        )
    raise unknown_name("classification network", str(encoder), [*of_timm, *of_torchvision])


def build_own(name: str, source: str, args: dict[str, Any], _pretrained: str | None) -> nn.Module:
    """Build a network of tinysight's own, of which no trained weights are offered.

    Raises:
        UserError: an argument it does not have, or a value it refuses.
    """
    network_class = found(source)
    known = inspect.signature(network_class).parameters
    for option in args:
        if option not in known:
            raise unknown_name(f"argument of {name}", option, known)
    return _built(f"{name} with {args}", lambda: network_class(**args))


def _built(about: str, build: Callable[[], nn.Module]) -> nn.Module:
    try:
        # The libraries print advice about some networks; a progress bar is no place for it.
        with contextlib.redirect_stdout(io.StringIO()):
            return build()
    except Exception as error:  # every library has its own for what it dislikes
        raise UserError(f"{about} cannot be built: {one_line(error) or type(error).__name__}") from error


def found(source: str) -> Any:
    """Return what ``package.module:name`` names."""
    module, _, attribute = source.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _refuse_loading(name: str, options: dict[str, Any]) -> None:
    for option in LOADING:
        if option in options:
            raise UserError(
                f"{name} does not take the argument '{option}', which loads weights: take it out, and give trained "
                "weights as model.pretrained, model.weights or model.checkpoint"
            )


def _refuse_swallowed(name: str, library_class: type[nn.Module], encoder: str, options: dict[str, Any]) -> None:
    """The library hands arguments it does not know to timm's encoders; for its own encoders it drops them silently."""
    if encoder.startswith("tu-"):
        return
    known = inspect.signature(library_class).parameters.keys()
    for option in options:
        if option not in known:
            unknown = unknown_name(f"argument of {name}", option, known - CHOSEN_ELSEWHERE.keys())
            of_timm = f"tu-{encoder}" if encoder in encoder_names()[1] else "one of timm's"
            raise UserError(f"{unknown}; arguments of an encoder need timm's own: {of_timm}")


def library_encoder(encoder: Any) -> str:
    """Translate an encoder's name into the library's: its own as they are, timm's with the prefix ``tu-``.

    Raises:
        UserError: neither library has it; the nearest name is suggested.
    """
    own, timm_names = encoder_names()
    if not isinstance(encoder, str):
        raise unknown_name("encoder", repr(encoder), own)
    bare = encoder.removeprefix("tu-")
    if encoder in own:
        return encoder
    if bare in timm_names:
        return f"tu-{bare}"
    raise unknown_name("encoder", encoder, own + timm_names)
