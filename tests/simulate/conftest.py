from __future__ import annotations

import pytest

from crossfield.model import Model
from crossfield.model.potential import Potential
from tests.structures import small_model


@pytest.fixture(scope="session")
def model() -> Model:
    return small_model()


@pytest.fixture(scope="session")
def potential(model) -> Potential:
    return Potential(model)
