"""The catalogue is what the counters count, and names every row of the zoo."""

from __future__ import annotations

import pytest
import torch

from tinysight.measure.compute import count_macs
from tinysight.models.catalogue import catalogue
from tinysight.models.liveness import parameter_counts
from tinysight.models.scores import Scores
from tinysight.models.zoo import ZOO, build


def test_every_row_of_the_zoo_has_an_entry():
    assert {entry.name for entry in catalogue()} == ZOO.keys()


@pytest.mark.parametrize("name", ["enet", "unet_plain", "compact", "classifier"])
def test_an_entry_is_what_is_counted(name: str):
    entry = next(entry for entry in catalogue() if entry.name == name)
    encoder = {"encoder": entry.encoder} if entry.encoder else {}
    scores = Scores(build(name, {"classes": entry.classes, **encoder}).eval(), None)
    example = torch.zeros(1, 3, entry.size, entry.size)
    assert parameter_counts(scores, example)[:2] == (entry.parameters, entry.used)
    assert count_macs(scores, example) == entry.macs


def test_the_catalogue_needs_no_torch(in_fresh_python):
    script = "import sys; from tinysight.models.catalogue import catalogue; catalogue(); print('torch' in sys.modules)"
    assert in_fresh_python(script).strip() == "False"
