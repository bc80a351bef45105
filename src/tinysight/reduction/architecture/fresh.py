"""Fresh: a network with random weights, to be compared with others that are trained like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from tinysight.errors import unknown_name
from tinysight.models.settings import LibraryArgs
from tinysight.models.spec import LIVE
from tinysight.models.zoo import ZOO
from tinysight.reduction.step import ArchitectureReduction, Context, NotApplicable
from tinysight.reduction.structure.activations import Activation, Activations

if TYPE_CHECKING:
    from tinysight.models.spec import ModelSpec
    from tinysight.reduction.network import Network

__all__ = ["Fresh"]


class Fresh(ArchitectureReduction):
    """Build a network with random weights: the same one, another of the zoo, or one with another activation function.

    ``network`` is a row of the zoo with its ``encoder`` and ``args``, by default the network's own; what structure
    steps made of the same network stays. ``activation`` replaces every activation function that is a module of its
    own, ReLU included; gates such as Sigmoid are left alone. Equal seeds give equal weights, whatever the activation.
    """

    name: ClassVar[str] = "fresh"

    network: str | None = None
    encoder: str | None = None
    args: LibraryArgs = Field(default_factory=dict)
    activation: Activation | None = None

    @field_validator("network")
    @classmethod
    def _known(cls, network: str | None) -> str | None:
        if network is not None and network not in ZOO:
            raise ValueError(str(unknown_name("network", network, ZOO)))
        return network

    @property
    def label(self) -> str:
        """What is other than before."""
        given = ", ".join(f"{key} {value}" for key, value in self.args.items())
        network = None if self.encoder and self.network == "classifier" else self.network
        parts = (network, self.encoder, f"({given})" if given else "", self.activation)
        return " ".join(part for part in parts if part) or "random weights"

    def design(self, spec: ModelSpec, classes: int) -> ModelSpec:
        """Name the network."""
        if self.network is None:
            if spec.builder == LIVE or spec.foreign:
                raise NotApplicable(f"{spec.label} was not built by the zoo: name the network to build")
            encoder = {"encoder": self.encoder} if self.encoder else {}
            return spec.model_copy(update={"args": spec.args | encoder | self.args})
        encoder = {"encoder": self.encoder or "resnet18"} if ZOO[self.network].has_encoder or self.encoder else {}
        args = {**encoder, "classes": classes, **self.args}
        return spec.model_copy(update={"builder": self.network, "args": args, "output": None})

    def reduce(self, network: Network, context: Context) -> Network:
        """Build it, and swap its activations where asked."""
        spec = self.design(network.spec, len(context.task.classes))
        student = network.rebuilt(spec, self.step({"from": network.spec.model_dump(mode="json")}))
        return Activations.everywhere(student, self.activation) if self.activation else student
