"""The visible table of builders: decoders of segmentation-models-pytorch, classification networks, and our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinysight.errors import unknown_name
from tinysight.models.libraries import (
    CHOSEN_ELSEWHERE,
    build_classifier,
    build_decoder,
    build_own,
    found,
    parameters_of,
)

if TYPE_CHECKING:
    from torch import nn

    from tinysight.models.weights import Adapt

__all__ = ["CHOSEN_ELSEWHERE", "ZOO", "ZooRow", "adapt_of", "build", "defaults_of"]

SMP = "segmentation_models_pytorch"


@dataclass(frozen=True)
class ZooRow:
    """One builder: the class or function it stands for, who calls it, the task it serves, and where it comes from."""

    source: str
    family: Callable[[str, str, dict[str, Any], str | None], nn.Module]
    task: str
    about: str
    adapt: str = ""
    """``package.module:name`` of what turns another implementation's weights into its own."""
    takes_torchvision: bool = False
    """Whether that implementation is torchvision's network of its encoder's name."""

    @property
    def has_encoder(self) -> bool:
        """Whether its encoder can be chosen among the libraries' ones."""
        return self.family is not build_own

    @property
    def takes_encoder(self) -> bool:
        """Whether its encoder is an argument, be it among a few of its own."""
        return self.has_encoder or "encoder" in parameters_of(self.source)


def _decoder(library_class: str, about: str) -> ZooRow:
    return ZooRow(f"{SMP}:{library_class}", build_decoder, "segmentation", about)


def _own(source: str, task: str, about: str, adapt: str = "", *, takes_torchvision: bool = False) -> ZooRow:
    adapted = f"tinysight.models.{adapt}" if adapt else ""
    return ZooRow(f"tinysight.models.{source}", build_own, task, about, adapted, takes_torchvision)


ZOO: dict[str, ZooRow] = {
    "pspnet": _decoder("PSPNet", "pyramid pooling (Zhao et al. 2017)"),
    "unet": _decoder("Unet", "skip connections by concatenation (Ronneberger et al. 2015)"),
    "unetplusplus": _decoder("UnetPlusPlus", "nested skip connections (Zhou et al. 2018)"),
    "manet": _decoder("MAnet", "multi-scale attention (Fan et al. 2020)"),
    "linknet": _decoder("Linknet", "skip connections by addition (Chaurasia and Culurciello 2017)"),
    "fpn": _decoder("FPN", "feature pyramid (Kirillov et al. 2017)"),
    "deeplabv3": _decoder("DeepLabV3", "atrous pyramid (Chen et al. 2017)"),
    "deeplabv3plus": _decoder("DeepLabV3Plus", "atrous pyramid with a decoder (Chen et al. 2018)"),
    "pan": _decoder("PAN", "pyramid attention (Li et al. 2018)"),
    "upernet": _decoder("UPerNet", "unified perceptual parsing (Xiao et al. 2018)"),
    "segformer": _decoder("Segformer", "all-MLP decoder (Xie et al. 2021)"),
    "dpt": _decoder("DPT", "dense prediction transformer (Ranftl et al. 2021)"),
    "fcn": _own(
        "fcn:FCN",
        "segmentation",
        "VGG made convolutional; stride 32, 16 or 8 (Long et al. 2015)",
        "fcn:from_vgg",
        takes_torchvision=True,
    ),
    "enet": _own("enet:ENet", "segmentation", "real-time bottlenecks (Paszke et al. 2016)", "enet:from_pytorch_enet"),
    "unet_plain": _own("unet:PlainUNet", "segmentation", "3×3 convolutions, nearest upsampling, no batch norm"),
    "compact": _own("compact:Compact", "classification", "depthwise separable, small: where timm's are too large"),
    "classifier": ZooRow("timm:create_model", build_classifier, "classification", "any network of timm or torchvision"),
}


def defaults_of(name: str) -> dict[str, Any] | None:
    """Return the builder's own arguments of row ``name`` with their defaults; None where there is no such row."""
    if name not in ZOO:
        return None
    parameters = parameters_of(ZOO[name].source)
    return {key: value.default for key, value in parameters.items() if key not in CHOSEN_ELSEWHERE}


def build(name: str, args: dict[str, Any], pretrained: str | None = None) -> nn.Module:
    """Build row ``name`` of the zoo with ``args``: ``encoder`` where it has one, ``classes``, and its source's own.

    Weights start random and nothing is downloaded, unless ``pretrained`` is the library's tag of trained weights:
    ``models.pretrained`` alone gives it, after it has said what is fetched.

    Raises:
        UserError: an unknown row or encoder, or arguments the builder refuses.
    """
    if name not in ZOO:
        raise unknown_name("network", name, ZOO)
    row = ZOO[name]
    return row.family(name, row.source, args, pretrained)


def adapt_of(name: str) -> Adapt | None:
    """Return what turns another implementation's weights into those of row ``name``; None where there is nothing."""
    source = ZOO[name].adapt if name in ZOO else ""
    return found(source) if source else None
