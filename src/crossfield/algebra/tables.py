"""Couplings that most models need, kept in a file. `make_tables.py` writes it.

Weights on disk refer to these couplings, so that an entry must never change; a test compares each with what
is evaluated.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def clebsch_gordan(l1: int, l2: int, l3: int) -> Array | None:
    """(2l1+1, 2l2+1, 2l3+1), or None if they are not kept."""
    return _tables().get(f"clebsch_gordan_{l1}_{l2}_{l3}")


def symmetric_basis(l_max: int, L: int, degree: int) -> tuple[NDArray[np.int64], Array] | None:
    """Monomials and coefficients, as in `SymmetricBasis`, or None if they are not kept."""
    name = f"symmetric_{l_max}_{L}_{degree}"
    coefficients = _tables().get(f"{name}_coefficients")
    return None if coefficients is None else (_tables()[f"{name}_monomials"], coefficients)


@cache
def _tables() -> dict[str, NDArray]:  # type: ignore[type-arg]  # of two types
    path = resources.files("crossfield.algebra").joinpath("tables.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)
