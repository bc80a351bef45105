"""Progress of long work: a bar with the time left in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

__all__ = ["Progress", "Tick"]

Tick = Callable[[int], None]
"""Called with the number of units done since the last call."""

LOG_EVERY_SECONDS = 15.0


class Progress:
    """Where long work says how far it is. ``quiet`` says nothing, which is what tests want."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print one line to standard error, where progress belongs."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def track(self, what: str, total: int, done: int = 0) -> Iterator[Tick]:
        """Show progress of ``what`` through ``total`` units; yields the function that advances it.

        ``done`` units were done by an earlier start: they tell nothing of how fast this one is.
        """
        if self.quiet:
            yield lambda _done: None
        elif sys.stderr.isatty():
            with _bar(what, total, done) as tick:
                yield tick
        else:
            yield _Log(what, total, done)


@contextmanager
def _bar(what: str, total: int, done: int) -> Iterator[Tick]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=total, completed=done)
        yield lambda more: bars.advance(task, more)


class _Log:
    """The bar of a log file: one line at most every few seconds."""

    def __init__(self, what: str, total: int, done: int) -> None:
        self._what, self._total, self._begun, self._done = what, total, done, done
        self._started = self._last = time.monotonic()

    def __call__(self, done: int) -> None:
        self._done += done
        now = time.monotonic()
        if self._done > self._begun and now - self._last >= LOG_EVERY_SECONDS:
            self._last = now
            left = (now - self._started) / (self._done - self._begun) * (self._total - self._done)
            line = f"{self._what}: {self._done}/{self._total}, {timedelta(seconds=round(left))} left"
            print(line, file=sys.stderr, flush=True)
