"""Artifact: the folder a network is exported to: one model file for every engine, its checkpoint, its description."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from tinysight.engines.base import MODEL_ONNX
from tinysight.engines.bundle import Bundle
from tinysight.engines.export import export_onnx
from tinysight.files import draft_of, write_atomically
from tinysight.reduction.network import CHECKPOINT, Network
from tinysight.reduction.precision.finishing import finish
from tinysight.reduction.precision.writer import write
from tinysight.tasks import Task

__all__ = ["export_float", "make_artifact"]


def make_artifact(network: Network, task: Task, folder: Path, float_export: Path | None) -> None:
    """Write ``model.onnx``, ``bundle.json`` and the checkpoint of ``network`` into ``folder``.

    Args:
        network: what to export.
        task: its task.
        folder: appears whole, once everything is in it; nothing of an earlier attempt is kept.
        float_export: the clean float ONNX file of ``network.float_part`` where it exists already.

    Raises:
        UserError: the network cannot be exported.
    """
    draft = draft_of(folder)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    target = draft / MODEL_ONNX
    if float_export is None:
        export_float(network, target)
        float_export = target
    record = network.precision
    if record.tensors:
        written = write(onnx.load(float_export), record)
        finish(written)
        write_atomically(target, lambda draft: onnx.save(written, str(draft)))
    elif float_export != target:
        shutil.copyfile(float_export, target)
    network.save(draft / CHECKPOINT)
    describe(network, task).save(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def export_float(network: Network, path: Path) -> None:
    """Write the clean float ONNX file of a network without a precision step.

    Raises:
        UserError: the network cannot be exported.
    """
    if network.file:
        network.file.write(path)
    else:
        export_onnx(network.scores, network.example(), path)


def describe(network: Network, task: Task) -> Bundle:
    """Return the description of a network's artifact, before anything is measured."""
    record = network.precision
    steps = [{"kind": step.kind, "method": step.method, "version": step.version} for step in network.steps]
    return Bundle(
        schema=1,
        task=task.name,
        classes=task.classes,
        ignore_index=task.ignore_index,
        input=network.input,
        stored=record.stored,
        execute=record.execute,
        lineage={"spec": network.spec.model_dump(mode="json"), "steps": steps},
        licences={str(weights): weights.licence for weights in network.spec.weights},
    )
