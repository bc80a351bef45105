"""Progress goes to standard error, and keeps quiet when asked to."""

import io

import pytest

from tinysight.progress import LOG_EVERY_SECONDS, Progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_line_goes_to_standard_error(capsys):
    Progress().say("measuring")
    assert capsys.readouterr() == ("", "measuring\n")


def test_quiet_says_nothing(capsys):
    progress = Progress(quiet=True)
    progress.say("measuring")
    with progress.track("scoring", 3) as tick:
        tick(3)
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_a_line_now_and_then(capsys, clock):
    with Progress().track("scoring", 100) as tick:
        for _ in range(100):
            clock[0] += LOG_EVERY_SECONDS / 20
            tick(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "scoring: 20/100, 0:01:00 left"
    assert len(lines) == 5


def test_what_an_earlier_start_did_says_nothing_of_the_time_left(capsys, clock):
    with Progress().track("training", 100, done=80) as tick:
        clock[0] += LOG_EVERY_SECONDS
        tick(1)
    assert capsys.readouterr().err == "training: 81/100, 0:04:45 left\n"


def test_short_work_writes_no_line(capsys, clock):
    with Progress().track("scoring", 2) as tick:
        tick(2)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress().track("scoring", 3) as tick:
        tick(3)
    assert "scoring" in terminal.getvalue()
