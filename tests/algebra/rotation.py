"""Rotations and reflections, and the matrices by which they act on harmonics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from crossfield.algebra import harmonics

Array = NDArray[np.float64]


def directions(count: int, seed: int = 0) -> Array:
    """(count, 3) random unit vectors."""
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_rotation(seed: int, *, improper: bool = False) -> Array:
    """(3, 3) rotation, times the inversion if `improper`."""
    R = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    return -R if improper else R


def Y(l: int, unit: Array) -> Array:
    """Harmonics (N, 2l+1) of unit vectors (N, 3), monomial by monomial."""
    table = harmonics(l)
    values = np.array([unit[:, row].prod(axis=1) for row in table.monomials])  # (P, N)
    return values.T @ table.coefficients


def wigner(l: int, R: Array) -> Array:
    """D (2l+1, 2l+1) with Y(R v) = D Y(v) for every v, solved from many v."""
    v = directions(60, seed=l)
    D, *_ = np.linalg.lstsq(Y(l, v), Y(l, v @ R.T), rcond=None)
    np.testing.assert_allclose(Y(l, v) @ D, Y(l, v @ R.T), atol=1e-11)  # the harmonics do span a space
    return D.T
