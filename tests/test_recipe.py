"""The recipe: what a good one gives, and what a bad one is told, all at once."""

import json
import re
from pathlib import Path

import pytest

import tinysight
from tinysight.errors import UserError
from tinysight.recipe import load_recipe, parse_stages, recipe_of_run
from tinysight.reduction.precision.int8 import Int8

GOOD = """
name: street
data: {reader: image_mask, path: photos, classes: {soil: 0, plant: [1, 2]}}
model: {name: unet, encoder: resnet34}
input: {height: 96, width: 128, mode: pad}
train: {epochs: 3}
stages:
  - trim
  - finetune: {epochs: 2}
  - name: precision
    variants: [bf16, int8: {images: 50}]
goal: {minimize: bytes, max_drop: 1.5, limits: {bytes: 15000000}}
engine: onnxruntime
seed: 4
"""
FACADES = "data: {reader: facades}\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "street.yaml") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def problems(write):
    """Return what a recipe is told, one line a problem."""

    def find(text: str, *overrides: str) -> list[str]:
        with pytest.raises(UserError) as caught:
            load_recipe(write(text), overrides)
        first, *lines = str(caught.value).splitlines()
        assert re.fullmatch(rf"{len(lines)} problems? in .*street\.yaml:", first)
        return [line.strip() for line in lines]

    return find


# A good recipe


def test_every_section_is_read(write):
    recipe = load_recipe(write(GOOD))
    assert (recipe.name, recipe.seed, recipe.data.name) == ("street", 4, "image_mask")
    assert (recipe.model.name, recipe.model.encoder) == ("unet", "resnet34")
    assert (recipe.input.height, recipe.input.width, recipe.input.mode) == (96, 128, "pad")
    assert recipe.train.epochs == 3
    assert (recipe.goal.minimize, recipe.goal.limits.bytes) == ("bytes", 15_000_000)


def test_stages_and_variants_are_read(write):
    stages = load_recipe(write(GOOD)).stages
    assert [stage.name for stage in stages] == ["trim", "finetune", "precision"]
    assert [variant.name for variant in stages[2].variants] == ["bf16", "int8"]
    assert stages[2].variants[1] == Int8(images=50)


def test_an_engine_may_be_its_name_alone(write):
    assert load_recipe(write(GOOD)).engine.name == "onnxruntime"


def test_a_recipe_without_a_name_takes_its_files(write):
    assert load_recipe(write(FACADES, "my street.yaml")).name == "my-street"


def test_almost_everything_has_a_default(write):
    recipe = load_recipe(write(FACADES))
    assert (recipe.task, recipe.engine.name, recipe.train, recipe.stages) == ("segmentation", "openvino", None, ())


def test_paths_are_relative_to_the_recipe(write, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    assert load_recipe(write(GOOD)).data.path == tmp_path / "photos"


def test_a_path_on_the_command_line_counts_from_where_one_is(write, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    recipe = load_recipe(write(GOOD), ["data.path=mine", "model.checkpoint=trained"])
    assert recipe.data.path == tmp_path / "elsewhere" / "mine"
    assert recipe.model.checkpoint == tmp_path / "elsewhere" / "trained"


def test_the_plan_of_a_checkpoint_says_nothing_of_a_network_that_is_not_used(write):
    plan = load_recipe(write(FACADES + "model: {checkpoint: trained}")).plan()
    assert list(plan["model"]) == ["checkpoint"]
    assert "input" not in plan


def test_the_plan_of_a_checkpoint_says_how_it_looks_at_photos(write):
    plan = load_recipe(write(FACADES + "model: {checkpoint: trained}\ninput: {flip: true}")).plan()
    assert plan["input"] == {"flip": True}


def test_a_checkpoints_path_is_too(write, tmp_path):
    recipe = load_recipe(write(FACADES + "model: {checkpoint: trained/network}"))
    assert recipe.model.checkpoint == tmp_path / "trained" / "network"


def test_an_environment_variable_is_filled_in(write, monkeypatch):
    monkeypatch.setenv("PHOTOS", "/somewhere")
    assert load_recipe(write(GOOD.replace("path: photos", "path: $PHOTOS/x"))).data.path == Path("/somewhere/x")


def test_home_is_filled_in(write, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load_recipe(write(GOOD.replace("path: photos", "path: ~/x"))).data.path == Path("/home/somebody/x")


def test_the_demos_recipe_is_good():
    assert load_recipe(Path(tinysight.__file__).parent / "demo.yaml").name == "demo"


SWEEP = "stages: [{variants: [{sweep: {finetune: {epochs: [2, 4], seed: [0, 1], batch_size: 4}}}]}]"


def test_a_sweep_is_one_variant_for_every_combination(write):
    (stage,) = load_recipe(write(f"{FACADES}{SWEEP}")).stages
    assert [(v.epochs, v.seed, v.batch_size) for v in stage.variants] == [(2, 0, 4), (2, 1, 4), (4, 0, 4), (4, 1, 4)]


def test_a_list_inside_a_sweep_is_one_value(write):
    stage, _recovery = load_recipe(write(f"{FACADES}stages: [sweep: {{bins: {{keep: [[1], [1, 6]]}}}}]")).stages
    assert [variant.keep for variant in stage.variants] == [(1,), (1, 6)]


def test_a_plan_with_sweep_and_shortlist_reads_back(write):
    recipe = load_recipe(
        write(f"{FACADES}stages: [{{variants: [{{sweep: {{finetune: {{epochs: [2, 3]}}}}}}], shortlist: 5}}]")
    )
    problems: list[str] = []
    assert parse_stages([stage.plan() for stage in recipe.stages], problems) == recipe.stages
    assert not problems


def test_a_methods_path_is_relative_to_the_recipe(write, tmp_path):
    (stage,) = load_recipe(write(f"{FACADES}stages: [distil: {{unlabeled: more}}]")).stages
    assert stage.variants[0].unlabeled == tmp_path / "more"


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ("[{variants: [trim], shortlist: 0}]", "stages.0.shortlist: must be a whole number from 1 on, or all (got 0)"),
        ("[sweep: {finetun: {epochs: [1, 2]}}]", "stages.0: unknown method 'finetun': did you mean 'finetune'"),
        ("[sweep: {finetune: {epoch: [1, 2]}}]", "stages.0.finetune.epoch: unknown key, did you mean 'epochs'"),
        ("[sweep: [1, 2]]", "stages.0: write a method's name"),
        ("[sweep: trim]", "stages.0: write a method's name"),
        ("[sweep: {finetune: {epochs: []}}]", "stages.0.sweep: a list is empty"),
    ],
)
def test_what_is_wrong_in_a_sweep_or_shortlist_is_said_once(write, stages, problem):
    with pytest.raises(UserError) as error:
        load_recipe(write(f"{FACADES}stages: {stages}"))
    assert str(error.value).startswith("1 problem")
    assert problem in str(error.value)


# Overrides


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("train.epochs=7", lambda recipe: recipe.train.epochs, 7),
        ("goal.limits.bytes=5", lambda recipe: recipe.goal.limits.bytes, 5),
        ("device=cpu", lambda recipe: recipe.device, "cpu"),
        ("engine=openvino", lambda recipe: recipe.engine.name, "openvino"),
        ("engine.threads=1", lambda recipe: (recipe.engine.name, recipe.engine.threads), ("onnxruntime", 1)),
        ("stages.1.finetune.epochs=9", lambda recipe: recipe.stages[1].variants[0].epochs, 9),
        ("stages.0=recalibrate", lambda recipe: recipe.stages[0].name, "recalibrate"),
        ("stages=[trim]", lambda recipe: len(recipe.stages), 1),
        ("input.mean=[0.5, 0.5, 0.5]", lambda recipe: recipe.input.mean, (0.5, 0.5, 0.5)),
        ("train=null", lambda recipe: recipe.train, None),
    ],
)
def test_an_override(write, override, read, value):
    assert read(load_recipe(write(GOOD), [override])) == value


def test_an_override_makes_the_group_it_needs(write):
    assert load_recipe(write(FACADES), ["train.epochs=2"]).train.epochs == 2


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.epochs", "'train.epochs': write an override as key=value"),
        ("=3", "'=3': write an override as key=value"),
        ("train.epochs=[", "'train.epochs=[': the value is not valid YAML"),
        ("stages.9=trim", "'stages.9=trim': the recipe has no place 'stages.9'"),
        ("stages.first=trim", "'stages.first=trim': the recipe has no place 'stages.first'"),
        ("seed.x.y=1", "'seed.x.y=1': the recipe has no place 'seed.x.y'"),
        ("seed=2024-99-99", "'seed=2024-99-99': the value is not valid YAML (month must be in 1..12)"),
        (
            "train={epochs: 1, epochs: 2}",
            "'train={epochs: 1, epochs: 2}': the value is not valid YAML (the key 'epochs'",
        ),
        ("train.epoch=3", "train.epoch: unknown key, did you mean 'epochs'?"),
    ],
)
def test_a_bad_override(problems, override, said):
    assert [line[: len(said)] for line in problems(GOOD, override)] == [said]


# One mistake at a time


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stagse: [trim]", "stagse: unknown key, did you mean 'stages'?"),
        ("train: {epoch: 3}", "train.epoch: unknown key, did you mean 'epochs'?"),
        ("goal: {limits: {byte: 3}}", "goal.limits.byte: unknown key, did you mean 'bytes'?"),
        ("model: {encodr: resnet18}", "model.encodr: unknown key, did you mean 'encoder'?"),
        ("input: {hight: 64}", "input.hight: unknown key, did you mean 'height'?"),
        ("engine: {thread: 2}", "engine.thread: unknown key, did you mean 'threads'?"),
        ("train: {zzz: 3}", "train.zzz: unknown key, valid are augment, batch_size, cool_down, epochs"),
        ("train: {epochs: many}", "train.epochs: input should be a valid integer"),
        ("train: {epochs: 0}", "train.epochs: input should be greater than or equal to 1 (got 0)"),
        ("train: 5", "train: "),
        ("model: 5", "model: "),
        ("engine: 7", "engine: "),
        ("goal: latency", "goal: "),
        ("goal: {minimize: watts}", "goal.minimize: input should be 'latency', 'bytes' or 'macs' (got 'watts')"),
        ("input: {mean: [0.5, x, 0.5]}", "input.mean.1: input should be a valid number"),
        ("input: {mean: [0.5], std: [1, 1]}", "input: mean and std need one value for every channel"),
        ("task: segmentatoin", "task: unknown task 'segmentatoin': did you mean 'segmentation'?"),
        ("task: 5", "task: unknown task '5': choose one of: classification, segmentation"),
        ("engine: opnvino", "engine: unknown engine 'opnvino': did you mean 'openvino'?"),
        ("engine: {name: onnx-runtime}", "engine: unknown engine 'onnx-runtime': did you mean 'onnxruntime'?"),
        ("model: {name: pspnett}", "model.name: unknown network 'pspnett': did you mean 'pspnet'?"),
        ("name: a/b", "name: "),
        ("device: gpu", "device: "),
        ("seed: -1", "seed: "),
        ("seed: 2147483648", "seed: input should be less than or equal to 2147483647"),
        ("train: {epochs: 1000001}", "train.epochs: input should be less than or equal to 1000000"),
        ("model: {import: a.b}", "model: import must be the path of a class, package.module:Class"),
        ("model: {import: 'a:B', encoder: c}", "model: import stands instead of encoder: give one of them"),
        ("model: {weights: w.pth, checkpoint: c}", "model: weights and checkpoint both bring weights"),
        ("train: {learning_rate: yes}", "train.learning_rate: must be a number, not yes or no"),
        ("train: {epochs: 1, loss: dise}", "train: unknown segmentation loss 'dise': did you mean 'dice'?"),
        ("task: classification\ntrain: {loss: dice}", "train: unknown classification loss 'dice'"),
        ("train: {mix: cutmix}", "train: 'cutmix' is not for segmentation"),
        ("train: {augment: randaugment}", "train: 'randaugment' is not for segmentation"),
        ("train: {loss: dice, label_smoothing: 0.1}", "train: label_smoothing needs a cross entropy"),
        ("input: {height: yes}", "input.height: must be a number, not yes or no"),
        ("model: {args: {classes: 3}}", "model: 'classes' is no argument to give"),
        ("stages: [encoder: {to: a, args: {encoder: b}}]", "stages.0.encoder.args: 'encoder' is no argument to give"),
        ("stages: [{variants: [trim, trim]}]", "stages.0: the variant 'trim' stands twice"),
        ("stages: [sweep: {finetune: {epochs: [2, 2]}}]", "stages.0: the variant 'finetune (epochs 2)' stands twice"),
        (
            f"stages: [sweep: {{int8: {{images: {[*range(40)]}, bias_correction: {[*range(40)]}}}}}]",
            "stages.0.sweep: has 1600 combinations, more than 1000",
        ),
        ("train: {learning_rate: .inf}", "train.learning_rate: "),
        ("train: {weight_decay: .inf}", "train.weight_decay: input should be a finite number"),
        ("stages: [finetune: {learning_rate: 1001}]", "stages.0.finetune.learning_rate: "),
        ("stages: [trim: 0]", "stages.0.trim: must be settings, such as {name: value} (got 0)"),
        ("stages: [int8: '']", "stages.0.int8: must be settings, such as {name: value} (got '')"),
        ("stages: [int8: {ignored: first}]", "stages.0.int8.ignored: must be a list, such as [a, b] (got 'first')"),
        ("stages: [distil: {teachers: there}]", "stages.0.distil.teachers: must be a list, such as [a, b] (got '"),
        ("stages: [distil: {teachers: [a, a]}]", "stages.0.distil.teachers: a checkpoint stands twice"),
        ("stages: [fat: {unlabeled: ''}]", "stages.0.fat.unlabeled: is empty: name a file or folder"),
        ("stages: [distil: {unlabeled: true}]", "stages.0.distil.unlabeled: must be one path (got True)"),
        ("stages: [bf16: {images: 3}]", "stages.0.bf16.images: unknown key, it takes no settings"),
        ("stages: [{variants: [trim], 5: x, a: y}]", "stages.0.5: unknown key"),
        ("model: {checkpoint: [a]}", "model.checkpoint: must be one path"),
        ("model: {checkpoint: 5}", "model.checkpoint: must be one path"),
        ("engine: {name: [a]}", "engine: unknown engine '['a']'"),
        ("seed: 0x" + "f" * 5000, "seed: "),
        ("stages: trim", "stages: must be a list, such as [trim, int8]"),
        ("stages: [trimm]", "stages.0: unknown method 'trimm': did you mean 'trim'?"),
        ("stages: [5]", "stages.0: write a method's name, or one method with its settings"),
        ("stages: [null]", "stages.0: write a method's name, or one method with its settings"),
        ("stages: [{trim: {}, int8: {}}]", "stages.0: write a method's name, or one method with its settings"),
        ("stages: [{5: {}}]", "stages.0: unknown method '5'"),
        ("stages: [int8: {image: 9}]", "stages.0.int8.image: unknown key, did you mean 'images'?"),
        ("stages: [int8: {images: 0}]", "stages.0.int8.images: input should be greater than or equal to 1 (got 0)"),
        ("stages: [int8: 5]", "stages.0.int8: "),
        ("stages: [encoder]", "stages.0.encoder.to: field required"),
        ("stages: [{variant: [trim]}]", "stages.0: "),
        ("stages: [{variants: [trim], nmae: x}]", "stages.0.nmae: unknown key, did you mean 'name'?"),
        ("stages: [{variants: [trim, inttt8]}]", "stages.0.variants.1: unknown method 'inttt8': did you mean 'int8'?"),
        ("stages: [{variants: []}]", "stages.0.variants: is empty, name at least one method"),
    ],
)
def test_a_mistake_is_named(problems, text, said):
    found = problems(FACADES + text)
    assert found[0].startswith(said), found


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("seed: 1", "data: missing; say which reader and where"),
        ("data: photos", "data: missing; say which reader and where"),
        (
            "data: {path: photos}",
            "data.reader: missing; choose one of: arrays, camvid, cityscapes, class_folders, coco, csv, facades, ",
        ),
        ("data: {reader: imagemask}", "data: unknown reader 'imagemask': did you mean 'image_mask'?"),
        ("data: {reader: [yolo]}", "data: unknown reader '['yolo']'"),
        ("data: {reader: {yolo: 1}}", "data: unknown reader '{'yolo': 1}'"),
        ("data: {reader: camvid, path: 5}", "data.path: must be one path"),
        (
            "data: {reader: image_mask, path: x, classes: {plant: [1, 2]}}",
            "data.classes: at least 2 classes are needed",
        ),
        ("data: {reader: image_mask, path: x, classes: [soil, no]}", "data.classes: the class False is not a name"),
        ("data: {reader: facades, trian: 5}", "data.trian: unknown key, did you mean 'train'?"),
        ("data: {reader: facades, train: 0}", "data.train: input should be greater than or equal to 1 (got 0)"),
        ("data: {reader: facades, height: tall}", "data.height: input should be a valid integer"),
        ("data: {reader: yolo, path: x, clases: {a: [b]}}", "data.classes: field required"),
        ("data: {reader: camvid, path: $NOWHERE/x}", "data.path: the environment variable NOWHERE is not set"),
        ("data: {reader: camvid}", "data.path: field required"),
    ],
)
def test_a_mistake_in_the_data_is_named(problems, data, said, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    found = problems(data)
    assert found[0].startswith(said), found


def test_a_key_of_another_reader_is_not_suggested(problems):
    """``path`` is a key of most readers, but not of this one."""
    (found,) = problems("data: {reader: facades, paths: x}")
    assert "'path'" not in found


def test_a_checkpoints_unset_variable_is_named_where_it_stands(problems, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    found = problems(FACADES + "model: {checkpoint: $NOWHERE/network}")
    assert found == ["model.checkpoint: the environment variable NOWHERE is not set: export it, or write the path"]


def test_an_illegal_order_is_refused(problems):
    assert problems(FACADES + "stages: [int8, trim]") == [
        "stages.1: trim changes structure and cannot follow a precision step: put it before"
    ]


def test_every_variant_counts_in_an_order(problems):
    found = problems(FACADES + "stages: [{variants: [recalibrate, fp16]}, trim, int8]")
    assert [line.split(":")[0] for line in found] == ["stages.1", "stages.2"]


# All mistakes at once


def test_every_mistake_is_reported_at_once(problems):
    text = """
data: {reader: facades, trian: 5, width: wide}
stagse: []
task: segmentatoin
model: {name: pspnett, encodr: x}
input: {hight: 64}
train: {epoch: 3, batch_size: 1}
goal: {limits: {byte: 3}}
engine: {name: opnvino, threads: none}
stages: [int8: {image: 9}, trimm, trim]
"""
    found = {line.split(": ")[0] for line in problems(text, "seed=-1", "nonsense")}
    assert found == {
        "data.trian", "data.width", "stagse", "task", "model.name", "model.encodr", "input.hight", "train.epoch",
        "train.batch_size", "goal.limits.byte", "engine", "engine.threads", "stages.0.int8.image", "stages.1", "seed",
        "'nonsense'",
    }  # fmt: skip


def test_one_mistake_is_one_problem(write):
    with pytest.raises(UserError, match=r"^1 problem in "):
        load_recipe(write(FACADES + "sede: 1"))


# Files that are no recipe


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=f"the recipe {tmp_path}/no.yaml does not exist: check the path"):
        load_recipe(tmp_path / "no.yaml")


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\): give a YAML file you may read"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\t- x", "a: !!python/object:os.system {}"])
def test_broken_yaml_is_refused_on_one_line(write, text):
    with pytest.raises(UserError, match="is not valid YAML") as caught:
        load_recipe(write(text))
    assert "\n" not in str(caught.value)


def test_a_photo_is_no_recipe(tmp_path):
    (tmp_path / "photo.yaml").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(UserError, match="is not valid YAML"):
        load_recipe(tmp_path / "photo.yaml")


@pytest.mark.parametrize("text", ["", "- trim", "trim", "5"])
def test_what_has_no_keys_is_no_recipe(write, text):
    with pytest.raises(UserError, match="must hold keys and values"):
        load_recipe(write(text))


# Plans


def test_a_plan_is_json(write):
    plan = load_recipe(write(GOOD)).plan()
    assert json.loads(json.dumps(plan)) == plan


def test_a_plan_makes_the_recipe_again(write, tmp_path):
    recipe = load_recipe(write(GOOD))
    (tmp_path / "plan.json").write_text(json.dumps(recipe.plan()))
    assert recipe_of_run(tmp_path) == recipe


def test_a_plan_without_a_val_fraction_means_the_default(write, tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps(load_recipe(write(FACADES)).plan()))
    assert "val_fraction" not in json.loads((tmp_path / "plan.json").read_text())
    assert recipe_of_run(tmp_path).val_fraction == 0.15
    (tmp_path / "plan.json").write_text(json.dumps(load_recipe(write(FACADES), ["val_fraction=0.2"]).plan()))
    assert recipe_of_run(tmp_path).val_fraction == 0.2


def test_a_plan_spells_out_defaults(write):
    assert load_recipe(write(FACADES)).plan()["goal"]["max_drop"] == 0.5


def test_a_folder_without_a_plan_is_no_run(tmp_path):
    with pytest.raises(UserError, match=r"is not a run: it has no plan\.json"):
        recipe_of_run(tmp_path)


def test_a_run_of_live_objects_needs_its_script(tmp_path):
    (tmp_path / "plan.json").write_text('{"data": {"train": 5}}')
    with pytest.raises(UserError, match=f"only the same script, with out='{tmp_path}'"):
        recipe_of_run(tmp_path)


# From Python


def test_stages_from_python_are_checked_alike():
    problems: list[str] = []
    parse_stages(["trimm", {"int8": {"image": 3}}], problems)
    assert [problem.split(":")[0] for problem in problems] == ["stages.0", "stages.1.int8.image"]


def test_checking_a_recipe_imports_no_torch(write, in_fresh_python):
    script = (
        "import sys; from pathlib import Path; from tinysight.recipe import load_recipe\n"
        f"load_recipe(Path({str(write(GOOD))!r})); print('torch' in sys.modules)"
    )
    assert in_fresh_python(script).strip() == "False"


def test_a_long_value_is_shortened(problems):
    (found,) = problems(FACADES + f"seed: {'x' * 5000}")
    assert len(found) < 200


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", '{"data": []}'])
def test_a_damaged_plan_is_named(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(UserError, match=rf"plan\.json is damaged .*run reduce with the recipe, --out {tmp_path}"):
        recipe_of_run(tmp_path)


def test_a_key_that_stands_twice_is_named(write):
    with pytest.raises(UserError, match="not valid YAML: the key 'seed' stands twice"):
        load_recipe(write(FACADES + "seed: 1\nseed: 2"))


def test_a_class_of_the_name_path_is_none(write):
    given = "data={reader: image_mask, path: photos, classes: {soil: '#000000', path: '#ffffff'}}"
    for overrides in ([given], [given, "data.classes.path='#00ff00'"]):
        assert load_recipe(write(FACADES), overrides).data.classes["path"][0].startswith("#")


@pytest.mark.parametrize(
    "override",
    [
        "stages.0.distil.teachers=[there]",
        "stages.0={distil: {teachers: [there]}}",
        "stages=[distil: {teachers: [there]}]",
    ],
)
def test_paths_of_the_command_line_count_from_the_working_folder(write, tmp_path, monkeypatch, override):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    loaded = load_recipe(write(f"{FACADES}stages: [distil: {{epochs: 1}}]"), [override])
    assert loaded.stages[0].variants[0].teachers == (here / "there",)
