from __future__ import annotations

import pytest

from crossfield.model import Model
from crossfield.zoo import checkpoint
from tests.structures import small_model

PROVENANCE = {"run": "test", "seeds": [1, 2]}


@pytest.fixture(scope="session")
def model() -> Model:
    return small_model()


@pytest.fixture(scope="session")
def tiny() -> Model:
    """As small as can be, for tests that read it hundreds of times."""
    return small_model(
        channels=2,
        edge_channels=None,
        l_max=1,
        correlation=2,
        layers=1,
        radial_network=(3,),
        radial_basis=3,
        inputs={},
        embedding_readout=False,
    )


@pytest.fixture
def path(tiny, tmp_path):
    """A sound file of the tiny model."""
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(path, tiny, PROVENANCE)
    return path
