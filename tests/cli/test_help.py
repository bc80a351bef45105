"""Help answers at once: what is imported decides, and counts of modules repeat where seconds do not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tinysight

HEAVY = {"torch", "torchvision", "numpy", "cv2", "PIL", "openvino", "onnxruntime", "onnx", "nncf", "pydantic", "timm"}
VERBS = (
    ("demo",), ("train",), ("reduce",), ("sensitivity",), ("resume",), ("measure",), ("export",), ("compare",),
    ("predict",), ("data", "check"), ("list",), ("doctor",),
)  # fmt: skip
WRITERS = {"demo", "train", "reduce", "measure", "export", "compare", "predict", "data"}


def modules_after(code: str) -> set[str]:
    """Every module that is loaded once ``code`` has run in a new interpreter."""
    report = "import sys, atexit; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
    done = subprocess.run([sys.executable, "-c", report + code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help(cli, verb: tuple[str, ...]) -> None:
    answer = cli(*verb, "--help")
    assert answer.code == 0
    assert "Usage: tinysight" in answer.out
    assert ("--out" in answer.out) == (verb[0] in WRITERS)


def test_help_lists_every_verb(cli) -> None:
    text = cli("--help").out
    assert all(verb[0] in text for verb in VERBS)


def test_importing_the_package_loads_almost_nothing() -> None:
    new = modules_after("import tinysight") - modules_after("")
    assert not {name.partition(".")[0] for name in new} & (HEAVY | {"typer", "yaml", "rich"})
    assert len(new) < 60, sorted(new)


def test_help_loads_no_heavy_library() -> None:
    code = "import sys; sys.argv = ['tinysight', '--help']; from tinysight.cli import main; main()"
    loaded = modules_after(code)
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert {name for name in loaded if name.startswith("tinysight.")} == {"tinysight.cli", "tinysight.errors"}


def test_public_names_are_listed_without_loading_them() -> None:
    loaded = modules_after("import tinysight; assert 'reduce' in dir(tinysight)")
    assert "torch" not in loaded


def test_no_verb_shows_the_help(cli) -> None:
    answer = cli()
    assert answer.code == 0
    assert "reduce" in answer.out + answer.err


def test_a_mistyped_verb_gets_the_nearest(cli) -> None:
    answer = cli("mesure")
    assert answer.code == 2
    assert "'measure'" in answer.err


def test_an_interruption_says_that_nothing_is_lost(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinysight.tables.print_doctor", interrupted)
    monkeypatch.setattr("tinysight.recipe.recipe_of_run", lambda _run: interrupted())
    answer, other = cli("resume", "run"), cli("doctor")
    assert (answer.code, other.code) == (130, 130)
    assert "nothing finished is lost, and the same command goes on" in answer.err
    assert other.err == "\nstopped\n"  # it begins again


def test_the_version_is_printed(cli) -> None:
    answer = cli("--version")
    assert (answer.code, answer.out) == (0, f"tinysight {tinysight.__version__}\n")


def test_too_many_threads_are_refused(cli) -> None:
    answer = cli("export", "run", "best", "--threads", 1025)
    assert answer.code == 2
    assert "less than or equal to 1024" in answer.err


def test_a_locale_without_utf_8_does_not_crash() -> None:
    code = "import sys; sys.argv = ['tinysight', 'reduce', 'größe–.yaml']; from tinysight.cli import main; main()"
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "1"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert ended.returncode == 2
    assert b"gr??e" in ended.stderr.replace(b"\\xf6\\xdf", b"??")
