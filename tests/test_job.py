"""The job: what is known of a reference before anything is reduced."""

from __future__ import annotations

import pytest
import torch

from tinysight.errors import UserError
from tinysight.job import refuse_wrong_output


def test_a_reference_whose_scores_are_not_numbers_is_refused(tiny_network, tiny_task):
    refuse_wrong_output(tiny_network, tiny_task)
    broken = tiny_network.copy()
    with torch.no_grad():
        next(broken.module.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match=r"scores are not numbers \(NaN\): check its weights"):
        refuse_wrong_output(broken, tiny_task)
