"""Encoder: another, lighter encoder in the same decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from tinysight.errors import unknown_name
from tinysight.models.settings import LibraryArgs
from tinysight.models.zoo import ZOO, defaults_of
from tinysight.reduction.step import ArchitectureReduction, Context, NotApplicable

if TYPE_CHECKING:
    from tinysight.models.spec import ModelSpec
    from tinysight.reduction.network import Network

__all__ = ["Encoder"]


class Encoder(ArchitectureReduction):
    """Build a student with the encoder ``to``, of timm or segmentation-models-pytorch, untrained.

    ``decoder`` is a row of the zoo, by default the network's own; networks that the zoo did not build need one.
    ``args`` are arguments of the decoder's or encoder's library that the student has otherwise than the network.
    ``pretrained`` lets the encoder's library download trained weights, True for its usual ones or their tag; the rest
    of the student is untrained all the same.
    """

    name: ClassVar[str] = "encoder"

    to: str
    decoder: str | None = None
    args: LibraryArgs = Field(default_factory=dict)
    pretrained: bool | str = False

    @field_validator("decoder")
    @classmethod
    def _known(cls, decoder: str | None) -> str | None:
        if decoder is not None and decoder not in ZOO:
            raise ValueError(str(unknown_name("network", decoder, ZOO)))
        return decoder

    @model_serializer(mode="wrap")
    def _as_before_there_was_pretrained(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave it out where it is not asked for: plans and identities without it mean the same."""
        content: dict[str, Any] = write(self)
        return content if self.pretrained else {key: value for key, value in content.items() if key != "pretrained"}

    @property
    def label(self) -> str:
        """The decoder where it is another, the encoder, and what it is given."""
        given = ", ".join(f"{key} {value}" for key, value in self.args.items())
        tag = f" {self.pretrained}" if isinstance(self.pretrained, str) else ""
        weights = f"pretrained{tag}" if self.pretrained else ""
        return " ".join(part for part in (self.decoder, self.to, f"({given})" if given else "", weights) if part)

    def design(self, spec: ModelSpec, classes: int) -> ModelSpec:
        """Swap the encoder."""
        builder = self.decoder or spec.builder
        if builder not in ZOO:
            raise NotApplicable(f"{spec.label} was not built by the zoo: name the student's decoder, such as pspnet")
        if not ZOO[builder].takes_encoder:
            raise NotApplicable(f"{builder} has no encoder that could be another: name the student's decoder")
        # The old encoder's own arguments go with it.
        own = (defaults_of(builder) or {}).keys() if builder == spec.builder else set()
        kept = {key: value for key, value in spec.args.items() if key in own}
        args = {"classes": classes, **kept, "encoder": self.to, **self.args}
        student = spec.model_copy(update={"builder": builder, "args": args, "output": None})
        if self.pretrained:
            from tinysight.models.pretrained import offer_of

            offer_of(student, self.pretrained)  # there is none: told before the reference is trained
        return student

    def reduce(self, network: Network, context: Context) -> Network:
        """Build the student, and fill its encoder where asked."""
        student = super().reduce(network, context)
        if not self.pretrained:
            return student
        from tinysight.models.pretrained import with_pretrained_weights

        module, spec, expected = with_pretrained_weights(student.spec, self.pretrained, context.progress)
        if expected and (caution := expected.otherwise(student.input.mean, student.input.std)):
            context.progress.say(caution)
        return replace(student, module=module.eval(), spec=spec)
