"""Files are whole or not there."""

import subprocess
import sys

import pytest

from tinysight.errors import UserError
from tinysight.files import parse_yaml, read_json, write_atomically, write_json, write_text

KILLED = """
import os, signal
from pathlib import Path
from tinysight.files import write_atomically
def write(draft):
    draft.write_text("half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(Path({path!r}), write)
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "file.json"
    file.write_text("old")
    return file


def names(folder):
    return [entry.name for entry in folder.iterdir()]


def test_the_new_content_takes_the_place_of_the_old(path):
    write_text(path, "new")
    assert path.read_text() == "new"


def test_nothing_is_left_beside_it(path):
    write_text(path, "new")
    assert names(path.parent) == ["file.json"]


def test_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "file", "x")
    assert (tmp_path / "a" / "b" / "file").read_text() == "x"


def fail(draft):
    draft.write_text("half of the n")
    raise OSError("no space left on device")


def test_a_writer_that_fails_leaves_the_old_file(path):
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, fail)
    assert path.read_text() == "old"


def test_a_writer_that_fails_leaves_nothing_else(path):
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, fail)
    assert names(path.parent) == ["file.json"]


def test_a_writer_that_is_killed_leaves_the_old_file(path):
    done = subprocess.run([sys.executable, "-c", KILLED.format(path=str(path))], check=False)
    assert done.returncode == -9
    assert path.read_text() == "old"


def test_the_draft_keeps_the_suffix(tmp_path):
    """Some writers choose their format by it."""
    suffixes = []
    write_atomically(tmp_path / "x.npz", lambda draft: suffixes.append(draft.suffix) or draft.write_text(""))
    assert suffixes == [".npz"]


def test_the_draft_lies_beside_its_place(tmp_path):
    """Moving is only atomic within a file system."""
    folders = []
    write_atomically(tmp_path / "x", lambda draft: folders.append(draft.parent) or draft.write_text(""))
    assert folders == [tmp_path]


def test_json_survives(tmp_path):
    content = {"name": "Größe · 5 µm", "list": [1, 2.5, None, True]}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content


def test_json_is_for_people_too(tmp_path):
    write_json(tmp_path / "x.json", {"a": "é"})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "a": "é"\n}\n'


@pytest.mark.parametrize(
    "content",
    [b"", b'{"a": ', b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5000],
    ids=["empty", "cut off", "binary", "too deep", "too long"],
)
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json is damaged \(.+\): do this"):
        read_json(tmp_path / "x.json", "do this")


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x: {a: 1, 'a': 2}"])
def test_a_key_that_stands_twice_is_refused(text):
    with pytest.raises(ValueError, match="the key 'a' stands twice"):
        parse_yaml(text)


def test_a_merged_key_may_be_overridden():
    text = "x: {y: &b {<<: &a {k: 1}, k: 2}}\nz: {<<: *b, k: 3}"
    assert parse_yaml(text) == {"x": {"y": {"k": 2}}, "z": {"k": 3}}


@pytest.mark.parametrize(
    "text", ["a: 2024-99-99", "a: " + "9" * 5000, "[" * 10_000, "a: [1", "a: !!int ''", "a: !!bool x", "!!timestamp x"]
)
def test_whatever_is_wrong_with_yaml_is_one_line(text):
    with pytest.raises(ValueError, match=r"\A.+\Z"):
        parse_yaml(text)


def test_half_a_character_is_refused():
    with pytest.raises(ValueError, match="half a character"):
        parse_yaml('name: "\\ud800"')
