"""Lessons: a student beside its teacher, watched where terms tap them, and as it was afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tinysight.errors import UserError
from tinysight.models.scores import Scores
from tinysight.reduction.distillation.distil import Distil
from tinysight.reduction.distillation.lesson import pupil_of
from tinysight.reduction.distillation.terms.table import Terms
from tinysight.reduction.network import Network
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.verify import largest_difference
from tinysight.tasks import Classification
from tinysight.training.batches import Batch
from tinysight.training.losses import task_loss


def build(make_network, width: int) -> Network:
    torch.manual_seed(width)
    return make_network(nn.Sequential(nn.Conv2d(3, width, 3, stride=2), nn.ReLU(), nn.Conv2d(width, 2, 1)))


@pytest.fixture
def student(make_network) -> Network:
    return build(make_network, 4)


@pytest.fixture
def teacher(make_network) -> Network:
    return build(make_network, 6)


def distil(**terms: dict) -> Distil:
    return Distil(epochs=2, batch_size=4, terms=Terms.model_validate(terms))


def test_the_student_comes_closer_to_what_its_teacher_sees(student: Network, teacher: Network, make_context):
    """The hint's regressor is trained too: what it left is no measure, so places are compared by attention."""
    method = Distil(epochs=8, batch_size=4, learning_rate=0.03, soft=0, terms=Terms.model_validate(
        {"attention": {"taps": ["1"], "weight": 100}}))  # fmt: skip
    learned = method.reduce(student, make_context(teacher))
    assert _attention_apart(learned, teacher) < _attention_apart(student, teacher)


def _attention_apart(student: Network, teacher: Network) -> float:
    terms = Terms.model_validate({"attention": {"taps": ["1"]}}).named
    with pupil_of(student.copy(), teacher, terms, 8) as pupil, torch.no_grad():
        images = student.example(batch=8)
        batch = Batch(images, torch.zeros(8, 32, 48, dtype=torch.long))
        pupil(images)
        return float(pupil.loss_with(lambda _batch, scores: scores.sum() * 0)(batch, torch.zeros(1)))


@pytest.mark.parametrize("name", [name for name in Terms.model_fields if name != "decoupled"])
def test_every_term_teaches_and_leaves_nothing_behind(student: Network, teacher: Network, make_context, name: str):
    before = teacher.copy()
    learned = distil(**{name: {"taps": ["1"]}}).reduce(student, make_context(teacher))
    plain = Distil(epochs=2, batch_size=4, views=0).reduce(student, make_context(teacher))
    assert learned.module.state_dict().keys() == student.module.state_dict().keys()
    assert largest_difference(learned.scores, plain.scores, student.example()) > 0
    assert largest_difference(teacher.scores, before.scores, student.example()) == 0
    for module in (*learned.module.modules(), *teacher.module.modules(), *student.module.modules()):
        assert not module._forward_hooks


def test_it_goes_on_after_an_interruption_with_its_adapters(student: Network, teacher: Network, make_context):
    method = distil(hints={"taps": {"0": "0"}})
    whole = method.reduce(student, make_context(teacher))
    context = make_context(teacher)
    one_epoch = method.model_copy(update={"epochs": 1, "schedule": "constant"})
    constant = method.model_copy(update={"schedule": "constant"})
    apart = constant.reduce(student, make_context(teacher))
    one_epoch.reduce(student, context)
    resumed = constant.reduce(student, context)
    assert largest_difference(resumed.scores, apart.scores, student.example()) == 0
    assert largest_difference(resumed.scores, whole.scores, student.example()) > 0


def test_each_network_sees_pictures_at_its_own_size(teacher: Network, student: Network, make_context):
    small = replace(student, origin=student.origin.model_copy(update={"height": 16, "width": 24}))
    learned = distil(hints={"taps": ["1"]}, pairwise={"taps": ["1"]}).reduce(small, make_context(teacher))
    assert largest_difference(learned.scores, small.scores, small.example()) > 0


def test_only_students_and_adapters_are_trained(student: Network, teacher: Network):
    with pupil_of(student, teacher, Terms.model_validate({"hints": {"taps": ["1"]}}).named, 4) as pupil:
        trained = sum(parameter.numel() for parameter in pupil.parameters())
    assert trained == sum(parameter.numel() for parameter in student.module.parameters()) + 4 * 6 + 6
    assert isinstance(pupil.student, Scores)


def test_terms_on_scores_need_no_taps_and_no_live_teacher(student: Network, teacher: Network, make_context):
    asked = []

    class Asked:
        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            asked.append(len(images))
            return teacher.scores(images).detach()

    context = make_context(teacher, ask_teacher=Asked)
    learned = distil(channelwise={}, relational={}, decoupled={}).reduce(student, context)
    assert asked
    assert learned.steps[-1].record["terms"]["channelwise"]["temperature"] == 4


@pytest.mark.parametrize(
    ("taps", "told"),
    [
        ({"9": "1"}, "the student has no module '9'"),
        ({"1": "9"}, "the teacher has no module '9'"),
        ({"": "1"}, "the student has no module ''"),
    ],
)
def test_modules_that_do_not_exist_are_named(student: Network, teacher: Network, make_context, taps: dict, told: str):
    with pytest.raises(UserError, match=told):
        distil(hints={"taps": taps}).reduce(student, make_context(teacher))


def test_the_nearest_name_is_offered(make_network, make_context):
    network = make_network(nn.Sequential())
    network.module.add_module("encoder", nn.Conv2d(3, 2, 1))
    with pytest.raises(UserError, match="did you mean 'encoder'"):
        distil(hints={"taps": ["encodr"]}).reduce(network, make_context(network))


class Spare(nn.Module):
    """Its first layer gives two things, its last never runs."""

    class Two(nn.Conv2d):
        def forward(self, images):
            out = super().forward(images)
            return out, out

    def __init__(self):
        super().__init__()
        self.two, self.spare = self.Two(3, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, images):
        return self.two(images)[0]


@pytest.mark.parametrize(("path", "told"), [("spare", "does not run"), ("two", "gives a tuple")])
def test_modules_that_cannot_be_compared_are_named(make_network, make_context, path: str, told: str):
    network = make_network(Spare())
    with pytest.raises(UserError, match=told):
        distil(hints={"taps": [path]}).reduce(network, make_context(network))


def test_maps_and_tokens_have_no_places_in_common(make_network, student: Network, make_context):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.project, self.norm = nn.Conv2d(3, 2, 1), nn.LayerNorm(2)

        def forward(self, images):
            maps = self.project(images)
            return self.norm(maps.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(maps.shape)

    with pytest.raises(UserError, match="maps and rows of tokens"):
        distil(attention={"taps": {"1": "norm"}}).reduce(student, make_context(make_network(Tokens())))


@pytest.mark.parametrize("name", ["attention", "selectivity", "channelwise", "pairwise"])
def test_terms_that_compare_places_need_more_than_one(make_network, make_context, name: str):
    one_place = make_network(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 2, 1), nn.Upsample((32, 48))))
    with pytest.raises(UserError, match=rf"{name} would teach nothing between .*'1' and .*'1': it compares places"):
        distil(**{name: {"taps": ["1"]}}).reduce(one_place, make_context(one_place))


@pytest.mark.parametrize("name", ["channelwise", "pairwise"])
def test_scores_of_a_whole_picture_have_no_places(make_network, make_context, name: str):
    whole = make_network(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)))
    task = Classification(("a", "b"))
    with pytest.raises(UserError, match=f"{name} would teach nothing on the scores: it compares places"):
        distil(**{name: {}}).reduce(whole, make_context(whole, task=task))


@pytest.mark.parametrize(
    ("terms", "reason"),
    [({"relational": {}}, "takes three in a batch"), ({"decoupled": {"target": 0}}, "there are no others")],
)
def test_terms_that_would_teach_nothing_are_refused(student: Network, teacher: Network, make_context, terms, reason):
    method = distil(**terms).model_copy(update={"batch_size": 2})
    with pytest.raises(UserError, match=f"would teach nothing on the scores: .*{reason}"):
        method.reduce(student, make_context(teacher))


def test_an_onnx_file_cannot_be_tapped(student: Network, make_context, teacher: Network, monkeypatch):
    monkeypatch.setattr(Network, "file", property(lambda self: object()))
    with pytest.raises(NotApplicable, match="ONNX file"), pupil_of(student, teacher, {}, 4):
        pass


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"soft": 0.0}, "that is 'finetune'"),
        ({"soft": 0.3, "labels": 0.3}, "give one of them"),
        ({"terms": {"hints": {"taps": ["1"]}}, "views": 3}, "asked live"),
        ({"terms": {"hints": {"taps": ["1"]}}, "teachers": ("a",)}, "of the reference alone"),
        ({"terms": {"hint": {"taps": ["1"]}}}, "Extra inputs"),
        ({"temperature": 0}, "greater than or equal to 0.1"),
        ({"temperature": 3.0, "soft": 0, "terms": {"similarity": {}}}, "softens nothing"),
        ({"noise": 0.5, "soft": 0, "terms": {"hints": {"taps": ["1"]}}}, "changes nothing"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict, told: str):
    with pytest.raises(ValidationError, match=told):
        Distil(**settings)


def test_labels_weigh_as_in_the_other_form(student: Network, teacher: Network, make_context):
    """S4's loss: the divergence at T, without its square, plus labels x the loss on labels."""
    loss = Distil(labels=0.3, temperature=2)._loss(make_context(teacher))
    scores, given = torch.randn(2, 2, 4, 4), torch.randn(2, 2, 4, 4)
    targets = torch.zeros(2, 4, 4, dtype=torch.long)
    batch = Batch(torch.zeros(2, 3, 4, 4), targets, given)
    apart = nn.functional.kl_div((scores / 2).log_softmax(1), (given / 2).softmax(1), reduction="sum") / 32
    hard = task_loss("cross_entropy", make_context(teacher).task)(batch, scores)
    assert float(loss(batch, scores)) == pytest.approx(float(apart + 0.3 * hard), rel=1e-5)
