"""Two modules timed in turn on the engine."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tinysight.engines import ENGINES
from tinysight.measure.layers import times_as_fast


@pytest.mark.parametrize("engine", ENGINES)
def test_many_times_the_work_takes_longer(engine: str):
    heavy = nn.Sequential(*(nn.Conv2d(32, 32, 5, padding=2) for _ in range(8)))
    light = nn.Conv2d(32, 32, 1)
    assert times_as_fast(heavy, light, torch.zeros(1, 32, 48, 48), engine, 1) > 2
