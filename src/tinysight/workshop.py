"""The workshop: makes, exports, measures and judges candidates, each once, and keeps what it made in the run folder."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import onnx
import torch

from tinysight.config import digest_of
from tinysight.data.source import DATA
from tinysight.engines import ENGINES
from tinysight.engines.base import MODEL_ONNX
from tinysight.engines.bundle import Bundle
from tinysight.engines.torch import Eager
from tinysight.errors import UserError
from tinysight.job import Job, refuse_wrong_output
from tinysight.measure.candidate import Bench, Measured, Timer
from tinysight.measure.compute import COUNTER, count_macs
from tinysight.measure.latency import time_calls
from tinysight.measure.layers import times_as_fast
from tinysight.measure.process import MeasuringProcess
from tinysight.measure.quality import PER_IMAGE, PerImage
from tinysight.measure.records import Prospect, Quality, Speedup
from tinysight.models.liveness import parameter_counts
from tinysight.progress import Progress
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.network import CHECKPOINT, Network, load_network
from tinysight.reduction.onnx_file import ONNX_COUNTER
from tinysight.reduction.step import Context, NotApplicable, PrecisionReduction, Reduction
from tinysight.reduction.table import METHODS, is_untrained
from tinysight.runs.folder import RunFolder
from tinysight.runs.records import CandidateRecord, Drop
from tinysight.search.floor import compare, judge
from tinysight.search.walk import Stage
from tinysight.training.history import HISTORY, seconds_trained, training_time
from tinysight.training.loop import choose_device
from tinysight.training.teachers import EagerTeacher, EngineTeacher, Teacher

__all__ = ["EAGER", "Workshop"]

EAGER = "eager"
NO_DROP = Drop(points=0.0, low=0.0, high=0.0, p_within=1.0)


class Workshop:
    """Makes candidates for one run. A context manager: the processes it keeps warm end with it."""

    def __init__(self, job: Job, folder: RunFolder, progress: Progress) -> None:
        self._job, self._folder, self._progress = job, folder, progress
        self._bench = Bench(job.engine.name, job.engine.threads, folder.path / DATA, progress)
        self._processes: dict[str, MeasuringProcess] = {}
        self._open = ExitStack()
        self._count = 0

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    @cached_property
    def reference_id(self) -> str:
        """The reference's identity: the whole plan but its stages and goal, and the data's content."""
        made_from = {key: value for key, value in self._job.plan.items() if key not in {"stages", "goal", "name"}}
        content = {"reference": made_from, "data": self._job.data_digest, "weights": self._job.weights_digest}
        return digest_of(content)

    def reference(self) -> CandidateRecord:
        """Make or find the reference.

        Raises:
            UserError: it cannot be built, trained, exported or measured: without it there is nothing to compare with.
        """
        if found := self._finished(self.reference_id):
            self._folder.show(found)
            return found
        self._progress.say("reference")
        # Trainings are kept apart from measurements: another engine needs the same weights.
        training = self._folder.scratch(self._job.training)
        started = time.monotonic() - seconds_trained(training)
        network = self._job.make_reference(training, self._progress)
        refuse_wrong_output(network, self._job.task)
        artifact = self._folder.artifact(self.reference_id)
        make_artifact(network, self._job.task, artifact, None)
        if (training / HISTORY).is_file():
            shutil.copyfile(training / HISTORY, artifact / HISTORY)
        eager = {} if network.file else {EAGER: self._eager_timer(network)}
        measured = self._bench.measure(artifact, "val", artifact / PER_IMAGE, eager, {})
        own = Speedup(vs=self.reference_id, ratio=1.0, low=1.0, high=1.0)
        record = CandidateRecord(
            id=self.reference_id,
            parent=None,
            stage="reference",
            variant=network.spec.label,
            config=dict(self._job.plan.get("model", {})),
            seed=self._job.seed,
            verdict="reference",
            why="; ".join(f"began with {weights}, licence: {weights.licence}" for weights in network.spec.weights),
            drop=NO_DROP,
            **self._fields(self.reference_id, network, measured, own, own),
            training=training_time(training),
            seconds=time.monotonic() - started,
        )
        self._folder.keep(record)
        return record

    def attempt(
        self, parent: CandidateRecord, stage: Stage, variant: Reduction, refusal: str | None
    ) -> CandidateRecord:
        """Make, measure and judge one variant of ``parent``, or find it among what is finished.

        ``refusal`` is why it is not to be made, if it is not finished yet.
        """
        self._count += 1
        record = self._blank(parent, stage, variant)
        found = self._finished(record.id)
        if found and (found.bytes or found.verdict == "skipped"):
            record = self._up_to_date(found.with_(stage=stage.name), parent, variant)
            self._folder.show(record)
        elif refusal:
            record = record.with_(verdict="not_run", why=refusal)
            self._folder.show(record)
        else:
            record = self._made(parent, variant, record)
            self._folder.keep(record)
        return record

    @property
    def mac_counter(self) -> str:
        """What counts multiply-accumulates, in words."""
        return f"{COUNTER}; {ONNX_COUNTER}" if self._reference_network.file else COUNTER

    def network(self, identity: str) -> Network:
        """Load a candidate's network from its checkpoint."""
        return load_network(self._folder.artifact(identity) / CHECKPOINT, into=self._job.pristine)

    def per_image(self, identity: str) -> PerImage:
        """Return a candidate's statistics on the validation split."""
        return PerImage.load(self._folder.artifact(identity) / PER_IMAGE)

    def timers(self) -> dict[str, Timer]:
        """Return the timers every candidate is compared with: the reference on the engine, and in eager PyTorch.

        A reference that came as an ONNX file is not PyTorch's, and has the first alone.
        """
        compiled: dict[str, Timer] = {self.reference_id: self.process(self.reference_id).time}
        return compiled if self._reference_network.file else compiled | {EAGER: self._eager}

    def process(self, identity: str) -> MeasuringProcess:
        """Return the process that holds a candidate compiled; it ends with the workshop."""
        if identity not in self._processes:
            started = self._bench.start(self._folder.artifact(identity))
            self._processes[identity] = self._open.enter_context(started)
        return self._processes[identity]

    def photo_timer(self, identity: str) -> Timer:
        """Return the timer of a photo's whole way through a candidate."""
        return self._bench.photo_timer(self.process(identity), "val")

    def score(self, identity: str, split: str, per_image: Path) -> Quality:
        """Score a candidate on a split, in a process of its own."""
        artifact = self._folder.artifact(identity)
        with self._bench.start(artifact) as process:
            return self._bench.score(process, split, per_image, Bundle.open(artifact))

    def _finished(self, identity: str) -> CandidateRecord | None:
        """Return the record of a finished candidate whose files can still be read; any other is made again."""
        found = self._folder.find(identity)
        if found is None or any(step["method"] not in METHODS for step in found.steps):
            return None
        if found.bytes is None:
            return found
        artifact = self._folder.artifact(identity)
        try:
            self.per_image(identity)
            self.network(identity)
            Bundle.open(artifact)
            onnx.load(artifact / MODEL_ONNX)
            files = ENGINES[self._job.engine.name].files(artifact)
        except Exception:  # every library has its own error for a damaged file
            return None
        return found if {path.name: path.stat().st_size for path in files} == found.bytes.files else None

    def _made(self, parent: CandidateRecord, variant: Reduction, record: CandidateRecord) -> CandidateRecord:
        self._progress.say(f"[{self._count}] {record.stage}: {record.variant}, from {parent.variant}")
        # An interrupted call may have trained some epochs already.
        started = time.monotonic() - seconds_trained(self._folder.scratch(record.id))
        try:
            record = self._measured(parent, variant, record)
        except NotApplicable as reason:
            record = record.with_(verdict="skipped", why=str(reason))
        except UserError as error:
            record = record.with_(verdict="failed", why=str(error))
        return record.with_(seconds=time.monotonic() - started)

    def _measured(self, parent: CandidateRecord, variant: Reduction, record: CandidateRecord) -> CandidateRecord:
        if reason := variant.refuse_after([step["kind"] for step in parent.steps]):
            raise NotApplicable(reason)
        source = self.network(parent.id)
        if source.file and not variant.takes_files:
            raise NotApplicable(f"{source.spec.label} is an ONNX file: {variant.name} needs the network in PyTorch")
        context = self._context(parent, record)
        # After all that is loaded on first use, which draws random numbers: a run that goes on makes the same networks.
        torch.manual_seed(self._job.seed)
        network = variant.reduce(source, context)
        summary = network.steps[-1].summary
        for line in (summary.sentence, *summary.lines()) if summary else ():
            self._progress.say(line)
        same_weights = variant.changes == "precision" and network.module is source.module
        float_export = self._folder.artifact(parent.id) / MODEL_ONNX if same_weights else None
        artifact = self._folder.artifact(record.id)
        make_artifact(network, self._job.task, artifact, float_export)
        photos = {self.reference_id: self.photo_timer(self.reference_id)}
        measured = self._bench.measure(artifact, "val", artifact / PER_IMAGE, self.timers(), photos)
        speedups = measured.speedups[self.reference_id], measured.e2e_speedups[self.reference_id]
        fields = self._fields(record.id, network, measured, *speedups)
        prospect = self._prospect(parent, variant, network, artifact, context)
        return self._judged(record.with_(**fields, prospect=prospect, training=training_time(context.folder)))

    def _up_to_date(self, found: CandidateRecord, parent: CandidateRecord, variant: Reduction) -> CandidateRecord:
        """Bring a finished record to this plan: its goal may have changed since, and the precisions it asks for."""
        if not found.bytes:
            return found
        tried = [precision.name for precision in self._job.faster_precisions]
        known = found.prospect is not None and found.prospect.precision in tried
        final = any(step["kind"] == "precision" for step in found.steps)
        if self._job.shortlists and tried and not known and not final:
            network, artifact = self.network(found.id), self._folder.artifact(found.id)
            prospect = self._prospect(parent, variant, network, artifact, self._context(parent, found))
            found = found.with_(prospect=prospect)
            self._folder.keep(found)
        return self._judged(found)

    def _prospect(
        self, parent: CandidateRecord, variant: Reduction, network: Network, artifact: Path, context: Context
    ) -> Prospect | None:
        """Time a network in the precision it may ship in, where untrained ones are to be chosen among by that."""
        if not self._job.shortlists or any(step.kind == "precision" for step in network.steps):
            return None
        if variant.changes == "weights" and parent.prospect:
            return parent.prospect  # the same network at the same speed
        context = replace(context, float_export=lambda _network: artifact / MODEL_ONNX)
        found = [self._tried(precision, network, artifact, context) for precision in self._job.faster_precisions]
        return min(filter(None, found), key=self._job.goal.promise, default=None)

    def _tried(
        self, precision: PrecisionReduction, network: Network, artifact: Path, context: Context
    ) -> Prospect | None:
        """Time a network in one precision; None where that cannot be executed."""
        try:
            quantized = precision.reduce(network, context)
        except NotApplicable:
            return None
        folder = context.folder / "prospect"
        make_artifact(quantized, self._job.task, folder, artifact / MODEL_ONNX)
        ratios, size = self._bench.compare(folder, self.timers())
        return Prospect(precision=precision.name, speedup=ratios[self.reference_id], bytes=size.total)

    def _judged(self, record: CandidateRecord) -> CandidateRecord:
        """Compare with the reference on the same images, and decide; of an untrained network nothing can be said."""
        if is_untrained(step["method"] for step in record.steps):
            return record.with_(quality=None, drop=None, verdict="not_run", why=_listed(record))
        goal = self._job.goal
        reference, candidate = self.per_image(self.reference_id), self.per_image(record.id)
        drop = compare(self._job.task, reference, candidate, goal.max_drop)
        verdict, why = judge(drop, goal, goal.broken_limits(record))
        return record.with_(drop=drop, verdict=verdict, why=why)

    def _blank(self, parent: CandidateRecord, stage: Stage, variant: Reduction) -> CandidateRecord:
        config = variant.model_dump(mode="json")
        made_from = {
            "parent": parent.id,
            "method": [variant.name, variant.version],
            "config": config,
            "data": self._job.data_digest,
            "seed": self._job.seed,
        }
        if variant.outside:
            made_from["outside"] = variant.outside
        return CandidateRecord(
            id=digest_of(made_from),
            parent=parent.id,
            stage=stage.name,
            variant=variant.label,
            config=config,
            seed=self._job.seed,
            verdict="not_run",
        )

    def _fields(
        self, identity: str, network: Network, measured: Measured, versus: Speedup, versus_e2e: Speedup
    ) -> dict[str, Any]:
        """Return what was measured, as fields of a record."""
        example = network.example()
        counts = network.file.parameter_counts() if network.file else parameter_counts(network.scores, example)
        total, used, nonzero = counts
        return {
            "steps": [{"kind": step.kind, "method": step.method, "version": step.version} for step in network.steps],
            "summary": network.steps[-1].summary if network.steps else None,
            "remark": network.steps[-1].remark if network.steps else "",
            "quality": measured.quality,
            "bytes": measured.bytes,
            "params_total": total,
            "params_used": used,
            "nonzero": nonzero,
            "macs": network.file.macs(example) if network.file else count_macs(network.scores, example),
            "latency_ms": measured.latency_ms,
            "e2e_ms": measured.e2e_ms,
            "speedup": versus,
            "speedup_eager": measured.speedups.get(EAGER),
            "speedup_e2e": versus_e2e,
            "peak_rss_mb": measured.peak_rss_mb,
            "precision": measured.precision,
            "artifact": self._folder.artifact(identity).relative_to(self._folder.path).as_posix(),
        }

    def _context(self, parent: CandidateRecord, record: CandidateRecord) -> Context:
        job, engine = self._job, ENGINES[self._job.engine.name]
        return Context(
            task=job.task,
            train=job.train,
            held_out=lambda: self._held_out,
            teacher=self._reference_network,
            ask_teacher=self._ask_teacher,
            parent=parent.id,
            device=choose_device(job.device),
            seed=job.seed,
            engine=job.engine.name,
            threads=job.engine.threads,
            augment=job.augment,
            folder=self._folder.scratch(record.id),
            shared=lambda key: self._folder.scratch(digest_of([self.reference_id, key])),
            float_export=lambda _network: self._folder.artifact(parent.id) / MODEL_ONNX,
            refuse_execution=engine.refuse,
            times_as_fast=partial(times_as_fast, engine=job.engine.name, threads=job.engine.threads),
            progress=self._progress,
        )

    def _ask_teacher(self) -> Teacher:
        """Return the reference as a teacher: compiled where training runs on the processor, else beside it."""
        device = choose_device(self._job.device)
        if device != "cpu":
            return EagerTeacher(self._reference_network.copy().scores, device)
        engine = ENGINES[self._job.engine.name]
        execute = "f32" if engine.refuse("bf16") else "bf16"
        artifact = self._folder.artifact(self.reference_id)
        return EngineTeacher(engine.compile(artifact, threads=self._job.engine.threads, execute=execute))

    @cached_property
    def _held_out(self) -> frozenset[str]:
        dataset = self._job.dataset
        return frozenset(sample.image_digest() for split in ("val", "test") for sample in dataset.split(split))

    @cached_property
    def _reference_network(self) -> Network:
        return self.network(self.reference_id)

    @cached_property
    def _eager(self) -> Timer:
        return self._eager_timer(self._reference_network)

    def _eager_timer(self, network: Network) -> Timer:
        """Time the reference as PyTorch users run it. In this process, which waits while the others are timed."""
        threads = self._job.engine.threads
        images = network.example().numpy()

        def timer(runs: int, warm_up: int) -> list[float]:
            before = torch.get_num_threads()
            eager = Eager(network.scores, threads=threads)
            try:
                return time_calls(lambda: eager(images), runs, warm_up)
            finally:
                torch.set_num_threads(before)

        return timer


def _listed(record: CandidateRecord) -> str:
    """Say what an untrained network is listed by."""
    assert record.speedup
    as_is = f"untrained: {record.speedup.ratio:.3g} times as fast as the reference"
    if record.prospect is None:
        return as_is
    return f"{as_is}, {record.prospect.speedup.ratio:.3g} times in {record.prospect.precision}"
