"""A hub of pretrained weights on this machine: what the libraries download from when a test says so."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves ``folder/OWNER/NAME/FILE`` as a hub's repositories; ``asked`` lists the requests."""

    def __init__(self, folder: Path, licence: str = "mit") -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.folder, self.licence = folder, licence
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def served(root: Path, patch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve ``root/hub`` in a thread, with the libraries' caches in ``root/cache`` and ``root/torch``."""
    with Hub(root / "hub") as hub:
        patch.setattr(constants, "ENDPOINT", hub.address)
        template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_CACHE", str(root / "cache"))
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setenv("TORCH_HOME", str(root / "torch"))
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_about: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            folder = self.server.folder.joinpath(*parts[2:4])
            files = [{"rfilename": file.name, "size": file.stat().st_size} for file in sorted(folder.iterdir())]
            about = {"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": files}
            self._send(json.dumps(about | {"cardData": {"license": self.server.licence}}).encode(), body)
            return
        if "resolve" in parts:
            parts = [*parts[: parts.index("resolve")], parts[-1]]
        file = self.server.folder.joinpath(*parts)
        if file.is_file():
            self._send(file.read_bytes(), body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, content: bytes, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)
