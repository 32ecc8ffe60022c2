"""Real spherical harmonics as polynomials of the unit vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from crossfield.algebra.coupling import NEGLIGIBLE, clebsch_gordan, monomials_of


@dataclass(frozen=True)
class Harmonics:
    """Harmonics of one l: `Y[m] = sum_p coefficients[p, m] * prod_d r[monomials[p, d]]`, |r| = 1."""

    monomials: NDArray[np.int64]  # (P, l) indices of x, y, z, ascending in a row
    coefficients: NDArray[np.float64]  # (P, 2l+1)


@cache
def harmonics(l: int) -> Harmonics:
    """Component-normalised harmonics, |Y_l|^2 = 2l+1, built by coupling r with itself l times."""
    tensor = np.ones((1,))  # (3, ..., 3, 2l+1)
    for k in range(1, l + 1):
        tensor = np.tensordot(tensor, clebsch_gordan(k - 1, 1, k), axes=([-1], [0]))
    monomials, _ = monomials_of(3, l)
    coefficients = np.zeros((len(monomials), 2 * l + 1))
    position = {tuple(row): p for p, row in enumerate(monomials.tolist())}
    for index in np.ndindex(*(3,) * l):
        coefficients[position[tuple(sorted(index))]] += tensor[index]
    z = np.array([np.prod([float(i == 2) for i in row]) for row in monomials])
    coefficients *= np.sqrt(2 * l + 1) / np.linalg.norm(z @ coefficients)  # |Y_l|^2 = 2l+1 along z
    coefficients[np.abs(coefficients) < NEGLIGIBLE] = 0.0
    return Harmonics(monomials, coefficients)
