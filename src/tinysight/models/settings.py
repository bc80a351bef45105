"""What a recipe may say about the reference network. Importing this module imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from tinysight.config import Config
from tinysight.errors import unknown_name
from tinysight.models.spec import ModelSpec
from tinysight.models.zoo import CHOSEN_ELSEWHERE, ZOO

__all__ = ["CHECKPOINT", "ONNX_FILE", "PROGRAM", "LibraryArgs", "ModelSettings"]

PROGRAM = ".pt2"
CHECKPOINT = "network"
"""Where the folder of a candidate or a training keeps its checkpoint."""
ONNX_FILE = ".onnx"
"""How the names of files end that hold a whole network: what ``torch.export.save`` wrote, and ONNX."""


def _refuse_chosen_elsewhere(args: dict[str, Any]) -> dict[str, Any]:
    for key in args:
        if key in CHOSEN_ELSEWHERE:
            raise ValueError(f"'{key}' is no argument to give: {CHOSEN_ELSEWHERE[key]}")
    return args


WHOLE = (PROGRAM, ONNX_FILE)

LibraryArgs = Annotated[dict[str, Any], AfterValidator(_refuse_chosen_elsewhere)]
"""Arguments of a network's library, without those that tinysight chooses."""


class ModelSettings(Config):
    """The reference: a row of the zoo, a class of somebody's code, or a checkpoint made earlier.

    ``name`` is a row of the zoo with an ``encoder`` where it has one; ``import``, written instead, is the path of a
    class or function, ``package.module:Class``, that is called with ``args`` alone. ``weights`` is a file with trained
    weights, of the network or of another implementation that its row knows. ``checkpoint`` is a folder written by
    ``tinysight train`` or a candidate's ``network`` folder, or a whole network in one file; it brings its own
    architecture. ``pretrained`` lets the network's library download trained weights, True for its usual ones or their
    tag; without it nothing is ever downloaded, and weights start random. ``output`` names the part of the result that
    holds the scores, where there are several.
    """

    name: str = "pspnet"
    encoder: str = "resnet18"
    args: dict[str, Any] = Field(default_factory=dict)
    output: str | int | None = None
    weights: Path | None = None
    checkpoint: Path | None = None
    pretrained: bool | str = False

    @model_validator(mode="before")
    @classmethod
    def _import_is_a_name(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "import" not in content:
            return content
        rest = {key: value for key, value in content.items() if key != "import"}
        if strange := sorted(rest.keys() & {"name", "encoder", "checkpoint"}):
            raise ValueError(f"import stands instead of {strange[0]}: give one of them")
        path = content["import"]
        if not isinstance(path, str) or not all(path.partition(":")):
            raise ValueError("import must be the path of a class, package.module:Class")
        return rest | {"name": path}

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ZOO and ":" not in name:
            raise ValueError(str(unknown_name("network", name, ZOO)))
        return name

    @model_validator(mode="after")
    def _zoo_takes_library_args(self) -> ModelSettings:
        if not self.foreign:
            _refuse_chosen_elsewhere(self.args)
        if self.whole and (beside := sorted({"name", "encoder", "args"} & self.model_fields_set)):
            raise ValueError(f"a {self.whole.suffix} file is the whole network: take {beside[0]} out")
        sources = [key for key in ("weights", "checkpoint", "pretrained") if getattr(self, key)]
        if len(sources) > 1:
            raise ValueError(f"{sources[0]} and {sources[1]} both bring weights: give one of them")
        if self.pretrained and self.foreign:
            raise ValueError("pretrained weights are those of a library, not of imported code: give them as weights")
        return self

    @model_serializer(mode="wrap")
    def _as_before_there_was_pretrained(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave it out where it is not asked for: plans and identities without it mean the same."""
        content: dict[str, Any] = write(self)
        return content if self.pretrained else {key: value for key, value in content.items() if key != "pretrained"}

    @property
    def foreign(self) -> bool:
        """Whether building the network runs code that is not tinysight's."""
        return ":" in self.name

    @property
    def whole(self) -> Path | None:
        """The file that holds architecture and weights of the whole network, where there is one."""
        return self.checkpoint if self.checkpoint and self.checkpoint.suffix in WHOLE else None

    @property
    def trained(self) -> bool:
        """Whether it comes with weights that somebody trained."""
        return bool(self.weights or self.checkpoint or self.pretrained)

    def spec(self, classes: int) -> ModelSpec:
        """Return the specification of a network for ``classes`` classes."""
        if self.foreign:
            return ModelSpec(builder=self.name, args=self.args, output=self.output)
        encoder = {"encoder": self.encoder} if ZOO[self.name].has_encoder or "encoder" in self.model_fields_set else {}
        return ModelSpec(builder=self.name, args={**encoder, "classes": classes, **self.args}, output=self.output)
