"""The visible table of builders: segmentation-models-pytorch decoders, each with any encoder of its own or of timm."""

from __future__ import annotations

import contextlib
import inspect
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinysight.errors import UserError, one_line, unknown_name

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CHOSEN_ELSEWHERE", "ZOO", "ZooRow", "build", "defaults_of", "encoder_names"]


@dataclass(frozen=True)
class ZooRow:
    """One builder: the library class it stands for, the task it serves, and where it comes from."""

    library_class: str
    task: str
    about: str


ZOO: dict[str, ZooRow] = {
    "pspnet": ZooRow("PSPNet", "segmentation", "pyramid pooling (Zhao et al. 2017)"),
    "unet": ZooRow("Unet", "segmentation", "skip connections by concatenation (Ronneberger et al. 2015)"),
    "unetplusplus": ZooRow("UnetPlusPlus", "segmentation", "nested skip connections (Zhou et al. 2018)"),
    "manet": ZooRow("MAnet", "segmentation", "multi-scale attention (Fan et al. 2020)"),
    "linknet": ZooRow("Linknet", "segmentation", "skip connections by addition (Chaurasia and Culurciello 2017)"),
    "fpn": ZooRow("FPN", "segmentation", "feature pyramid (Kirillov et al. 2017)"),
    "deeplabv3": ZooRow("DeepLabV3", "segmentation", "atrous pyramid (Chen et al. 2017)"),
    "deeplabv3plus": ZooRow("DeepLabV3Plus", "segmentation", "atrous pyramid with a decoder (Chen et al. 2018)"),
    "pan": ZooRow("PAN", "segmentation", "pyramid attention (Li et al. 2018)"),
    "upernet": ZooRow("UPerNet", "segmentation", "unified perceptual parsing (Xiao et al. 2018)"),
    "segformer": ZooRow("Segformer", "segmentation", "all-MLP decoder (Xie et al. 2021)"),
    "dpt": ZooRow("DPT", "segmentation", "dense prediction transformer (Ranftl et al. 2021)"),
}


CHOSEN_ELSEWHERE = {
    "encoder": "it is a setting of its own",
    "encoder_name": "the encoder is a setting of its own",
    "encoder_weights": "weights start random, or come from model.checkpoint",
    "in_channels": "photos have three channels",
    "classes": "their number follows from the data",
    "kwargs": "name the arguments themselves",
}
"""Arguments of the library's classes that no recipe sets, and why."""

LOADING = ("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay")
"""Arguments by which timm reads files or downloads: a specification, perhaps a stranger's, must do neither."""


def encoder_names() -> tuple[list[str], list[str]]:
    """Return the encoder names of segmentation-models-pytorch, and those of timm."""
    import segmentation_models_pytorch as smp
    import timm

    return list(smp.encoders.encoders), timm.list_models()


def defaults_of(name: str) -> dict[str, Any] | None:
    """Return the library's own arguments of row ``name`` with their defaults; None where there is no such row."""
    if name not in ZOO:
        return None
    import segmentation_models_pytorch as smp

    parameters = inspect.signature(getattr(smp, ZOO[name].library_class)).parameters
    return {key: value.default for key, value in parameters.items() if key not in CHOSEN_ELSEWHERE}


def build(name: str, args: dict[str, Any]) -> nn.Module:
    """Build row ``name`` of the zoo with ``args``: ``encoder``, ``classes`` and whatever its library class takes.

    Nothing is downloaded: weights start random, and trained ones come from a checkpoint.

    Raises:
        UserError: an unknown row or encoder, or arguments the library refuses.
    """
    if name not in ZOO:
        raise unknown_name("network", name, ZOO)
    import segmentation_models_pytorch as smp

    options = dict(args)
    encoder = library_encoder(options.pop("encoder", "resnet18"))
    library_class = getattr(smp, ZOO[name].library_class)
    _refuse_swallowed(name, library_class, encoder, options)
    try:
        # The library prints advice about some timm encoders; a progress bar is no place for it.
        with contextlib.redirect_stdout(io.StringIO()):
            network: nn.Module = library_class(encoder_name=encoder, encoder_weights=None, **options)
    except Exception as error:  # every library has its own for what it dislikes
        reason = one_line(error) or type(error).__name__
        raise UserError(f"{name} with encoder '{encoder}' and {options} cannot be built: {reason}") from error
    return network


def _refuse_swallowed(name: str, library_class: type[nn.Module], encoder: str, options: dict[str, Any]) -> None:
    """The library hands arguments it does not know to timm's encoders; for its own encoders it drops them silently."""
    for option in LOADING:
        if option in options:
            raise UserError(
                f"{name} does not take the argument '{option}', which loads weights: take it out, and give trained "
                "weights as model.checkpoint"
            )
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
