"""Commands in processes of their own, with a fresh home, and what they did to the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TINY = """\
name: tiny
data: {reader: facades, train: 9, val: 5, test: 3, height: 64, width: 64}
model: {name: linknet, encoder: test_resnet, args: {encoder_depth: 2}}
input: {height: 64, width: 64}
train: {epochs: 1, batch_size: 4}
stages:
  - name: precision
    variants: [fp16, {int8: {images: 4}}]
goal: {minimize: bytes, max_drop: 100}
engine: {threads: 1}
device: cpu
"""

# The demo is the same job on a recipe that takes minutes; it is given the small one.
ENTRY = """\
import sys
from pathlib import Path
from tinysight.cli import main
if sys.argv[1] == "demo":
    import tinysight.recipe as recipes
    load = recipes.load_recipe
    recipes.load_recipe = lambda path, overrides=(): load(Path("../tiny.yaml"), overrides)
main()
"""

# Every Python process of a command, the measuring ones included, notes each call that would reach a network.
LISTEN = """\
import os, sys
_log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
_calls = ("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "socket.sendmsg", "urllib.")
def _listen(event, arguments):
    if event.startswith(_calls):
        os.write(_log, (event + " " + repr(arguments[1:])[:200] + "\\n").encode())
        raise OSError("the test allows no network")
sys.addaudithook(_listen)
"""


@dataclass(frozen=True)
class Shell:
    """Where commands run: ``cwd``, ``home`` and ``temporary`` are fresh folders, ``site`` is imported at start."""

    root: Path

    @property
    def cwd(self) -> Path:
        return self.root / "cwd"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def calls(self) -> str:
        """The network calls so far."""
        return (self.root / "network.log").read_text()

    def prepare(self, site: str) -> None:
        for folder in (self.cwd, self.home, self.temporary, self.root / "site"):
            folder.mkdir()
        (self.root / "site" / "sitecustomize.py").write_text(site)
        (self.root / "tiny.yaml").write_text(TINY)

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run one command line as a user without our test environment would."""
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH"}}
        environment = kept | {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(self.root / "site"),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", ENTRY, *map(str, arguments)]
        return subprocess.run(command, cwd=self.cwd, env=environment, capture_output=True, text=True)

    def require_untouched(self, *expected: str) -> None:
        """Hold that nothing was written but ``expected`` in the working folder."""
        assert not list(self.home.rglob("*")), "the home is written"
        assert not list(self.temporary.rglob("*")), "temporary files are left"
        assert sorted(path.name for path in self.cwd.iterdir()) == sorted(expected)


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell whose commands may not reach a network."""
    shell = Shell(tmp_path_factory.mktemp("offline"))
    shell.prepare(LISTEN.format(log=str(shell.root / "network.log")))
    return shell


@pytest.fixture(scope="session")
def demo(offline: Shell) -> Path:
    """The folder of a finished run, made by ``tinysight demo``."""
    done = offline.run("demo", "--out", "demo")
    assert done.returncode == 0, done.stderr
    return offline.cwd / "demo"
