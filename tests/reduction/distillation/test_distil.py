"""Distil: the student moves towards labels and teacher, by fixed views or a live teacher; the teacher stays."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tinysight.data.memory import in_memory
from tinysight.data.sample import file_digest
from tinysight.errors import UserError
from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.verify import largest_difference
from tinysight.reduction.weights.finetune import Finetune
from tinysight.training.teachers import EagerTeacher

ONE_EPOCH = Distil(epochs=1, batch_size=4)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, make_context, tiny_network):
    """Training samples that read the same every time."""
    from tinysight.data.readers import READERS
    from tinysight.data.readers.arrays import write_array_sample

    folder = tmp_path_factory.mktemp("kept")
    for number, sample in enumerate(make_context(tiny_network).train):
        write_array_sample(folder / "train" / f"{number}.npz", *sample.read())
    reader = READERS["arrays"](reader="arrays", path=folder, classes=("background", "sign"))
    return in_memory(reader.read().split("train"))


@pytest.fixture
def asked(tiny_network):
    """A teacher that counts the images it is asked about."""

    class Asked:
        def __init__(self) -> None:
            self.images, self._teacher = 0, EagerTeacher(tiny_network.copy().scores, "cpu")

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            self.images += len(images)
            return self._teacher(images)

    return Asked()


def test_the_teacher_stays(tiny_network, make_context):
    teacher = tiny_network.copy()
    ONE_EPOCH.reduce(tiny_network, make_context(teacher))
    assert largest_difference(teacher.scores, tiny_network.scores, tiny_network.example()) == 0
    assert all(parameter.grad is None for parameter in teacher.module.parameters())


@pytest.mark.parametrize("augment", [False, True])
def test_soft_targets_alone_bring_the_student_to_its_teacher(tiny_network, make_context, kept, augment: bool):
    student = tiny_network.copy()
    with torch.no_grad():
        student.module[6].bias += torch.tensor([1.0, -1.0])
    images = torch.cat([torch.from_numpy(student.input.apply(sample.read()[0])) for sample in kept])
    method = Distil(epochs=8, batch_size=4, learning_rate=0.03, soft=1.0)
    learned = method.reduce(student, make_context(tiny_network, train=kept, augment=augment))
    before = (student.scores(images) - tiny_network.scores(images)).abs().mean()
    after = (learned.scores(images) - tiny_network.scores(images)).abs().mean()
    assert after < before / 2


def test_every_view_is_labelled_once(tiny_network, make_context, kept, asked):
    context = make_context(tiny_network, train=kept, augment=True, ask_teacher=lambda: asked)
    Distil(epochs=3, batch_size=4, views=2).reduce(tiny_network, context)
    assert asked.images == 2 * len(kept)


def test_students_of_one_run_share_the_views(tiny_network, make_context, kept, asked):
    context = make_context(tiny_network, train=kept, augment=True, ask_teacher=lambda: asked)
    for temperature in (2.0, 3.0):
        Distil(epochs=2, batch_size=4, views=2, temperature=temperature).reduce(tiny_network, context)
    assert asked.images == 2 * len(kept)


def test_there_are_never_more_views_than_epochs(tiny_network, make_context, kept, asked):
    context = make_context(tiny_network, train=kept, augment=True, ask_teacher=lambda: asked)
    Distil(epochs=1, batch_size=4, views=8).reduce(tiny_network, context)
    assert asked.images == len(kept)


def test_trainings_that_share_a_trunk_share_its_views(tiny_network, make_context, kept, asked):
    context = make_context(tiny_network, train=kept, augment=True, ask_teacher=lambda: asked)
    for epochs in (2, 3):
        method = Distil(epochs=epochs, batch_size=4, views=3, schedule="constant", cool_down=1)
        method.reduce(tiny_network, replace(context, folder=context.folder / str(epochs)))
    assert asked.images == 3 * len(kept)


def test_more_unlabeled_photos_are_another_trunk(tiny_network, make_context, kept, photos):
    keys = []
    context = make_context(tiny_network, train=kept)
    listening = replace(context, shared=lambda key: keys.append(key) or context.shared(key))
    method = ONE_EPOCH.model_copy(update={"unlabeled": photos, "schedule": "constant"})
    method.reduce(tiny_network, listening)
    cv2.imwrite(str(photos / "more.png"), np.zeros((32, 48, 3), np.uint8))
    method.reduce(tiny_network, replace(listening, folder=context.folder / "again"))
    trunks = [key for key in keys if key[0] == "distil"]
    assert len(trunks) == 2
    assert trunks[0] != trunks[1]


def test_photos_the_result_is_judged_by_are_left_out(tiny_network, make_context, kept, photos):
    method = ONE_EPOCH.model_copy(update={"unlabeled": photos})
    context = make_context(tiny_network, train=kept, held_out=lambda: {file_digest(photos / "1.png")})
    assert method.reduce(tiny_network, context).steps[-1].record["unlabeled_images"] == 2


def test_photos_that_are_all_held_out_are_named(tiny_network, make_context, kept, photos):
    method = ONE_EPOCH.model_copy(update={"unlabeled": photos})
    everything = {file_digest(path) for path in photos.iterdir()}
    with pytest.raises(UserError, match=r"every photo in .* is a validation or test image"):
        method.reduce(tiny_network, make_context(tiny_network, train=kept, held_out=lambda: everything))


def test_without_views_the_teacher_is_asked_live(tiny_network, make_context, kept, asked):
    context = make_context(tiny_network, train=kept, augment=True, ask_teacher=lambda: asked)
    Distil(epochs=3, batch_size=4, views=0).reduce(tiny_network, context)
    assert asked.images == 3 * 8  # of 9 images, the last part-batch is dropped


def test_data_that_changes_at_every_reading_is_labelled_live(tiny_network, make_context, asked):
    context = make_context(tiny_network, ask_teacher=lambda: asked)  # live samples
    Distil(epochs=3, batch_size=4, views=1).reduce(tiny_network, context)
    assert asked.images == 3 * 8


@pytest.fixture
def photos(tmp_path):
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (32, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    return tmp_path


def test_unlabeled_photos_are_used_and_counted(tiny_network, make_context, kept, photos):
    method = ONE_EPOCH.model_copy(update={"unlabeled": photos})
    with_photos = method.reduce(tiny_network, make_context(tiny_network, train=kept))
    without = ONE_EPOCH.reduce(tiny_network, make_context(tiny_network, train=kept))
    assert with_photos.steps[-1].record["unlabeled_images"] == 3
    assert with_photos.steps[-1].remark == "learned from 3 unlabeled photos too"
    assert without.steps[-1].remark == ""
    assert largest_difference(with_photos.scores, without.scores, tiny_network.example()) > 0


def test_other_photos_are_another_candidate(photos):
    method = Distil(unlabeled=photos)
    before = method.outside
    cv2.imwrite(str(photos / "more.png"), np.zeros((8, 8, 3), np.uint8))
    assert method.outside != before


def test_a_folder_without_photos_is_named(tiny_network, make_context, tmp_path):
    with pytest.raises(UserError, match="holds no image"):
        Distil(unlabeled=tmp_path).reduce(tiny_network, make_context(tiny_network))


def test_the_teacher_makes_a_difference(tiny_network, make_context):
    taught = ONE_EPOCH.reduce(tiny_network, make_context(tiny_network))
    alone = Finetune(epochs=1, batch_size=4).reduce(tiny_network, make_context(tiny_network))
    assert largest_difference(taught.scores, alone.scores, tiny_network.example()) > 0


@pytest.mark.parametrize("wrong", [{"soft": 0}, {"soft": 1.5}, {"temperature": 0}, {"views": -1}])
def test_settings_without_meaning_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValidationError):
        Distil(**wrong)


def test_its_label_names_the_terms_that_are_set():
    method = Distil(terms={"relational": {}, "hints": {"taps": ["a"]}})
    assert method.label == "distil (terms hints taps a a relational)"


@pytest.mark.parametrize(
    "settings", [{"labels": 0.3}, {"terms": {"hints": {"taps": ["a"]}}}, {"terms": {"relational": {}}}]
)
def test_a_plan_that_spells_everything_out_is_read_again(settings: dict):
    """A run that goes on reads its settings back with all defaults written down."""
    method = Distil(**settings)
    assert Distil.model_validate(method.model_dump(mode="json")) == method
