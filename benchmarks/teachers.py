"""What a teacher costs: seconds of an epoch with each kind of teacher, in turn, against an epoch without one.

    python benchmarks/teachers.py [--student mobilenetv4_conv_small_050] [--size 320] [--batches 8] [--rounds 5]

Writes docs/results/teachers.md: the time of a distilled step as a multiple of a plain one, median and spread over
rounds, and how far each teacher's soft loss is from that of eager float32. Pictures are drawn facades; weights are
random, which times do not depend on.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tinysight.data import InputPolicy
from tinysight.data.memory import in_memory
from tinysight.data.readers import Facades
from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx
from tinysight.engines.hardware import processor
from tinysight.files import write_text
from tinysight.models.scores import Scores
from tinysight.models.spec import ModelSpec
from tinysight.progress import Progress
from tinysight.runs.environment import versions
from tinysight.tasks import Segmentation
from tinysight.training.batches import Batch, Batches
from tinysight.training.losses import soft_targets, task_loss
from tinysight.training.teachers import EngineTeacher, FixedViews, LiveTeacher, Sizes

PAGE = Path(__file__).parent.parent / "docs" / "results" / "teachers.md"
ABOUT = (
    "Seconds of a training step with each kind of teacher, against a step without one. Fixed views are labelled once, "
    "before; that costs as much as so many epochs with the engine as there are views, and is shared by all students. "
    "Made by `python benchmarks/teachers.py`."
)
BATCH_SIZE = 8
TASK = Segmentation(("background", "advertising"))
HARD = task_loss("cross_entropy", TASK)
SOFT = soft_targets(HARD, soft=0.5, temperature=2.0)
Epoch = Callable[[], Iterable[Batch]]


class Bf16Teacher:
    """The eager teacher under bfloat16 autocast and channels_last, whatever the processor makes of it."""

    def __init__(self, scores: nn.Module) -> None:
        self._scores = copy.deepcopy(scores).eval().to(memory_format=torch.channels_last)

    def __call__(self, images: Tensor) -> Tensor:
        shown = images.to(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return self._scores(shown).float()


class PlainTeacher:
    """The eager teacher in float32, in torch's usual layout or in ``channels_last``."""

    def __init__(self, scores: nn.Module, layout: torch.memory_format = torch.contiguous_format) -> None:
        self._scores, self._layout = copy.deepcopy(scores).eval().to(memory_format=layout), layout

    def __call__(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self._scores(images.to(memory_format=self._layout))


def network(encoder: str) -> nn.Module:
    """Build a PSPNet with random weights."""
    torch.manual_seed(0)
    return Scores(ModelSpec(builder="pspnet", args={"encoder": encoder, "classes": 2}).build(), None)


def epochs(teacher: nn.Module, policy: InputPolicy, batches: Batches, folder: Path, threads: int) -> dict[str, Epoch]:
    """Return, by the kind of teacher, what yields the batches of an epoch."""
    sizes = Sizes.of(policy, policy)
    export_onnx(teacher, torch.randn(policy.shape), folder / "model.onnx")
    engine = ENGINES["openvino"]
    execute = "f32" if engine.refuse("bf16") else "bf16"
    compiled = EngineTeacher(engine.compile(folder, threads=threads, execute=execute))
    live = {
        "eager, float32": PlainTeacher(teacher),
        "eager, float32, channels_last": PlainTeacher(teacher, torch.channels_last),
        "eager, bfloat16, channels_last": Bf16Teacher(teacher),
        f"OpenVINO, {execute}": compiled,
    }
    views = FixedViews(batches, lambda: compiled, sizes, 2, folder / "views", Progress(quiet=True))
    taught = {name: LiveTeacher(batches, asked, sizes) for name, asked in live.items()}
    sources = {"none": batches, **taught, "fixed views": views}
    return {name: partial(source.epoch, BATCH_SIZE) for name, source in sources.items()}


def seconds_a_step(student: nn.Module, epoch: Epoch, count: int) -> float:
    """Time ``count`` training steps, after one that is not counted."""
    optimizer = torch.optim.AdamW(student.parameters())
    student.train().to(memory_format=torch.channels_last)
    torch.manual_seed(1)
    started = 0.0
    for number, batch in enumerate(islice(epoch(), count + 1)):
        if number == 1:
            started = time.perf_counter()
        batch = batch.to("cpu")
        with torch.autocast("cpu", torch.bfloat16, enabled=processor().has_bf16):  # as the training loop does
            scores = student(batch.images)
        loss = (HARD if batch.taught is None else SOFT)(batch, scores.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - started) / count


def soft_losses(student: nn.Module, epoch: Epoch) -> list[float]:
    """Return the loss of the first batches of an epoch, always the same images."""
    student.eval()
    torch.manual_seed(2)
    with torch.no_grad():
        return [float(SOFT(batch, student(batch.images))) for batch in islice(epoch(), 3)]


def main() -> int:
    """Time every kind in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="mobilenetv4_conv_small_050")
    parser.add_argument("--teacher", default="resnet50")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    threads = processor().usable_cores
    policy = InputPolicy(height=options.size, width=options.size)
    count = BATCH_SIZE * (options.batches + 1)
    data = Facades(train=count, val=1, test=1, height=options.size, width=options.size).read()
    batches = Batches(in_memory(data.split("train")), policy, TASK, augment=True)
    student = network(options.student)
    with tempfile.TemporaryDirectory() as folder:
        named = epochs(network(options.teacher), policy, batches, Path(folder), threads)
        times: dict[str, list[float]] = {name: [] for name in named}
        for _ in range(options.rounds):
            for name, epoch in named.items():
                times[name].append(seconds_a_step(student, epoch, options.batches))
        losses = {
            name: soft_losses(student, epoch) for name, epoch in named.items() if name not in {"none", "fixed views"}
        }
    conditions = (
        f"{processor().name}, {threads} threads; PSPNet on {options.student} taught by PSPNet on {options.teacher}, "
        f"{options.size} px, batches of {BATCH_SIZE}; {options.rounds} rounds of {options.batches} steps, all in turn "
        f"(`--rounds {options.rounds} --batches {options.batches}`); "
        f"torch {versions()['torch']}, openvino {versions()['openvino']}."
    )
    page = "\n".join(["# What a teacher costs", "", ABOUT, "", *table(times, losses), "", conditions, ""])
    write_text(PAGE, page)
    print(page)
    return 0


def table(times: dict[str, list[float]], losses: dict[str, list[float]]) -> Iterator[str]:
    """Yield one row a teacher."""
    yield "| teacher | s a step | × plain (5–95 %) | loss, relative difference from eager float32 |"
    yield "|---|---|---|---|"
    exact = np.asarray(losses["eager, float32"])
    for name, row in times.items():
        low, ratio, high = np.percentile(np.asarray(row) / np.asarray(times["none"]), [5, 50, 95])
        off = f"{np.abs(np.asarray(losses[name]) / exact - 1).max():.1e}" if name in losses else "–"
        yield f"| {name} | {np.median(row):.3f} | {ratio:.2f} ({low:.2f}–{high:.2f}) | {off} |"


if __name__ == "__main__":
    sys.exit(main())
