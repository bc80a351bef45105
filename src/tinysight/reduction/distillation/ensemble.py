"""Ensembles: several teachers that label a picture together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tinysight.data import InputPolicy
from tinysight.data.sample import file_digest
from tinysight.errors import UserError
from tinysight.reduction.network import WEIGHTS, Network, checkpoint_folder, load_network, refuse_other_classes
from tinysight.reduction.step import Context
from tinysight.reduction.verify import run
from tinysight.training.losses import planes, resized
from tinysight.training.soft_targets import at_smaller_size
from tinysight.training.teachers import EagerTeacher, Teacher

__all__ = ["ensemble", "weights_digest"]


def weights_digest(folder: Path) -> str:
    """Identify the weights of a checkpoint.

    Raises:
        UserError: there is none in ``folder``.
    """
    return file_digest(checkpoint_folder(folder) / WEIGHTS)


def ensemble(folders: Sequence[Path], context: Context) -> Callable[[], Teacher]:
    """Return what makes a teacher of the reference and the checkpoints in ``folders``.

    Its scores are the mean of their log-probabilities: the geometric mean of what they predict, at any temperature.

    Raises:
        UserError: a checkpoint cannot be read or is for other classes or pictures.
    """
    networks = [_checked(folder, load_network(folder).float_part, context) for folder in folders]

    def make() -> Teacher:
        others = [_translated(network, context) for network in networks]
        teachers = [context.ask_teacher(), *others]

        def ask(images: Tensor) -> Tensor:
            together, *rest = (planes(teacher(images)).log_softmax(1) for teacher in teachers)
            for given in rest:
                one, other = at_smaller_size(together, given)
                together = one + other
            return together / len(teachers)

        return ask

    return make


def _checked(folder: Path, network: Network, context: Context) -> Network:
    scores = run(network.scores, network.example())
    classes, expected = planes(scores).shape[1], len(context.task.classes)
    if classes != expected:
        raise UserError(
            f"the teacher {folder} tells {classes} classes apart, and the data has {expected}: "
            "give one that was trained for the same classes"
        )
    if context.task.refuse_output(scores.shape):
        raise UserError(
            f"the teacher {folder} gives scores of the shape {tuple(scores.shape)}, which is no {context.task.name}: "
            "give one that was trained for the same task"
        )
    if scores.isnan().any():
        raise UserError(f"the scores of the teacher {folder} are not numbers (NaN): give another, or train it again")
    _refuse_other_pictures(folder, network.input, context.teacher.input)
    refuse_other_classes("teacher", folder, context.task.classes, "give one trained for the same, in the same order")
    return network


def _refuse_other_pictures(folder: Path, its: InputPolicy, own: InputPolicy) -> None:
    if its.mode != own.mode:
        raise UserError(
            f"the teacher {folder} takes its input by '{its.mode}' and the reference by '{own.mode}': "
            "both must be shown the same pictures"
        )
    if (len(its.mean), its.normalised_by) != (len(own.mean), own.normalised_by):
        raise UserError(
            f"the teacher {folder} takes {_described(its)}, and the reference {_described(own)}: give one that "
            "takes the same pictures"
        )


def _described(policy: InputPolicy) -> str:
    by = "by your own code" if policy.normalised_by == "caller" else "by tinysight"
    return f"pictures of {len(policy.mean)} channels normalised {by}"


def _translated(network: Network, context: Context) -> Teacher:
    """Return a teacher for pictures that were normalised, and brought to size, for the reference."""
    own, its = network.input, context.teacher.input
    teacher = EagerTeacher(network.scores, context.device)
    scale, shift = _from_to(its, own)

    def ask(images: Tensor) -> Tensor:
        return teacher(resized(images * scale + shift, (own.height, own.width)))

    return ask


def _from_to(one: InputPolicy, other: InputPolicy) -> tuple[Tensor, Tensor]:
    """Return what brings images normalised by ``one`` to the normalisation of ``other``: x * scale + shift."""
    mean, std, to_mean, to_std = (
        torch.tensor(values).view(-1, 1, 1) for values in (one.mean, one.std, other.mean, other.std)
    )
    return std / to_std, (mean - to_mean) / to_std
