"""Imports lean one way, and the light modules stay light."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tinysight

ROOT = Path(tinysight.__file__).parent
RANKS = [
    {"errors"},
    {"config", "files", "progress"},
    {"data", "models"},
    {"tasks"},
    {"engines"},
    {"measure"},
    {"training"},
    {"reduction"},
    {"runs"},
    {"search"},
    {"recipe", "report"},
    {"job", "workshop", "ship"},
    {"pipeline"},
    {"networks"},
    {"device", "drawing", "dry_run", "live", "sensitivity", "tables", "verbs"},
    {"cli", "__init__"},
]
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
# Rooms of one rank that know each other all the same, in one direction.
ALSO = {("workshop", "job"), ("ship", "workshop")}
FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def room_of(module: str) -> str:
    return module.split(".")[0] or "__init__"


def targets(node: ast.AST) -> set[str]:
    """The modules of tinysight that an import statement names."""
    if isinstance(node, ast.Import):
        named = {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
        # "from package import module" names the module; "from module import name" only the module.
        named = {f"{node.module}.{alias.name}" for alias in node.names}
        named = {name if name.removeprefix("tinysight.") in MODULES else node.module for name in named}
    else:
        return set()
    return {name.removeprefix("tinysight.") for name in named if name.startswith("tinysight.")}


def imported(path: Path) -> set[str]:
    """Everything a file imports, inside functions and for types too."""
    return set().union(*(targets(node) for node in ast.walk(ast.parse(path.read_text()))))


def imported_at_once(path: Path) -> set[str]:
    """What a file imports when it is loaded itself: not inside functions, not for types."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        found |= targets(node)
        for_types = isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        if not for_types and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def test_every_room_has_a_rank():
    assert {room_of(module_of(path)) for path in FILES} == RANK.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_lean_downward(path):
    room = room_of(module_of(path))
    upward = [
        module
        for module in imported(path)
        if (other := room_of(module)) != room and RANK[other] >= RANK[room] and (room, other) not in ALSO
    ]
    assert upward == []


def test_no_file_imports_itself_in_a_circle():
    graph = {module_of(path): imported_at_once(path) - {module_of(path)} for path in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def loaded(in_fresh_python, module: str) -> set[str]:
    return set(in_fresh_python(f"import sys, {module}; print(*(m.split('.')[0] for m in sys.modules))").split())


def test_the_package_is_light(in_fresh_python):
    assert not loaded(in_fresh_python, "tinysight") & {"torch", "cv2", "openvino", "numpy", "pydantic"}


def test_the_command_line_is_light(in_fresh_python):
    assert not loaded(in_fresh_python, "tinysight.cli") & {"torch", "cv2", "openvino", "numpy"}


@pytest.mark.parametrize(
    "module",
    [
        "device",
        "measure.worker",
        "tasks",
        "data.readers",
        "recipe",
        "reduction.table",
        "tables",
        "engines.bundle",
        "report.compare",
    ],
)
def test_what_a_device_needs_imports_no_torch(in_fresh_python, module):
    assert not loaded(in_fresh_python, f"tinysight.{module}") & {"torch", "torchvision", "timm", "nncf", "onnx"}


@pytest.mark.parametrize("name", tinysight.__all__)
def test_every_public_name_is_found(name):
    assert getattr(tinysight, name) is not None


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match="module 'tinysight' has no attribute 'redcue'"):
        tinysight.redcue  # noqa: B018


def test_the_names_types_see_are_those_there_are():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    for_types = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname or alias.name for node in for_types.body for alias in node.names}
    assert seen == set(tinysight.__all__)


def exported_by(module: str) -> set[str]:
    """The names in a module's ``__all__``."""
    path = ROOT.joinpath(*module.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return {str(name) for listed in lists for name in ast.literal_eval(listed)}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_what_a_module_exports_is_imported(path: Path):
    hidden = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tinysight.")
        for alias in node.names
        if f"{node.module}.{alias.name}".removeprefix("tinysight.") not in MODULES
        and alias.name not in exported_by(node.module.removeprefix("tinysight."))
    ]
    assert hidden == []
