"""Files that are whole or not there: everything is written beside its place, then moved into it."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tinysight.errors import UserError, has_half_characters, one_line

__all__ = [
    "DRAFT",
    "draft_of",
    "parse_yaml",
    "read_json",
    "sweep_drafts",
    "write_atomically",
    "write_json",
    "write_text",
]

FULL_BELOW_BYTES = 1 << 20

DRAFT = ".tinysight-draft."
"""How drafts begin: like nobody's own files, because they are removed."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a neighbour of ``path``, flush it to disk, and move it into place.

    A kill at any moment leaves the old file or the new one, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    try:
        with _naming_a_full_disk(draft):
            write(draft)
        with draft.open("rb") as handle:
            os.fsync(handle.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def draft_of(path: Path) -> Path:
    """Return the hidden neighbour that becomes ``path`` once it is whole."""
    # The suffix stays last: some writers choose their format by it.
    return path.with_name(f"{DRAFT}{path.stem}.{os.getpid()}{path.suffix}")


def sweep_drafts(folder: Path) -> None:
    """Remove what killed processes left half-written anywhere under ``folder``."""
    for path in list(folder.rglob(f"{DRAFT}*")):
        if re.fullmatch(r".+\.\d+(\.\w+)?", path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def _naming_a_full_disk(path: Path) -> Iterator[None]:
    """Turn whatever a library raises while it writes ``path`` into an OSError where the disk is full.

    torch and safetensors report it in words of their own; the file system says it plainly.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if shutil.disk_usage(path.parent).free < FULL_BELOW_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    write_atomically(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` to ``path`` atomically, as indented JSON."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path, remedy: str = "restore it, or make it again") -> Any:
    """Read a JSON file.

    Raises:
        UserError: it holds no JSON; the sentence ends with ``remedy``.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise UserError(f"{path} is damaged ({' '.join(str(error).split())[:200]}): {remedy}") from error


def parse_yaml(text: str) -> Any:
    """Read YAML as ``yaml.safe_load`` does, with keys that stand twice in one group refused.

    Raises:
        ValueError: the text is not valid YAML; its message is one line.
    """
    try:
        return yaml.load(text, _UniqueKeys)
    except Exception as error:  # beside its own errors the library lets through what int, float and dates raise
        raise ValueError(one_line(error) or type(error).__name__) from error


class _UniqueKeys(yaml.SafeLoader):
    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and has_half_characters(value):
            raise yaml.MarkedYAMLError(None, None, "half a character: write it whole", node.start_mark)
        return value

    # While composing: later, '<<' has been replaced by the keys it stands for, and those may be overridden.
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(None, None, f"the key '{key.value}' stands twice", key.start_mark)
            seen.add((key.tag, str(key.value)))
        return node
