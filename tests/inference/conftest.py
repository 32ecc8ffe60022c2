from __future__ import annotations

import pytest

from crossfield.inference.potential import Potential
from crossfield.model import Model
from tests.structures import small_model


@pytest.fixture(scope="session")
def model() -> Model:
    return small_model()


@pytest.fixture(scope="session")
def potential(model) -> Potential:
    return Potential(model, table_accuracy=None)  # what comes out is compared to the last digits
