"""The README's commands run, and every relative link in the project's pages leads somewhere.

A fenced ``sh`` or ``python`` block that follows the comment ``<!-- test -->`` is run, and a block that follows
``<!-- test: NAME -->`` is written to the file NAME. The blocks of one page share a folder and come in order, so that
one may use what an earlier one made.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
import yaml

from tinysight.config import Config
from tinysight.data.readers import READERS
from tinysight.models.settings import ModelSettings
from tinysight.recipe import Recipe, parse_stages
from tinysight.reduction.distillation.terms.table import Terms
from tinysight.reduction.table import METHODS
from tinysight.search.goal import Goal, Limits
from tinysight.training.settings import Training

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "examples", "recipes", "benchmarks")
PAGES = [ROOT / "README.md", *sorted(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
BLOCK = re.compile(r"^<!-- test(?:: (\S+))? -->\s*\n```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)|<img[^>]+src=\"([^\"]+)\"")
STAGES = re.compile(r"^```yaml\n((?:stages:\n)?  - .*?)^```", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A piece of a page to run, or to write to the file ``name``."""

    name: str
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def command(block: Block) -> list[str]:
    return [sys.executable, "-c", block.code] if block.language == "python" else ["bash", "-ec", block.code]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for block in blocks(page):
        if block.name:
            (tmp_path / block.name).write_text(block.code, encoding="utf-8")
            continue
        done = subprocess.run(command(block), cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    targets = ["".join(found) for found in LINK.findall(text)]
    missing = [
        target
        for target in targets
        if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.partition("#")[0]).exists()
    ]
    assert not missing


@pytest.mark.parametrize("snippet", STAGES.findall((ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")))
def test_the_stages_of_the_recipe_page_are_valid(snippet: str) -> None:
    problems: list[str] = []
    stages = yaml.safe_load(textwrap.dedent(snippet.removeprefix("stages:\n")))
    assert parse_stages(stages, problems)
    assert not problems


CONFIGS = {
    **{f"method {name}": method for name, method in METHODS.items()},
    **{f"reader {name}": reader for name, reader in READERS.items()},
    "terms": Terms,
    **{f"term {name}": get_args(field.annotation)[0] for name, field in Terms.model_fields.items()},
    "train": Training,
    "goal": Goal,
    "limits": Limits,
    "model": ModelSettings,
    "recipe": Recipe,
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_recipe_page_knows_every_setting(config: type[Config]) -> None:
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert [key for key in config.model_fields if not re.search(rf"\b{key}\b", page)] == []


def test_only_marked_blocks_are_taken(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nfalse\n```\n<!-- test -->\n```sh\ntrue\n```\n\n<!-- test: a.yaml -->\n```yaml\nb: 1\n```\n"
        "<!-- test -->\n\n```python\npass\n```\n"
    )
    assert blocks(page) == [Block("", "sh", "true\n"), Block("a.yaml", "yaml", "b: 1\n"), Block("", "python", "pass\n")]
