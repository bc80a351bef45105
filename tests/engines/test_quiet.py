"""OpenVINO and NNCF without telemetry."""

import ast
from pathlib import Path

import tinysight

LOUD = {"openvino", "nncf"}

SCRIPT = """
import socket, sys
def refuse(*_arguments): raise AssertionError("something opened a connection")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from tinysight.engines.quiet import import_nncf, import_openvino
print(import_openvino().__name__, import_nncf().__name__, sys.modules["openvino_telemetry"])
"""


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            names |= {str(value.value).split(".")[0] for value in node.args if isinstance(value, ast.Constant)}
    return names


def test_nothing_imports_them_but_this_module():
    root = Path(tinysight.__file__).parent
    loud = [path for path in root.rglob("*.py") if imported(ast.parse(path.read_text())) & LOUD]
    assert loud == []


def test_they_leave_no_file_at_home_and_open_no_connection(in_fresh_python, tmp_path):
    said = in_fresh_python(SCRIPT, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path))
    assert said.split() == ["openvino", "nncf", "None"]
    assert list(tmp_path.rglob("*")) == []
