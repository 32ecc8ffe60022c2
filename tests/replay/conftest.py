from __future__ import annotations

import pytest

from crossfield.inference.potential import Potential
from crossfield.replay import labelling
from tests.structures import small_model


@pytest.fixture(scope="session")
def potential() -> Potential:
    return Potential(small_model(), "head0")


@pytest.fixture
def small_parts(monkeypatch) -> int:
    """Parts of few structures, so that there are many."""
    monkeypatch.setattr(labelling, "SHARD", 4)
    return 4
