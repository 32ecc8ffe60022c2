"""Write the couplings that are kept in `tables.npz`: `python -m crossfield.algebra.make_tables`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crossfield.algebra import coupling

L_MAX, OUT_MAX, DEGREE_MAX = 3, 2, 3  # of the symmetric couplings
L_MAX_PAIRS = 4  # of the Clebsch-Gordan coefficients


def entries() -> dict[str, Any]:
    """All entries, evaluated."""
    found: dict[str, Any] = {}
    for l1, l2, l3 in coupling.coupling_paths(L_MAX_PAIRS, L_MAX_PAIRS, L_MAX_PAIRS):
        found[f"clebsch_gordan_{l1}_{l2}_{l3}"] = coupling.evaluate_clebsch_gordan(l1, l2, l3)
    for l_max in range(L_MAX + 1):
        for L in range(min(l_max, OUT_MAX) + 1):
            for degree in range(1, DEGREE_MAX + 1):
                basis = coupling.evaluate_symmetric_basis(l_max, L, degree)
                found[f"symmetric_{l_max}_{L}_{degree}_monomials"] = basis.monomials
                found[f"symmetric_{l_max}_{L}_{degree}_coefficients"] = basis.coefficients
    return found


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("tables.npz"), **entries())
