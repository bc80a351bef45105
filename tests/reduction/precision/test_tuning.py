"""FAT and QAT: thresholds and weights that are trained while they are rounded, then live in file and checkpoint."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import nn

from tinysight.data.unlabeled import unlabeled_samples
from tinysight.engines import ENGINES
from tinysight.errors import UserError
from tinysight.reduction.artifact import make_artifact
from tinysight.reduction.network import Network, load_network
from tinysight.reduction.onnx_file import read_onnx
from tinysight.reduction.precision.fat import Fat, score_distance
from tinysight.reduction.precision.int8 import Int8
from tinysight.reduction.precision.qat import Qat
from tinysight.reduction.precision.quantizers.moving_range import MovingRange
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.structure.prune import Prune
from tinysight.reduction.verify import largest_difference, run
from tinysight.reduction.weights.sparsify import Sparsify

pytestmark = pytest.mark.filterwarnings("ignore")
QUICK = {"images": 4, "epochs": 1, "batch_size": 4, "max_drift": None}
QATS = [Qat(**QUICK, delay=0), Qat(**QUICK, steps="learned"), Qat(**QUICK, soft=0)]


def zeros(network: Network) -> dict[str, torch.Tensor]:
    return {name: weight == 0 for name, weight in network.module.named_parameters() if weight.ndim == 4}


class TestFat:
    def test_weights_are_frozen(self, tiny_network, make_context):
        assert Fat(**QUICK).reduce(tiny_network, make_context(tiny_network)).module is tiny_network.module

    def test_thresholds_move(self, tiny_network, make_context):
        plain = Int8(images=4, ranges="min_max").reduce(tiny_network, make_context(tiny_network)).precision
        trained = Fat(**(QUICK | {"learning_rate": 0.05})).reduce(tiny_network, make_context(tiny_network)).precision
        assert trained.tensors.keys() == plain.tensors.keys()
        assert trained.tensors["image"].scale != plain.tensors["image"].scale

    def test_it_comes_closer_to_the_float_scores(self, tiny_network, make_context, monkeypatch):
        """From ranges that are too narrow."""
        from tinysight.reduction.precision.trial import CalibrationImages, compiled, drift

        found = Fat._ranges
        monkeypatch.setattr(Fat, "_ranges", lambda *given: {
            place: each and each.shrunk(0.7) for place, each in found(*given).items()
        })  # fmt: skip
        context = make_context(tiny_network)
        exported = onnx.load(context.float_export(tiny_network))
        images = list(CalibrationImages(tiny_network, context.train))
        with torch.no_grad():
            exact = np.concatenate([tiny_network.scores(torch.from_numpy(image)).numpy() for image in images])
        drifts = []
        for learning_rate in (1e-9, 2e-3):
            method = Fat(images=4, epochs=30, batch_size=4, learning_rate=learning_rate)
            own = make_context(tiny_network)
            engine = compiled(exported, method.reduce(tiny_network, own).precision, own.folder / "a", own)
            drifts.append(drift(exact, np.concatenate([np.array(engine(image)) for image in images])))
        assert drifts[1] < drifts[0]

    def test_the_loss_is_the_papers(self):
        one, other = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 5.0], [4.0, 0.0]])
        near = 1e-5**0.5
        expected = ((near + (9 + 1e-5) ** 0.5) + ((16 + 1e-5) ** 0.5 + near)) / 2
        assert float(score_distance(one, other)) == pytest.approx(expected)

    def test_unlabeled_photos_teach_it(self, tiny_network, make_context, tmp_path):
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 256, (32, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        method = Fat(**QUICK, unlabeled=tmp_path)
        assert method.outside
        assert (
            "ranges learned from 4 unlabeled photos"
            in method.reduce(tiny_network, make_context(tiny_network)).steps[-1].remark
        )

    def test_photos_that_are_all_held_out_are_named(self, tiny_network, make_context, tmp_path):
        Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(tmp_path / "held.png")
        (held,) = unlabeled_samples(tmp_path, lambda size: np.zeros(size, np.uint8), ())
        context = make_context(tiny_network, held_out=lambda: {held.image_digest()})
        with pytest.raises(UserError, match=r"every photo in .* is a validation or test image"):
            Fat(**QUICK, unlabeled=tmp_path).reduce(tiny_network, context)

    def test_an_empty_folder_is_named(self, tiny_network, make_context, tmp_path):
        with pytest.raises(UserError, match=str(tmp_path)):
            Fat(**QUICK, unlabeled=tmp_path).reduce(tiny_network, make_context(tiny_network))


@pytest.fixture(scope="module", params=QATS, ids=["moving", "learned", "labels"])
def method(request) -> Qat:
    return request.param


@pytest.fixture(scope="module")
def trained(method, tiny_network, make_context) -> tuple[Network, nn.Module]:
    """What QAT made of the network, and the graph that it trained."""
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Qat, "_fit", _watched(Qat._fit, seen))
        learned = method.reduce(tiny_network, make_context(tiny_network))
    return learned, seen["graph"]


class TestQat:
    def test_the_checkpoint_gives_what_the_training_gave(self, trained, tiny_network, tmp_path):
        learned, _ = trained
        learned.save(tmp_path)
        again = load_network(tmp_path, into=tiny_network.module)
        assert largest_difference(again.scores, learned.scores, learned.example()) == 0

    def test_the_network_holds_the_trained_weights(self, trained):
        """Batch norms are folded in training; the network that comes back must fold to the same."""
        learned, graph = trained
        images = learned.example(batch=2)
        with torch.no_grad():
            torch.testing.assert_close(graph(images), run(learned.scores, images), rtol=1e-4, atol=1e-4)

    def test_weights_moved(self, trained, tiny_network):
        learned, _ = trained
        assert largest_difference(learned.scores, tiny_network.scores, learned.example()) > 1e-6

    def test_the_file_is_int8(self, trained, tiny_task, tmp_path):
        learned, _ = trained
        make_artifact(learned, tiny_task, tmp_path / "artifact", None)
        found = ENGINES["openvino"].compile(tmp_path / "artifact", threads=2).executed()
        assert found["integer_layers"] == found["layers"]


@pytest.mark.parametrize("settings", [{}, {"steps": "learned"}, {"ignored": ("0",)}])
def test_what_is_zero_for_good_stays_zero(settings, make_network, make_context):
    torch.manual_seed(0)
    network = make_network(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1)))
    sparse = Sparsify(epochs=1, batch_size=4, sparsity=0.5).reduce(network, make_context(network))
    learned = Qat(**QUICK, **settings).reduce(sparse, make_context(sparse))
    before, after = zeros(sparse), zeros(learned)
    assert sum(int(hole.sum()) for hole in before.values()) > 0
    assert all(bool(after[name][hole].all()) for name, hole in before.items())


def test_what_is_cut_stays_cut(tiny_network, make_context):
    smaller = Prune(keep=0.5).reduce(tiny_network, make_context(tiny_network))
    learned = Qat(**QUICK).reduce(smaller, make_context(smaller))
    one, other = ([tensor.shape for tensor in each.module.state_dict().values()] for each in (smaller, learned))
    assert one == other


def _watched(fit, seen):
    def wrapped(self, network, *args, **kwargs):
        fit(self, network, *args, **kwargs)
        seen["graph"] = network.graph

    return wrapped


class ConvolvesByFunction(nn.Module):
    """Its weight is multiplied before it is used, so that the export's constant is nobody's parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3, 3, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(images, self.weight * 2, padding=1)


def test_weights_that_cannot_come_back_are_not_trained(make_network, make_context):
    network = make_network(ConvolvesByFunction())
    with pytest.raises(NotApplicable, match=r"nothing can be trained"):
        Qat(**QUICK).reduce(network, make_context(network))


def test_the_longest_delay_leaves_a_step_that_rounds(tiny_network, make_context, monkeypatch):
    """Without it the network would be rounded as it never was in training."""
    seen = []
    after_step = Qat._after_step

    def watched(self, rounded, held, steps):
        after = after_step(self, rounded, held, steps)

        def noting(step: int) -> None:
            after(step)
            seen.append([each.begins for each in rounded.quantizers if isinstance(each, MovingRange)])

        return noting

    monkeypatch.setattr(Qat, "_after_step", watched)
    Qat(**QUICK, delay=0.999).reduce(tiny_network, make_context(tiny_network))
    assert all(seen[-2]), "at the beginning of the last step"


class RunsTwice(nn.Module):
    """A convolution that runs twice, and one that runs once."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.once = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.once(torch.relu(self.twice(torch.relu(self.twice(images)))))


def test_what_does_not_learn_is_remarked(make_network, make_context):
    torch.manual_seed(0)
    network = make_network(RunsTwice())
    learned = Qat(**QUICK).reduce(network, make_context(network))
    assert torch.equal(learned.module.twice.weight, network.module.twice.weight)
    assert "not trained, as the export shares them or computes with them: twice.weight" in learned.steps[-1].remark
    whole = make_network(HoldsAKernel())
    assert "not trained" not in Qat(**QUICK).reduce(whole, make_context(whole)).steps[-1].remark


class HoldsAKernel(nn.Module):
    """Its weight is a parameter of another name."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(2, 3, 3, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(images, self.kernel, padding=1)


def in_place() -> nn.Module:
    norm = nn.BatchNorm2d(4)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), norm, nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize("make", [HoldsAKernel, in_place])
def test_weights_of_any_name_are_trained_and_norms_after_activations_are_no_layers_own(
    make, make_network, make_context
):
    torch.manual_seed(0)
    network = make_network(make())
    learned = Qat(**QUICK).reduce(network, make_context(network))
    assert largest_difference(learned.scores, network.scores, learned.example()) > 1e-6


class Tokens(nn.Module):
    """Linear layers on the places of a picture, as in a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.mixed, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(images).flatten(2).transpose(1, 2)
        scores = self.head(torch.relu(self.mixed(tokens))).transpose(1, 2).reshape(-1, 2, 8, 12)
        return nn.functional.interpolate(scores, scale_factor=4.0)


@pytest.mark.parametrize(("ignored", "rounded"), [((), 3), (("mixed",), 2)])
def test_linear_layers_on_tokens_are_trained_and_rounded_by_their_names(ignored, rounded, make_network, make_context):
    torch.manual_seed(0)
    network = make_network(Tokens())
    learned = Qat(**QUICK, ignored=ignored).reduce(network, make_context(network))
    assert not torch.equal(learned.module.mixed.weight, network.module.mixed.weight)
    weights = [name for name, each in learned.precision.tensors.items() if each.axis is not None]
    assert len(weights) == rounded
    assert ("network.mixed.weight.T" in weights) == (not ignored)


@pytest.mark.parametrize("engine", ENGINES)
def test_linear_layers_on_tokens_run_in_integers(engine, make_network, make_context, tiny_task, tmp_path):
    torch.manual_seed(0)
    network = make_network(Tokens())
    context = make_context(network, engine=engine)
    quantized = Int8(images=4, max_drift=None).reduce(network, context)
    make_artifact(quantized, tiny_task, tmp_path / "artifact", context.float_export(network))
    found = ENGINES[engine].compile(tmp_path / "artifact", threads=2).executed()
    assert (found["integer_layers"], found["layers"]) == (3, 3)


def test_an_onnx_file_is_trained_too(tiny_network, tiny_artifact, make_context, tiny_task, tmp_path):
    module, spec, _policy = read_onnx(tiny_artifact / "model.onnx")
    network = Network(module, spec, tiny_network.input)
    learned = Qat(**QUICK).reduce(network, make_context(network, float_export=lambda _: tiny_artifact / "model.onnx"))
    assert largest_difference(learned.scores, network.scores, learned.example()) > 1e-6
    make_artifact(learned, tiny_task, tmp_path / "artifact", None)


def test_interrupted_it_goes_on_to_the_same_weights(tiny_network, make_context):
    method = Qat(**(QUICK | {"epochs": 2}))
    whole = method.reduce(tiny_network, make_context(tiny_network))
    context = make_context(tiny_network)
    with pytest.MonkeyPatch.context() as patch:
        from tinysight.training import loop

        keep, calls = loop._keep, []

        def once(state, path):
            keep(state, path)
            calls.append(path)
            raise KeyboardInterrupt

        patch.setattr(loop, "_keep", once)
        with pytest.raises(KeyboardInterrupt):
            method.reduce(tiny_network, context)
    again = method.reduce(tiny_network, context)
    assert again.precision == whole.precision


@pytest.mark.parametrize(
    ("setting", "value"), [("temperature", 0), ("learning_rate", 0), ("delay", 1), ("steps", "large")]
)
def test_bad_settings_are_refused(setting, value):
    with pytest.raises(ValidationError, match=setting):
        Qat(**{setting: value})


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"steps": "learned", "delay": 0.3}, "leave delay out"), ({"soft": 0, "temperature": 3}, "softens nothing")],
)
def test_settings_that_would_not_be_read_are_refused(settings, told):
    with pytest.raises(ValidationError, match=told):
        Qat(**settings)


@pytest.mark.parametrize("tuning", [Qat(**QUICK), Fat(**QUICK)])
def test_a_network_without_layers_is_nothing_to_do(tuning, make_network, make_context):
    network = make_network(nn.Softmax(dim=1))
    with pytest.raises(NotApplicable, match="no layer to quantize"):
        tuning.reduce(network, make_context(network))


@pytest.mark.parametrize("method", [Qat(**QUICK), Fat(**QUICK), Int8(ranges="min_max"), Int8(ranges="nncf")])
def test_where_all_layers_are_ignored_nothing_is_called_int8(method, make_network, make_context):
    network = make_network(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.ReLU()))
    with pytest.raises(NotApplicable, match="ignored covers all layers"):
        method.model_copy(update={"ignored": ("0",)}).reduce(network, make_context(network))


@pytest.mark.parametrize("tuning", [Qat(**QUICK), Fat(**QUICK)])
def test_of_untrained_networks_only_the_speed_is_asked(tuning):
    assert tuning.unchecked == Int8().unchecked, "timed once where a stage tries both"
    assert tuning.unchecked.max_drift is None
