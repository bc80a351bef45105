"""Terms of a distillation: what all promise, values by hand, gradients against finite differences."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from tinysight.reduction.distillation.terms.base import Term
from tinysight.reduction.distillation.terms.decoupled import Decoupled
from tinysight.reduction.distillation.terms.embedding import Embedding
from tinysight.reduction.distillation.terms.relational import Relational
from tinysight.reduction.distillation.terms.table import Terms

LABELS = torch.tensor([0, 2, 1, 2])


def build(name: str, **settings: object) -> Term:
    taps = {} if name == "decoupled" else {"taps": ["layer"]}
    return Terms.model_validate({name: taps | settings}).named[name]


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def value(term: Term, student: Tensor, teacher: Tensor, targets: Tensor = LABELS) -> float:
    return float(term.of(student, teacher, targets))


@pytest.fixture(params=Terms.model_fields)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shape(name: str) -> tuple[int, ...]:
    return (4, 3, 1, 1) if name == "decoupled" else (4, 3, 2, 5)


def test_equal_networks_are_not_apart(name: str, shape: tuple[int, ...]):
    given = features(*shape)
    assert value(build(name), given, given) == pytest.approx(0, abs=1e-12)


def test_others_are(name: str, shape: tuple[int, ...]):
    assert value(build(name), features(*shape), features(*shape, seed=1)) > 1e-4


def test_gradients_equal_finite_differences(name: str, shape: tuple[int, ...]):
    term, teacher = build(name), features(*shape, seed=1)
    student = features(*shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: term.of(given, teacher, LABELS), student)


def test_what_says_nothing_gives_finite_gradients(name: str, shape: tuple[int, ...]):
    """Features may be zero everywhere, behind a ReLU."""
    student = torch.zeros(*shape, requires_grad=True)
    build(name).of(student, torch.zeros(*shape), LABELS).backward()
    assert torch.isfinite(student.grad).all()


def test_those_that_allow_it_compare_other_numbers_of_channels(name: str):
    term = build(name)
    if not term.equal_channels and name != "decoupled":
        assert math.isfinite(value(term, features(4, 3, 2, 5), features(4, 7, 2, 5)))


def test_hints_are_the_mean_squared_difference():
    one, other = features(2, 3, 2, 2), features(2, 3, 2, 2, seed=1)
    assert value(build("hints"), one, other) == pytest.approx(float(F.mse_loss(one, other)))


def test_attention_sees_places_not_channels():
    """One place alone against two alike: (1, 0) and (1, 1) / √2 lie √(2 - √2) apart."""
    one = torch.tensor([[[[3.0, 0.0]], [[0.0, 0.0]]]])
    other = torch.tensor([[[[0.0, -1.0]], [[1.0, 0.0]]]])
    assert value(build("attention"), one, other) == pytest.approx(math.sqrt(2 - math.sqrt(2)) / 2)


def test_selectivity_does_not_care_which_neuron_it_is():
    given = features(2, 4, 3, 3)
    assert value(build("selectivity"), given[:, [2, 0, 3, 1]], given) == pytest.approx(0, abs=1e-12)


def test_selectivity_by_hand():
    """Two channels at one place each against one at the first: 1 + 1/2 - 2 x 1/2."""
    student = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    teacher = torch.tensor([[[[5.0, 0.0]]]])
    assert value(build("selectivity"), student, teacher) == pytest.approx(0.5)


def test_relations_by_hand():
    """Points 0, 3 and 4 on a line, and on a triangle of sides 3, 4 and 5."""
    student = torch.tensor([0.0, 3.0, 4.0]).reshape(3, 1, 1, 1)
    teacher = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]).reshape(3, 2, 1, 1)
    own, given = torch.tensor([3.0, 4, 1]) / (8 / 3), torch.tensor([3.0, 4, 5]) / 4
    gaps = float(F.smooth_l1_loss(own, given, reduction="sum")) * 2 / 9
    assert value(Relational(distance=1, angle=0), student, teacher) == pytest.approx(gaps, rel=1e-5)
    # Of the cosines in the middle pictures 0, 1 and 2: on the line 1, -1, 1; in the triangle 0, 3/5, 4/5.
    cosines = sum(
        float(F.smooth_l1_loss(torch.tensor(a), torch.tensor(b))) for a, b in ((1.0, 0.0), (-1.0, 0.6), (1.0, 0.8))
    )
    assert value(Relational(distance=0, angle=1), student, teacher) == pytest.approx(2 * cosines / 27, rel=1e-5)


def test_distances_do_not_depend_on_scale():
    given = features(4, 3, 1, 1)
    assert value(Relational(angle=0), 7 * given, given) == pytest.approx(0, abs=1e-12)


def test_similarity_by_hand():
    """Pictures that are equal for the student and orthogonal for the teacher."""
    student, teacher = torch.ones(2, 1, 1, 1), torch.eye(2).reshape(2, 2, 1, 1)
    half = 1 / math.sqrt(2)
    assert value(build("similarity"), student, teacher) == pytest.approx(((half - 1) ** 2 + half**2) / 2)


def test_channels_are_compared_place_by_place():
    """At temperature 2 the teacher's places have 3/4 and 1/4, the student's the half each."""
    student, teacher = torch.zeros(1, 1, 1, 2), torch.tensor([2 * math.log(3.0), 0.0]).reshape(1, 1, 1, 2)
    expected = 4 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    assert value(build("channelwise", temperature=2.0), student, teacher) == pytest.approx(expected)


def test_pairs_by_hand():
    """Two places, alike for the student and orthogonal for the teacher: two of four cosines differ by one."""
    student = torch.ones(1, 2, 1, 2)
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    assert value(build("pairwise"), student, teacher) == pytest.approx(0.5)


def test_pairs_are_of_patches():
    given = features(1, 2, 8, 8)
    means = F.adaptive_avg_pool2d(given, 2)
    assert value(build("pairwise", nodes=2), given, means.repeat_interleave(4, 2).repeat_interleave(4, 3)) < 1e-12


def test_embeddings_point_the_same_way_or_are_the_same():
    given = features(4, 3, 2, 2)
    assert value(Embedding(taps=["a"]), 3 * given, given) == pytest.approx(0, abs=1e-12)
    assert value(Embedding(taps=["a"], form="l2"), given + 1, given) == pytest.approx(3)


def test_decoupled_with_the_teachers_doubt_as_weight_is_plain():
    """Zhao et al. 2022, equation 5: KL = target part + (1 - p(label)) x other part."""
    student, teacher = features(1, 3, 1, 1), features(1, 3, 1, 1, seed=1)
    label = torch.tensor([2])
    doubt = 1 - float(teacher.flatten().softmax(0)[2])
    plain = F.kl_div(student.flatten().log_softmax(0), teacher.flatten().softmax(0), reduction="sum")
    term = Decoupled(temperature=1.0, target=1.0, others=doubt)
    assert value(term, student, teacher, label) == pytest.approx(float(plain))


def test_decoupled_leaves_out_what_has_no_label():
    student, teacher = features(1, 3, 1, 2), features(1, 3, 1, 2, seed=1)
    both = torch.tensor([[[1, 255]]])
    first = value(Decoupled(), student[..., :1], teacher[..., :1], both[..., :1])
    assert value(Decoupled(), student, teacher, both) == pytest.approx(first)
    assert value(Decoupled(), student, teacher, torch.full((1, 1, 2), 255)) == 0


def test_of_two_classes_there_are_no_others():
    assert math.isfinite(value(Decoupled(), features(4, 2, 1, 1), features(4, 2, 1, 1, seed=1), LABELS.clamp(max=1)))


@pytest.mark.parametrize(
    ("name", "settings", "sizes"),
    [
        ("attention", {}, (4, 1, 4)),
        ("selectivity", {}, (4, 1, 4)),
        ("channelwise", {}, (4, 1, 4)),
        ("pairwise", {}, (4, 1, 4)),
        ("pairwise", {}, (1, 6, 4)),
        ("embedding", {}, (1, 6, 4)),
        ("relational", {}, (4, 6, 2)),
        ("decoupled", {"target": 0}, (2, 1, 4)),
    ],
)
def test_a_term_is_idle_where_its_gradient_vanishes(name: str, settings: dict, sizes: tuple[int, int, int]):
    channels, places, pictures = sizes
    taps = {} if name == "decoupled" else {"taps": ["a"]}
    term = build(name, **taps, **settings)
    student, teacher = (features(pictures, channels, 1, places, seed=seed) for seed in (0, 1))
    student.requires_grad = True
    term.of(student, teacher, torch.zeros(pictures, 1, places, dtype=torch.long)).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-6
    assert term.idle(*sizes)
    assert not term.idle(4, 6, 4)


def test_a_name_without_settings_is_refused():
    with pytest.raises(ValidationError, match=r"similarity is empty: write similarity: \{\} for its defaults"):
        Terms.model_validate({"similarity": None})
    spelled_out = Terms.model_validate({"similarity": {}}).model_dump()
    assert list(Terms.model_validate(spelled_out).named) == ["similarity"]


@pytest.mark.parametrize("given", [["a", "b"], {"a": "a", "b": "b"}])
def test_a_list_names_modules_that_are_called_alike(given: object):
    assert build("hints", taps=given).taps == {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("hints", {"taps": []}, "taps are missing"),
        ("relational", {"taps": ["a"], "distance": 0, "angle": 0}, "nothing would be compared"),
        ("decoupled", {"taps": ["a"]}, "leave taps out"),
        ("decoupled", {"target": 0, "others": 0}, "nothing would be compared"),
        ("attention", {"weight": 0}, "greater than 0"),
        ("channelwise", {"temperature": 0}, "greater than or equal to 0.1"),
    ],
)
def test_settings_that_compare_nothing_are_refused(name: str, settings: dict, told: str):
    with pytest.raises(ValidationError, match=told):
        build(name, **settings)
