"""Export to ONNX: the one clean float file that every engine's file and every precision is made from. Needs torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from tinysight.engines import places, pooling
from tinysight.errors import UserError
from tinysight.files import write_atomically

__all__ = ["INPUT", "OUTPUT", "TRANSPOSED", "export_onnx"]

INPUT = "image"
OUTPUT = "scores"
TRANSPOSED = ".T"
"""Ends the name of a constant that is a parameter transposed, such as the weight of a linear layer on tokens."""


def export_onnx(scores: nn.Module, example: Tensor, path: Path) -> None:
    """Export ``scores`` at the fixed shape of ``example`` to ``path``.

    The exporter folds batch norm into convolutions. Constants that are parameters have their names, and those that are
    a parameter transposed the name and ``TRANSPOSED``. What the exporter adds about its own making, stack traces with
    local paths among it, is stripped.

    Raises:
        UserError: the network uses something the exporter cannot express.
    """
    try:
        with _silence(), torch.no_grad():
            program = torch.onnx.export(
                scores.eval(),
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                custom_translation_table=pooling.TRANSLATIONS | places.TRANSLATIONS,
                verbose=False,
            )
    except Exception as error:  # the exporter wraps whatever the network or an operator raised
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise UserError(f"the network cannot be exported to ONNX: {reason}") from error
    if program is None:
        raise UserError("the network cannot be exported to ONNX: the exporter gave no program")
    model = program.model_proto
    _strip(model)
    _name_transposed(model.graph, scores)
    write_atomically(path, lambda draft: onnx.save(model, str(draft)))


def _strip(model: onnx.ModelProto) -> None:
    """Remove traces of the exporting machine: metadata on the model, its graph, its nodes and its values."""
    del model.metadata_props[:]
    model.doc_string = ""
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        graph.doc_string = ""
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
    del model.graph.metadata_props[:]
    # Shapes of inner values can be inferred again; in small files they weigh as much as the graph.
    del model.graph.value_info[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.doc_string = ""
        del value.metadata_props[:]


def _name_transposed(graph: onnx.GraphProto, scores: nn.Module) -> None:
    """Give the matrices that the exporter transposed and numbered the names of their parameters."""
    known = {constant.name for constant in graph.initializer}
    waiting = {
        name: parameter.detach().cpu().T.contiguous().numpy()
        for name, parameter in scores.named_parameters()
        if parameter.ndim == 2 and name not in known
    }
    names: dict[str, str] = {}
    for constant in graph.initializer:
        shape = tuple(constant.dims)
        if not waiting or len(shape) != 2 or all(shape != each.shape for each in waiting.values()):
            continue
        values = onnx.numpy_helper.to_array(constant)
        same = [name for name, each in waiting.items() if np.array_equal(each, values)]
        if len(same) == 1:
            names[constant.name] = same[0] + TRANSPOSED
            constant.name = names[constant.name]
            del waiting[same[0]]
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter talks on standard output and through warnings about its own internals."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
