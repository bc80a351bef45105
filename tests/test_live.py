"""A live network and live data sets: one whole run, and everything that can be wrong with what is handed over."""

from __future__ import annotations

import copy
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

import tinysight
from tinysight import UserError
from tinysight.data.live import live_samples, to_image, to_target
from tinysight.engines.bundle import Bundle
from tinysight.live import _class_names, _policy_of, _samples
from tinysight.models.spec import LIVE, ModelSpec
from tinysight.reduction.network import Network

SIZE = (32, 48)


class Net(nn.Module):
    """A network as users write them: a dict of scores, and a head that only trained it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.main, self.aux = nn.Conv2d(8, 2, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.stem(images)
        scores = F.interpolate(self.main(features), scale_factor=2.0, mode="bilinear", align_corners=False)
        return {"aux": self.aux(features), "scores": scores}


class Squares(Dataset):  # type: ignore[type-arg]
    """Bright squares on dark ground, as uint8 tensors, channels first."""

    def __init__(self, count: int, first: int = 0) -> None:
        self.numbers = range(first, first + count)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(self.numbers[index])
        mask = torch.zeros(SIZE, dtype=torch.uint8)
        top, left = (int(torch.randint(2, edge // 2, (), generator=generator)) for edge in SIZE)
        mask[top : top + 12, left : left + 16] = 1
        noise = torch.randint(0, 80, (3, *SIZE), generator=generator, dtype=torch.uint8)
        return noise + mask * 150, mask


def pictures(count: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(image.numpy().transpose(1, 2, 0), mask.numpy()) for image, mask in Squares(count)]


def reduced(model: nn.Module, out: Path, val: Any = None) -> tinysight.Result:
    return tinysight.reduce(
        model,
        {"train": Squares(8), "val": val or Squares(6, 100), "test": Squares(4, 200)},
        goal=tinysight.Goal(minimize="bytes", max_drop=5.0, confidence=0.6),
        stages=["trim", {"name": "precision", "variants": ["fp16", {"int8": {"images": 4}}]}],
        output="scores",
        out=out,
        device="cpu",
        quiet=True,
    )


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    network = Net()
    with torch.no_grad():  # the class of a pixel is its brightness: good enough to have something to lose
        network.stem[0].weight.zero_()
        network.stem[0].weight[0, :, 1, 1] = 1.0
        network.main.weight.zero_()
        network.main.weight[1, 0] = 1 / 9
        network.main.bias.copy_(torch.tensor([0.4, 0.0]))
    return network.eval()


@pytest.fixture(scope="module")
def result(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> tinysight.Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NNCF's own: it advises against few images, and uses what torch has deprecated
        return reduced(model, tmp_path_factory.mktemp("live") / "run")


def test_every_stage_was_tried(result: tinysight.Result):
    assert [record.variant for record in result.records] == ["Net", "trim", "fp16", "int8 (images 4)"]


def test_no_candidate_failed(result: tinysight.Result):
    assert {record.variant: record.why for record in result.records if record.verdict in {"failed", "skipped"}} == {}


def test_the_reference_separates_the_classes(result: tinysight.Result):
    assert result.records[0].quality.value > 0.6


def test_the_smallest_file_that_holds_the_floor_is_chosen(result: tinysight.Result):
    sizes = {record.id: record.bytes.total for record in result.records if record.drop.p_within >= 0.6}
    assert sizes[result.best.id] < min(sizes.values()) + 1024  # closer sizes count as equal


def test_the_dead_head_is_gone(result: tinysight.Result):
    reference, trimmed = result.records[:2]
    assert reference.params_total - trimmed.params_total == 8 * 2 + 2


def test_the_bundle_can_be_opened(result: tinysight.Result):
    bundle = Bundle.open(result.bundle)
    assert (bundle.task, bundle.classes) == ("segmentation", ("class 0", "class 1"))


def test_the_report_is_written(result: tinysight.Result):
    assert "<html" in result.report.read_text(encoding="utf-8")


def test_a_candidate_is_loaded_into_the_model(result: tinysight.Result, model: nn.Module):
    folder = result.path / "candidates" / result.best.id / "network"
    loaded = tinysight.load(folder, into=model)
    images = loaded.example()
    assert torch.equal(loaded.scores(images), model(images)["scores"])


def test_a_candidate_is_not_loaded_without_the_model(result: tinysight.Result):
    with pytest.raises(UserError, match=r"load\(path, into=model\)"):
        tinysight.load(result.path / "candidates" / result.best.id / "network")


def test_the_model_is_unchanged(result: tinysight.Result, model: nn.Module):
    assert isinstance(model.aux, nn.Conv2d)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_a_second_call_computes_nothing_again(result: tinysight.Result, model: nn.Module):
    files = sorted(result.path.glob("candidates/*/record.json"))
    before = [path.stat().st_mtime_ns for path in files]
    again = reduced(model, result.path)
    assert again.best.id == result.best.id
    assert [path.stat().st_mtime_ns for path in files] == before


def test_another_model_is_not_mixed_into_the_run(result: tinysight.Result, model: nn.Module):
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.main.bias += 1
    with pytest.raises(UserError, match=r"model\.weights"):
        reduced(other, result.path)


def _network(module: nn.Module, output: str | int | None = None) -> Network:
    return Network(module.eval(), ModelSpec(builder=LIVE, output=output), tinysight.InputPolicy(height=32, width=48))


def test_pil_pictures_are_normalised_here():
    items = [(Image.fromarray(image), Image.fromarray(mask)) for image, mask in pictures()]
    policy = _policy_of(live_samples(items, "val")[0])
    assert (policy.shape, policy.normalised_by) == ((1, 3, *SIZE), "tinysight")


def test_grey_pil_pictures_become_rgb():
    assert to_image(Image.new("L", (48, 32))).shape == (*SIZE, 3)


def test_uint8_tensors_are_channels_first():
    image, _ = Squares(1)[0]
    np.testing.assert_array_equal(to_image(image), image.numpy().transpose(1, 2, 0))


def test_uint8_arrays_are_channels_last():
    image = pictures(1)[0][0]
    np.testing.assert_array_equal(to_image(image), image)


def test_float_images_count_as_normalised_by_the_caller():
    items = [(torch.zeros(4, *SIZE), torch.zeros(SIZE, dtype=torch.long))]
    policy = _policy_of(live_samples(items, "val")[0])
    assert (policy.shape, policy.normalised_by) == ((1, 4, *SIZE), "caller")


def test_an_image_of_another_kind_is_refused():
    with pytest.raises(UserError, match=r"an image .*is int64 \(3, 4\): give PIL pictures"):
        to_image(torch.zeros(3, 4, dtype=torch.long))


@pytest.mark.parametrize("target", [torch.ones(1, 4, 4), torch.ones(4, 4)])
def test_whole_numbers_are_wanted_as_targets(target: Tensor):
    with pytest.raises(UserError, match="give class numbers as whole numbers"):
        to_target(target)


def test_a_mask_with_a_channel_loses_it():
    assert to_target(torch.ones(1, 4, 6, dtype=torch.long)).shape == (4, 6)


@pytest.mark.parametrize("label", [256, -1, 1000])
def test_a_label_that_does_not_fit_in_a_byte_is_refused(label: int):
    with pytest.raises(UserError, match=f"a target of the data set holds the label {label}: .*0 to 255"):
        to_target(torch.full((4, 4), label))


@pytest.mark.parametrize(
    ("result", "output"),
    [({"scores": 1}, "scores"), ((None, 1), 1), ([1, None], 0), (1, None)],
    ids=["dict", "tuple", "list", "tensor"],
)
def test_the_output_is_found(result: Any, output: str | int | None):
    class Gives(nn.Conv2d):
        def forward(self, images: Tensor) -> Any:
            scores = super().forward(images)
            if isinstance(result, dict):
                return {"scores": scores}
            return scores if result == 1 else type(result)(scores if part else images[0] for part in result)

    assert _class_names(_network(Gives(3, 5, 1), output), None) == tuple(f"class {n}" for n in range(5))


def test_an_output_that_is_not_named_lists_what_there_is():
    with pytest.raises(UserError, match=r"a dict with the keys 'aux', 'scores'.*output="):
        _class_names(_network(Net()), None)


def test_given_class_names_are_kept():
    assert _class_names(_network(Net(), "scores"), ["ground", "square"]) == ("ground", "square")


def _refused(message: str, tmp_path: Path, model: nn.Module | None = None, **arguments: Any) -> None:
    settings: dict[str, Any] = {
        "model": model or Net(),
        "data": {"train": pictures(), "val": pictures(2)}, "stages": [], "output": "scores", "out": tmp_path / "run",
        "quiet": True, "device": "cpu",
    }  # fmt: skip
    with pytest.raises(UserError, match=message):
        tinysight.reduce(**(settings | arguments))


def test_scores_of_the_wrong_shape_are_refused(tmp_path: Path):
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    _refused(
        r"shape \(1, 2\), but segmentation needs \(batch, 2, height, width\).*output=", tmp_path, model, output=None
    )


def test_a_wrong_number_of_classes_is_refused(tmp_path: Path):
    _refused(r"shape \(1, 2, 32, 48\).*\(batch, 3, .*a, b, c", tmp_path, classes=["a", "b", "c"])


def test_a_model_that_does_not_take_the_images_is_refused(tmp_path: Path):
    _refused("the network does not take images of 3 x 32 x 48: .*channels", tmp_path, nn.Conv2d(4, 2, 1), output=None)


def test_a_missing_validation_split_is_refused(tmp_path: Path):
    _refused("data has no 'val'", tmp_path, data={"train": pictures()})


def test_a_split_with_a_strange_name_suggests_the_nearest(tmp_path: Path):
    _refused("split in data 'valid': did you mean 'val'", tmp_path, data={"train": pictures(), "valid": pictures()})


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_data_set_is_refused(split: str, tmp_path: Path):
    data = {"train": pictures(), "val": pictures(2), "test": pictures(2)}
    _refused(rf"data\['{split}'\] is empty", tmp_path, data=data | {split: []})


def test_a_data_set_without_length_is_refused(tmp_path: Path):
    _refused(r"data\['val'\] must be a data set with a length", tmp_path, data={"train": pictures(), "val": iter([])})


def test_an_item_that_is_no_pair_is_refused(tmp_path: Path):
    triples = [(image, mask, "name") for image, mask in pictures(2)]
    _refused(r"item 0 of the data set is not \(image, target\)", tmp_path, data={"train": pictures(), "val": triples})


def test_a_label_that_is_no_class_names_the_item(tmp_path: Path):
    wrong = [(image, mask * 7) for image, mask in pictures(2)]
    _refused(r"data\['val'\], item val-000000: the mask holds the label 7", tmp_path,
             data={"train": pictures(), "val": wrong})  # fmt: skip


def test_images_of_one_class_are_refused(tmp_path: Path):
    blank = [(image, mask * 0) for image, mask in pictures(2)]
    _refused("the 2 images show only the class 'class 0'", tmp_path, data={"train": pictures(), "val": blank})


def test_mistakes_in_stages_are_reported_together(tmp_path: Path):
    _refused(
        r"(?s)2 problem.*'trimm': did you mean 'trim'.*int8\.image: .* 'images'",
        tmp_path,
        stages=["trimm", {"int8": {"image": 3}}],
    )


@pytest.mark.parametrize(
    ("argument", "value"), [("task", "segmentations"), ("engine", tinysight.EngineSettings(name="opnvino"))]
)
def test_an_unknown_name_suggests_the_nearest(argument: str, value: Any, tmp_path: Path):
    _refused("did you mean '(segmentation|openvino)'", tmp_path, **{argument: value})


def test_part_of_train_is_set_aside_where_there_is_no_test():
    _, samples = _samples({"train": pictures(10), "val": pictures(2)})
    assert {split: len(members) for split, members in samples.splits.items()} == {"train": 8, "val": 2, "test": 2}


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("model", Net, r"model must be a torch\.nn\.Module"),
        ("model", nn.LazyConv2d(2, 1), "is not initialised yet"),
        ("model", nn.Conv2d(3, 2, 1, device="meta"), "on the meta device"),
        ("model", Net().half(), r"float16, not float32.*\.float\(\)"),
        ("model", Net().double(), r"float64, not float32.*\.float\(\)"),
        ("goal", {}, r"goal must be a Goal\(…\), got dict"),
        ("train", {"epochs": 1}, "train must be a Training"),
        ("engine", "openvino", r"engine must be EngineSettings\(name=…"),
        ("input", (32, 48), "input must be an InputPolicy"),
        ("task", None, "task must be"),
        ("stages", {"trim": {}}, "stages must be a list"),
        ("stages", "trim", "stages must be a list"),
        ("classes", "ab", "classes must be a list"),
        ("classes", ["a"], "at least two"),
        ("classes", ["a", "a"], "different names"),
        ("classes", ["a", ""], "different names"),
        ("ignore_index", -100, "-100.*255"),
        ("ignore_index", 256, "from 0 to 255"),
        ("seed", -1, "seed is -1"),
        ("seed", 2**31, "seed is"),
        ("seed", 1.5, "seed must be a whole number"),
        ("seed", True, "seed must be a whole number"),
        ("out", 3, "out must be a folder"),
        ("out", "", "out must be a folder"),
        ("device", "gpu", "device: 'gpu' is not known"),
        ("device", "cuda:x", "device: 'cuda:x' is not known"),
        ("device", "cuda:99", "not available on this machine"),
        ("data", [pictures(), pictures(2)], "data must be"),
        ("data", {"train": {0: 1}, "val": pictures(2)}, r"data\['train'\] must be a data set with a length"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_written(
    argument: str, value: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    _refused(message, tmp_path, **{argument: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 48, 3), np.uint8), "16 to 8192 pixels a side"),
        (np.zeros((3, 32, 48), np.uint8), r"give uint8 arrays as \(height, width, 3\)"),
        (np.zeros((32, 48, 4), np.uint8), r"input=InputPolicy\(mean="),
        (np.zeros((32, 48, 3), np.float32), "channels first"),
        (np.zeros((3, 32, 8), np.float32), "16 to 8192 pixels a side"),
    ],
)
def test_an_image_no_network_takes_is_refused(image: np.ndarray, message: str):
    with pytest.raises(UserError, match=message):
        _policy_of(live_samples([(image, np.zeros((32, 48), np.uint8))], "val")[0])


def test_training_images_of_one_class_are_refused(tmp_path: Path):
    blank = [(image, mask * 0) for image, mask in pictures(2)]
    data = {"train": blank, "val": pictures(2), "test": pictures(2)}
    _refused("the 2 images show only the class 'class 0'", tmp_path, data=data, train=tinysight.Training(epochs=1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_float_tensors_of_any_width_become_float32(dtype: torch.dtype):
    assert to_image(torch.ones(3, 4, 5, dtype=dtype)).dtype == np.float32


def test_pictures_are_classified(tmp_path):
    """The same job for another task: dark pictures and bright ones."""
    generator = np.random.default_rng(0)
    labels = [number % 2 for number in range(24)]
    photos = [
        (generator.integers(0, 120, (32, 32, 3), dtype=np.uint8) + np.uint8(120 * label), label) for label in labels
    ]
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    result = tinysight.reduce(
        model, {"train": photos, "val": photos[:12], "test": photos[12:]},
        task="classification", classes=["dark", "bright"],
        train=tinysight.Training(epochs=12, batch_size=8, learning_rate=0.05),
        stages=["trim", {"distil": {"epochs": 1}}, "int8"],
        goal=tinysight.Goal(minimize="bytes", max_drop=100), out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    reference = result.records[0]
    assert (reference.quality.metric, reference.quality.value) == ("top-1", 1.0)
    assert {record.verdict for record in result.records} <= {"reference", "best", "acceptable", "skipped"}
    assert "top-1 is the share" in result.report.read_text()


def test_a_folder_that_a_method_names_is_looked_for_before_anything_is_trained(tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    stages = [{"distil": {"unlabeled": str(nowhere)}}]
    _refused(f"stages.0: distil: the folder {nowhere} does not exist", tmp_path, stages=stages)
    assert not (tmp_path / "run" / "candidates").exists()


class Failing(list[Any]):
    def __getitem__(self, index: Any) -> Any:
        raise KeyError("boom")


class Endless(list[Any]):
    def __len__(self) -> int:
        raise TypeError("no end")


class Single(nn.Module):
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("there is only one of me")


def test_what_a_data_set_raises_is_said(tmp_path: Path):
    _refused(r"item 0 of the data set cannot be read \(KeyError: 'boom'\)", tmp_path, data={
        "train": pictures(), "val": Failing(pictures(2))
    })  # fmt: skip
    _refused(r"data\['val'\] has no length \(no end\)", tmp_path, data={"train": pictures(), "val": Endless()})


def test_an_image_without_pixels_is_refused():
    with pytest.raises(UserError, match="without a single pixel"):
        to_image(np.zeros((0, 5, 3), np.uint8))


def test_a_model_that_cannot_be_copied_is_refused(tmp_path: Path):
    _refused("the model cannot be copied .*only one of me", tmp_path, Single())


def test_one_plane_of_scores_is_refused(tmp_path: Path):
    _refused("at least 2 classes are needed", tmp_path, nn.Conv2d(3, 1, 1), output=None)


def test_a_folder_with_a_null_character_is_refused(tmp_path: Path):
    _refused("null", tmp_path, out="a\0b")


def test_changed_data_is_not_mixed_into_the_run(result: tinysight.Result, model: nn.Module, tmp_path: Path):
    path = shutil.copytree(result.path, tmp_path / "run")
    with pytest.raises(UserError, match=r"data\['val'\], item val-000000 is another than the one .* was made with"):
        reduced(model, path, val=Squares(6, 300))


def test_data_drawn_at_random_stays_as_it_was_first_drawn(result: tinysight.Result, model: nn.Module, tmp_path: Path):
    class Restless(Squares):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            image, mask = super().__getitem__(index)
            return image + torch.randint(0, 9, image.shape, dtype=torch.uint8), mask

    path = shutil.copytree(result.path, tmp_path / "run")
    assert reduced(model, path, val=Restless(6, 100)).best.id == result.best.id


def test_one_data_set_for_training_and_decisions_is_refused(tmp_path: Path):
    data = pictures()
    _refused("are the same data set", tmp_path, data={"train": data, "val": data})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_image_of_values_that_are_no_numbers_names_its_item(tmp_path: Path, value: float):
    arrays = [(np.full((3, *SIZE), number, np.float32), mask) for number, (_, mask) in enumerate(pictures())]
    arrays[2][0][0, 5, 7] = value
    for split, other in (("train", "val"), ("val", "train")):
        _refused(f"{split}-000002: an image holds values that are not numbers", tmp_path / split,
                 data={split: arrays, other: arrays[:2]}, train=tinysight.Training(epochs=1))  # fmt: skip


def test_a_target_that_is_refused_names_its_item(tmp_path: Path):
    wrong = [(image, mask * 1.0) for image, mask in pictures(2)]
    _refused("val-000000: a target of the data set is float64", tmp_path, data={"train": pictures(), "val": wrong})


def test_randaugment_of_arrays_that_arrive_normalised_is_refused(tmp_path: Path):
    arrays = [(np.zeros((3, *SIZE), np.float32), number % 2) for number in range(8)]
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    training = tinysight.Training(epochs=1, augment="randaugment")
    _refused("randaugment changes uint8 pictures", tmp_path, model, output=None, task="classification", train=training,
             data={"train": arrays[:4], "val": arrays[4:]})  # fmt: skip
