"""Networks of the libraries, and what must hold of every structure step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinysight.data import InputPolicy


@pytest.fixture(scope="session")
def make_library_network(make_network) -> Callable[..., Any]:
    """Build a row of the zoo with an encoder, for a 64x96 input: ``make_library_network("pspnet", "test_resnet")``."""
    import torch

    from tinysight.models.spec import ModelSpec

    def make(builder: str, encoder: str, **args: Any) -> Any:
        torch.manual_seed(0)
        spec = ModelSpec(builder=builder, args={"encoder": encoder, "classes": 2, **args})
        return replace(make_network(spec.build(), spec=spec), origin=InputPolicy(height=64, width=96))

    return make


@pytest.fixture
def assert_deployable(tiny_task, tmp_path: Path) -> Callable[[Any], None]:
    """Assert that a network's checkpoint, loaded into one built anew, and its exported files give its outputs."""
    import numpy as np

    from tinysight.engines import ENGINES
    from tinysight.reduction.artifact import make_artifact
    from tinysight.reduction.network import load_network
    from tinysight.reduction.verify import largest_difference, run

    def check(network: Any) -> None:
        make_artifact(network, tiny_task, tmp_path / "artifact", None)
        images = network.example()
        loaded = load_network(tmp_path / "artifact")
        assert largest_difference(loaded.scores, network.scores, images) == 0
        expected = run(network.scores, images).numpy()
        for engine in ENGINES.values():
            found = engine.compile(tmp_path / "artifact", threads=2)(images.numpy())
            np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), err_msg=engine.name)

    return check
