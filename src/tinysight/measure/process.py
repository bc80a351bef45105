"""Talking to measuring processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import IO, Any

from tinysight.errors import UserError

__all__ = ["MeasuringProcess"]


class MeasuringProcess:
    """A fresh Python process that measures one network; a context manager that ends it."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._what = job.get("artifact", "the network")
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": str(job["threads"])}
        # A file, not a pipe: a library that complains at length must not block on a reader that waits for its answer.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tinysight.measure.worker"],  # -P: nothing is imported from the user's folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        try:
            self.ask("load", **job)
        except BaseException:
            self.close()
            raise

    def ask(self, ask: str, *, tick: Callable[[int], object] | None = None, **arguments: Any) -> dict[str, Any]:
        """Ask one question and wait for its answer; ``tick`` is called with the images done meanwhile.

        Raises:
            UserError: the process answers with an error, or died.
            OSError: the operating system refused it something, such as room on the disk.
        """
        to, back = self._pipes()
        try:
            to.write(json.dumps({"ask": ask, **arguments}) + "\n")
            to.flush()
        except BrokenPipeError:
            raise self._died() from None
        for line in back:
            answer = json.loads(line)
            if "ok" in answer:
                return dict(answer["ok"])
            if "error" in answer:
                raise UserError(answer["error"])
            if "os_error" in answer:
                raise OSError(*answer["os_error"])
            if tick:
                tick(answer["tick"])
        raise self._died()

    def time(self, runs: int, warm_up: int) -> list[float]:
        """Return the milliseconds of ``runs`` calls after ``warm_up``."""
        return list(self.ask("latency", runs=runs, warm_up=warm_up)["ms"])

    def time_photo(self, runs: int, warm_up: int, *, data: str, split: str) -> list[float]:
        """Return the milliseconds of ``runs`` whole ways of the first photo of a split, after ``warm_up``."""
        return list(self.ask("end_to_end", data=data, split=split, runs=runs, warm_up=warm_up)["ms"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def __enter__(self) -> MeasuringProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process.stdin
        assert self._process.stdout
        return self._process.stdin, self._process.stdout

    def _died(self) -> UserError:
        self._process.communicate()
        self._errors.seek(0)
        last = self._errors.read().strip().splitlines()[-1:] or ["no message"]
        code = self._process.returncode
        cause = "it was killed, which mostly means too little memory" if code == -9 else last[0]
        return UserError(f"the process that measures {self._what} ended with code {code}: {cause}")
