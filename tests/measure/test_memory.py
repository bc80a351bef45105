"""Peak memory is this process's own."""

import numpy as np

from tinysight.measure.memory import peak_rss_mb

BIG = 300


def test_a_process_does_not_inherit_its_parents_peak(in_fresh_python):
    large = np.ones(BIG << 17)  # MiB of float64
    assert peak_rss_mb() > large.nbytes / 2**20
    child = in_fresh_python("from tinysight.measure.memory import peak_rss_mb; print(peak_rss_mb())")
    assert float(child) < BIG


def test_the_peak_remembers_what_was_given_back(in_fresh_python):
    script = (
        "from tinysight.measure.memory import peak_rss_mb\n"
        "before = peak_rss_mb(); block = bytearray(b'x') * (100 << 20); del block; print(peak_rss_mb() - before)"
    )
    assert float(in_fresh_python(script)) > 90


def test_without_proc_the_operating_system_is_asked(monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError

    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    assert peak_rss_mb() > 10
