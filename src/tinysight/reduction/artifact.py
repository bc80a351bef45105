"""Artifact: the folder a network is exported to, with the file of every engine, its checkpoint and its description."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from tinysight.engines.base import MODEL_ONNX
from tinysight.engines.bundle import Bundle
from tinysight.engines.export import export_onnx
from tinysight.engines.openvino import convert_to_ir
from tinysight.files import write_atomically
from tinysight.reduction.network import Network
from tinysight.reduction.precision.writer import write
from tinysight.tasks import Task

__all__ = ["CHECKPOINT", "make_artifact"]

CHECKPOINT = "network"


def make_artifact(network: Network, task: Task, folder: Path, float_export: Path | None) -> None:
    """Write ``model.onnx``, OpenVINO's IR, ``bundle.json`` and the checkpoint of ``network`` into ``folder``.

    Args:
        network: what to export.
        task: its task.
        folder: made anew; nothing of an interrupted attempt is kept.
        float_export: the clean float ONNX file of ``network.float_part`` where it exists already.

    Raises:
        UserError: the network cannot be exported or converted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target = folder / MODEL_ONNX
    if float_export is None:
        export_onnx(network.scores, network.example(), target)
        float_export = target
    record = network.precision
    if record.tensors:
        written = write(onnx.load(float_export), record)
        write_atomically(target, lambda draft: onnx.save(written, str(draft)))
    elif float_export != target:
        shutil.copyfile(float_export, target)
    convert_to_ir(target, folder, keep_float16=record.stored == "float16")
    network.save(folder / CHECKPOINT)
    describe(network, task).save(folder)


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
    )
