"""Teachers: the same scores live, compiled and from fixed views; every view labelled once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tinysight.data import InputPolicy, Sample
from tinysight.data.live import live_samples
from tinysight.engines import ENGINES
from tinysight.engines.export import export_onnx
from tinysight.engines.hardware import processor
from tinysight.errors import UserError
from tinysight.progress import Progress
from tinysight.tasks import Segmentation
from tinysight.training.batches import Batches, Pair
from tinysight.training.losses import resized
from tinysight.training.teachers import EagerTeacher, EngineTeacher, FixedViews, LiveTeacher, Sizes

TASK = Segmentation(("background", "sign"))
LARGE, SMALL = InputPolicy(height=32, width=32), InputPolicy(height=16, width=16)
COUNT = 6


def _samples() -> list[Sample]:
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    return live_samples([(picture, (picture[..., 0] > 99).astype(np.uint8)) for picture in pictures], "train")


def _batches(policy: InputPolicy = LARGE) -> Batches:
    return Batches(_samples(), policy, TASK, augment=True)


class _Counting:
    """A teacher that remembers how many images it saw, and stops working after ``last``."""

    def __init__(self, last: int = 1000) -> None:
        torch.manual_seed(0)
        self._network = nn.Conv2d(3, 2, 3, stride=2, padding=1)
        self.seen, self._last = 0, last

    def __call__(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        if self.seen > self._last:
            raise KeyboardInterrupt
        with torch.no_grad():
            return self._network(images)


def _views(folder: Path, teacher: _Counting, count: int = 2, sizes: Sizes | None = None) -> FixedViews:
    sizes = sizes or Sizes.of(LARGE, SMALL)
    return FixedViews(_batches(sizes.view), lambda: teacher, sizes, count, folder, Progress(quiet=True))


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_compiled_teacher_gives_what_the_eager_one_gives(tmp_path, engine: str):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()
    images = torch.randn(3, 3, 16, 16)
    export_onnx(network, images[:1], tmp_path / "model.onnx")
    compiled = EngineTeacher(ENGINES[engine].compile(tmp_path, threads=1))
    eager = EagerTeacher(network, "cpu")(images)
    rounding = 2**-7 if processor().has_bf16 else 1e-4  # the eager teacher is in bfloat16 where that is native
    assert (compiled(images) - eager).abs().max() < rounding * eager.abs().max()


def test_a_live_teacher_labels_each_image_at_its_own_size():
    teacher = _Counting()
    source = LiveTeacher(_batches(), teacher, Sizes.of(LARGE, SMALL))
    batch = next(source.epoch(4))
    assert batch.images.shape == (4, 3, 16, 16)
    assert batch.taught is not None
    assert batch.taught.shape == (4, 2, 16, 16)  # half of its 32 x 32


def test_views_are_labelled_once(tmp_path):
    teacher = _Counting()
    source = _views(tmp_path, teacher, count=3)
    for _ in range(4):
        list(source.epoch(2))
    assert teacher.seen == 3 * COUNT


def test_views_are_drawn_once_while_there_is_room(tmp_path, monkeypatch: pytest.MonkeyPatch):
    source = _views(tmp_path, _Counting())
    drawn: list[tuple[int, int]] = []
    draw = Batches.view

    def counted(batches: Batches, index: int, number: int) -> Pair:
        drawn.append((index, number))
        return draw(batches, index, number)

    monkeypatch.setattr(Batches, "view", counted)
    for _ in range(12):
        list(source.epoch(2))
    assert len(drawn) == len(set(drawn)) <= 2 * COUNT


def test_a_view_comes_with_the_scores_of_that_very_view(tmp_path):
    sizes = Sizes.of(SMALL, SMALL)  # the same size, so that the student's images can be shown to the teacher again
    teacher = _Counting()
    for batch in _views(tmp_path, teacher, sizes=sizes).epoch(3):
        live = nn.functional.adaptive_avg_pool2d(teacher(batch.images), (4, 4))
        torch.testing.assert_close(batch.taught, live, rtol=1e-2, atol=1e-2)  # kept as float16


def test_an_interrupted_labelling_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _views(tmp_path, _Counting(last=8), count=3)
    second = _Counting()
    views = _views(tmp_path, second, count=3)
    assert second.seen == 3 * COUNT - 8
    assert not any(torch.isnan(batch.taught).any() for batch in views.epoch(2) if batch.taught is not None)


def test_a_row_that_was_half_written_is_labelled_again(tmp_path):
    _views(tmp_path, _Counting())
    scores = np.load(tmp_path / "scores.npy", mmap_mode="r+")
    scores[3, -1] = np.nan
    scores.flush()
    second = _Counting()
    _views(tmp_path, second)
    assert second.seen == 1


@pytest.mark.parametrize("damage", ["empty", "other number", "other type", "cut off"])
def test_kept_scores_that_do_not_fit_are_made_again(tmp_path, damage: str):
    _views(tmp_path, _Counting())
    path = tmp_path / "scores.npy"
    content: NDArray[np.generic] = np.zeros((3, 2, 8, 8), np.float16)
    if damage == "other type":
        content = np.zeros((2 * COUNT, 2, 8, 8), np.float32)
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        np.save(path, content)
    again = _Counting()
    _views(tmp_path, again)
    assert again.seen == 2 * COUNT


def test_scores_beyond_float16_are_kept_as_its_largest(tmp_path):
    source = FixedViews(
        _batches(), lambda: lambda images: torch.full((len(images), 2), -1e6), Sizes.of(LARGE, LARGE), 1, tmp_path,
        Progress(quiet=True),
    )  # fmt: skip
    taught = next(source.epoch(2)).taught
    assert taught is not None
    assert taught.eq(-65504).all()


@pytest.mark.parametrize("source", ["live", "views"])
def test_a_teacher_that_gives_no_numbers_is_named(tmp_path, source: str):
    def broken(images: Tensor) -> Tensor:
        return torch.full((len(images), 2), torch.nan)

    def learn() -> None:
        sizes = Sizes.of(LARGE, LARGE)
        if source == "live":
            next(LiveTeacher(_batches(), broken, sizes).epoch(2))
        FixedViews(_batches(), lambda: broken, sizes, 1, tmp_path, Progress(quiet=True))

    with pytest.raises(UserError, match="the teacher's scores are not numbers"):
        learn()


def test_equal_seeds_give_equal_epochs(tmp_path):
    source = _views(tmp_path, _Counting())
    epochs = []
    for _ in range(2):
        torch.manual_seed(3)
        epochs.append(torch.cat([batch.images for batch in source.epoch(2)]))
    assert torch.equal(*epochs)


@pytest.mark.parametrize(
    ("teacher", "student", "view"),
    [(LARGE, SMALL, LARGE), (SMALL, LARGE, LARGE), (LARGE, LARGE, LARGE)],
)
def test_views_are_made_at_the_larger_size(teacher: InputPolicy, student: InputPolicy, view: InputPolicy):
    assert Sizes.of(teacher, student).view == view


def test_padded_views_are_made_at_the_students_size():
    padded = LARGE.model_copy(update={"mode": "pad"})
    student = padded.model_copy(update={"height": 16})
    assert Sizes.of(padded, student).view == student


def test_a_shrunk_image_is_an_average():
    checkers = (torch.arange(16).view(-1, 1) + torch.arange(16)).remainder(2).float().expand(1, 1, 16, 16)
    inner = resized(checkers, (8, 8))[..., 1:-1, 1:-1]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5), atol=0.01, rtol=0)
