"""What every reduction must do. A new method is a row in METHODS and a subclass of a few lines here.

One tiny network fits every method; every method and every legal pair of methods is saved, and one new process loads
them all.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tinysight.config import digest_of
from tinysight.data import InputPolicy
from tinysight.data.live import live_samples
from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx
from tinysight.models.spec import ModelSpec
from tinysight.progress import Progress
from tinysight.recipe import parse_stages
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.network import Network, load_network
from tinysight.reduction.step import Context, NotApplicable, Reduction, Step
from tinysight.reduction.table import METHODS
from tinysight.reduction.verify import run
from tinysight.tasks import Segmentation
from tinysight.training.teachers import EagerTeacher

# NNCF's own: it advises against few images, and uses what torch has deprecated.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

HERE = Path(__file__).parent
TASK = Segmentation(("background", "sign"))
SETTINGS: dict[str, dict[str, Any]] = {
    "trim": {},
    "encoder": {"to": "test_resnet", "decoder": "linknet", "args": {"encoder_depth": 2}},
    "decoder": {"width": 0.5},
    "fresh": {"network": "linknet", "encoder": "test_resnet", "args": {"encoder_depth": 2}},
    "prune": {"keep": 0.5},
    "factorize": {"keep": 0.5},
    "stem": {"stride": 4},
    "activations": {"to": "relu"},
    "bins": {"keep": [1]},
    "resize": {"height": 16, "width": 32},
    "recalibrate": {"images": 8, "batch_size": 4},
    "equalize": {},
    "finetune": {"epochs": 1, "batch_size": 4},
    "sparsify": {"epochs": 1, "batch_size": 4, "sparsity": 0.5},
    "lottery": {"epochs": 1, "batch_size": 4, "sparsity": 0.5, "rounds": 1},
    "distil": {"epochs": 1, "batch_size": 4},
    "born_again": {"epochs": 1, "batch_size": 4},
    "bf16": {},
    "fp16": {},
    "int16": {},
    "int8": {"images": 4, "max_drift": None},
    "fat": {"images": 4, "epochs": 1, "batch_size": 4, "max_drift": None},
    "qat": {"images": 4, "epochs": 1, "batch_size": 4, "max_drift": None},
}
PAIRS = list(product(SETTINGS, repeat=2))
LEGAL = [pair for pair in PAIRS if METHODS[pair[1]].refuse_after([METHODS[pair[0]].changes]) is None]
ONCE = {"trim", "stem", "activations", "bins", "resize"}
"""Methods that have nothing to do a second time."""
STUDENTS = {"encoder", "decoder", "fresh"}
"""Methods that make another network, of whose modules the other methods' settings know nothing."""
CHAINS = [
    (first, second)
    for first, second in LEGAL
    if not {first, second} & STUDENTS and (first != second or first not in ONCE)
]

Made = Callable[..., Network]


def network_of(name: str, **args: Any) -> Network:
    """Build a network of ``tiny_networks`` with random but repeatable weights and statistics."""
    torch.manual_seed(0)
    spec = ModelSpec(builder=f"tiny_networks:{name}", args=args, output="out")
    network = Network(spec.build(trust=True).eval(), spec, InputPolicy(height=32, width=48))
    return _with_statistics(network)


def unet() -> Network:
    """Build a network whose decoder the zoo knows."""
    torch.manual_seed(0)
    args = {"encoder": "test_resnet", "classes": 2, "encoder_depth": 2, "decoder_channels": [16, 16]}
    spec = ModelSpec(builder="unet", args=args)
    return _with_statistics(Network(spec.build().eval(), spec, InputPolicy(height=32, width=48)))


def _with_statistics(network: Network) -> Network:
    for name, values in network.module.named_buffers():
        if "running" in name:
            values.uniform_(0.5, 2.0)
    return network


@pytest.fixture(scope="module", autouse=True)
def _importable() -> Iterator[None]:
    sys.path.insert(0, str(HERE))
    yield
    sys.path.remove(str(HERE))


@pytest.fixture(scope="module")
def base(_importable: None) -> Network:
    return network_of("TwoHeads", classes=2)


@pytest.fixture(scope="module")
def root_of(base: Network) -> Callable[[str], Network]:
    """Return the network that a method is tried on."""
    roots = {"decoder": unet()}
    return lambda name: roots.get(name, base)


@pytest.fixture(scope="module")
def float_export(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Network], Path]:
    """Export a network once for each lineage."""
    folder = tmp_path_factory.mktemp("exports")

    def export(network: Network) -> Path:
        lineage = repr([network.spec, *network.float_part.steps]).encode()
        path = folder / f"{hashlib.sha256(lineage).hexdigest()}.onnx"
        if not path.exists():
            export_onnx(network.scores, network.example(), path)
        return path

    return export


@pytest.fixture(scope="module")
def context(base: Network, float_export, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Context]:
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 48, 3), dtype=np.uint8)
    masks = (pictures[..., 0] > 127).astype(np.uint8)

    def make(refuses: str | None = None) -> Context:
        folder = tmp_path_factory.mktemp("state")
        return Context(
            task=TASK, train=live_samples(list(zip(pictures, masks, strict=True)), "train"), held_out=tuple,
            teacher=base, ask_teacher=lambda: EagerTeacher(base.copy().scores, "cpu"), parent="base", device="cpu",
            seed=0, engine="openvino", threads=2, augment=False, folder=folder,
            shared=lambda key: folder / digest_of(key), float_export=float_export,
            refuse_execution=lambda _precision: refuses, times_as_fast=lambda *_: 2.0, progress=Progress(quiet=True),
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def made(root_of: Callable[[str], Network], context: Callable[..., Context]) -> Made:
    """Reduce the first method's root by the named methods in turn, each chain once."""
    known: dict[tuple[str, ...], Network] = {}

    def make(*names: str) -> Network:
        if names not in known:
            parent = make(*names[:-1]) if len(names) > 1 else root_of(names[0])
            known[names] = METHODS[names[-1]](**SETTINGS[names[-1]]).reduce(parent.copy(), context())
        return known[names]

    return make


@pytest.fixture(scope="module")
def saved(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Save a chain's network, once."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def save(*names: str) -> Path:
        path = folder / "-".join(names)
        if not path.exists():
            made(*names).save(path)
        return path

    return save


@pytest.fixture(scope="module")
def reloaded(made: Made, saved: Callable[..., Path]) -> dict[str, str]:
    """What one new process sees: a hash of the outputs of every checkpoint there is."""
    chains = [(name,) for name in SETTINGS] + CHAINS
    folders = [str(saved(*chain)) for chain in chains]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, *folders],
        capture_output=True,
        text=True,
        env=environment,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RELOAD = """
import hashlib, json, pathlib, sys
from tinysight.reduction.network import load_network
from tinysight.reduction.verify import run

hashes = {}
for folder in sys.argv[1:]:
    network = load_network(folder, trust=True)
    output = run(network.scores, network.example(batch=2))
    hashes[pathlib.Path(folder).name] = hashlib.sha256(output.numpy().tobytes()).hexdigest()
print(json.dumps(hashes))
"""


def outputs(network: Network) -> np.ndarray:
    return run(network.scores, network.example(batch=2)).numpy()


def digest(network: Network) -> str:
    return hashlib.sha256(outputs(network).tobytes()).hexdigest()


def refusal(name: str, kind: str) -> str:
    """Return why a method cannot follow a step of this kind."""
    if METHODS[name].changes == kind:
        return f"{name} cannot follow another {kind} step: make both variants of one stage"
    return f"{name} changes {METHODS[name].changes} and cannot follow a {kind} step: put it before"


class Contract:
    """``tolerance`` bounds the engines' difference from torch, as a share of the largest score.

    ``unfit`` is a network of ``tiny_networks`` on which there is nothing to do, for ``reason``, perhaps with other
    settings.
    """

    name: ClassVar[str]
    unfit: ClassVar[str]
    reason: ClassVar[str]
    unfit_settings: ClassVar[dict[str, Any]] = {}
    tolerance: ClassVar[float] = 1e-4
    before: ClassVar[tuple[str, ...]] = ()
    """Kinds of further steps that it records before its own."""

    @property
    def method(self) -> Reduction:
        return METHODS[self.name](**SETTINGS[self.name])

    def test_the_given_network_is_unchanged(self, root_of, context) -> None:
        root: Network = root_of(self.name)
        given = root.copy()
        self.method.reduce(given, context())
        before, after = root.module.state_dict(), given.module.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)

    def test_its_step_is_recorded(self, made: Made) -> None:
        kind = METHODS[self.name]
        assert [(s.kind, s.method, s.version) for s in made(self.name).steps] == [
            (changed, kind.name, kind.version) for changed in (*self.before, kind.changes)
        ]

    def test_the_step_survives_json(self, made: Made) -> None:
        step = made(self.name).steps[-1]
        assert Step.model_validate_json(step.model_dump_json()) == step

    def test_the_label_is_short_and_not_empty(self) -> None:
        assert 0 < len(self.method.label) <= 60

    def test_an_unknown_setting_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="no_such_setting"):
            METHODS[self.name](**SETTINGS[self.name], no_such_setting=1)

    def test_saved_and_loaded_it_gives_identical_outputs(self, made: Made, saved) -> None:
        assert digest(load_network(saved(self.name), trust=True)) == digest(made(self.name))

    def test_a_new_process_gives_identical_outputs(self, made: Made, reloaded: dict[str, str]) -> None:
        assert reloaded[self.name] == digest(made(self.name))

    @pytest.mark.parametrize("engine", ENGINES)
    def test_the_exported_file_gives_the_outputs_of_torch(self, engine: str, made: Made, artifact) -> None:
        network = made(self.name)
        expected = run(network.scores, network.example()).numpy()
        found = ENGINES[engine].compile(artifact(self.name), threads=2)(network.example().numpy())
        assert np.abs(found - expected).max() <= self.tolerance * np.abs(expected).max()

    def test_where_there_is_nothing_to_do_it_says_so(self, context) -> None:
        args = SETTINGS[self.name] | self.unfit_settings
        with pytest.raises(NotApplicable, match=self.reason):
            METHODS[self.name](**args).reduce(network_of(self.unfit), context(refuses="no such instructions"))

    def test_it_cannot_follow_a_precision_step(self) -> None:
        assert METHODS[self.name].refuse_after(["precision"]) == refusal(self.name, "precision")


@pytest.fixture(scope="module")
def artifact(made: Made, float_export, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("artifacts")

    def make(name: str) -> Path:
        if not (folder / name).exists():
            make_artifact(made(name), TASK, folder / name, float_export(made(name)))
        return folder / name

    return make


class TestTrim(Contract):
    name, unfit, reason = "trim", "Residual", "every parameter reaches the output"


class TestPrune(Contract):
    name, unfit, reason = "prune", "Softmax", "no layer has channels that can be cut"


class TestFactorize(Contract):
    name, unfit, reason = "factorize", "Softmax", "no plain convolution or linear layer"


class TestEncoder(Contract):
    name, unfit, reason = "encoder", "Residual", "name the student's decoder"
    unfit_settings: ClassVar[dict[str, Any]] = {"decoder": None}


class TestDecoder(Contract):
    name, unfit, reason = "decoder", "Residual", "not built by the zoo"


class TestFresh(Contract):
    name, unfit, reason = "fresh", "Residual", "name the network to build"
    unfit_settings: ClassVar[dict[str, Any]] = {"network": None, "encoder": None}


class TestStem(Contract):
    name, unfit, reason = "stem", "Softmax", "no convolution module reads the image"


class TestActivations(Contract):
    name, unfit, reason = "activations", "Residual", "no module that runs computes a costlier activation"


class TestBins(Contract):
    name, unfit, reason = "bins", "Residual", "there is no pyramid"


class TestResize(Contract):
    name, unfit, reason = "resize", "FixedSize", "does not accept an input of 16x32"


class TestRecalibrate(Contract):
    name, unfit, reason = "recalibrate", "Residual", "no batch norm"


class TestEqualize(Contract):
    name, unfit, reason = "equalize", "Residual", "nothing but a ReLU"


class TestFinetune(Contract):
    name, unfit, reason = "finetune", "Residual", "no weights to train"


class TestSparsify(Contract):
    name, unfit, reason = "sparsify", "Residual", "no weights to train"


class TestLottery(Contract):
    name, unfit, reason = "lottery", "Residual", "no weights to train"


class TestDistil(Contract):
    name, unfit, reason = "distil", "Residual", "no weights to train"


class TestBornAgain(Contract):
    name, unfit, reason = "born_again", "Residual", "no weights to train"


class TestBf16(Contract):
    name, unfit, reason = "bf16", "Residual", "no such instructions"


class TestFp16(Contract):
    name, unfit, reason = "fp16", "Softmax", "no weights"
    tolerance = 0.01


class TestInt16(Contract):
    name, unfit, reason = "int16", "Softmax", "no weights"
    tolerance = 0.001


class TestInt8(Contract):
    name, unfit, reason = "int8", "Softmax", "no layer to quantize"
    tolerance = 0.1


class TestFat(Contract):
    name, unfit, reason = "fat", "Softmax", "no layer to quantize"
    tolerance = 0.1


class TestQat(Contract):
    name, unfit, reason = "qat", "Softmax", "no layer to quantize"
    tolerance = 0.1
    before = ("weights",)


def test_every_method_has_a_subclass() -> None:
    assert {contract.name for contract in Contract.__subclasses__()} == set(METHODS) == set(SETTINGS)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_declarations_are_symmetric(first: str, second: str) -> None:
    one, other = METHODS[first], METHODS[second]
    assert (other.changes in one.precedes) == (one.changes in other.follows)


@pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if pair not in LEGAL])
def test_a_recipe_with_an_illegal_order_is_refused_with_the_reason(first: str, second: str) -> None:
    problems: list[str] = []
    parse_stages([{first: SETTINGS[first]}, {second: SETTINGS[second]}], problems)
    assert problems == [f"stages.1: {refusal(second, METHODS[first].changes)}"]


@pytest.mark.parametrize(("first", "second"), CHAINS)
class TestLegalPairs:
    def test_both_steps_are_recorded(self, first: str, second: str, made: Made) -> None:
        methods = [step.method for step in made(first, second).steps]
        assert (methods[0], methods[-1]) == (first, second)
        assert set(methods[1:]) == {second}

    def test_a_new_process_gives_identical_outputs(
        self, first: str, second: str, made: Made, reloaded: dict[str, str]
    ) -> None:
        assert reloaded[f"{first}-{second}"] == digest(made(first, second))


@pytest.mark.parametrize("name", sorted(ONCE))
def test_a_second_time_there_is_nothing_to_do(name: str, made: Made) -> None:
    with pytest.raises(NotApplicable, match=r"nothing to trim|already|no module that runs|no pyramid"):
        made(name, name)
