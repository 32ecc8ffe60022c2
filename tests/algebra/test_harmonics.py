from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import lebedev_rule
from scipy.special import sph_harm_y

from crossfield.algebra import harmonics
from tests.algebra.rotation import Y, directions, random_rotation, wigner

L_MAX = 5


def real_harmonics(l: int, unit: np.ndarray) -> np.ndarray:
    """From scipy's complex ones. m runs from -l to l about the y axis, so that l = 1 is (x, y, z)."""
    theta, phi = np.arccos(np.clip(unit[:, 1], -1, 1)), np.arctan2(unit[:, 0], unit[:, 2])
    columns = []
    for m in range(-l, l + 1):
        value = sph_harm_y(l, abs(m), theta, phi) * (-1) ** m  # without the Condon-Shortley phase
        columns.append(value.real if m == 0 else np.sqrt(2) * (value.imag if m < 0 else value.real))
    return np.sqrt(4 * np.pi) * np.array(columns).T


@pytest.mark.parametrize("l", range(L_MAX + 1))
def test_equal_to_those_of_scipy(l):
    v = directions(50)
    np.testing.assert_allclose(Y(l, v), real_harmonics(l, v), atol=1e-12)


def test_first_ones_by_hand():
    v = directions(20)
    x, y, z = v.T
    np.testing.assert_allclose(Y(0, v), np.ones((20, 1)), atol=1e-14)
    np.testing.assert_allclose(Y(1, v), np.sqrt(3) * v, atol=1e-14)
    by_hand = np.sqrt(15) * np.array(
        [x * z, x * y, (y * y - (x * x + z * z) / 2) / np.sqrt(3), y * z, (z * z - x * x) / 2]
    )
    np.testing.assert_allclose(Y(2, v), by_hand.T, atol=1e-13)


@pytest.mark.parametrize("l", range(L_MAX + 1))
def test_component_normalised(l):
    np.testing.assert_allclose((Y(l, directions(50)) ** 2).sum(axis=1), 2 * l + 1, rtol=1e-12)


def test_orthonormal_over_the_sphere():
    points, weights = lebedev_rule(2 * L_MAX + 1)
    values = np.concatenate([Y(l, points.T) for l in range(L_MAX + 1)], axis=1)
    overlap = np.einsum("n,na,nb->ab", weights / (4 * np.pi), values, values)
    np.testing.assert_allclose(overlap, np.eye((L_MAX + 1) ** 2), atol=1e-12)


@pytest.mark.parametrize("l", range(L_MAX + 1))
def test_rotations_act_by_orthogonal_matrices(l):
    first, second = random_rotation(1), random_rotation(2)
    D = wigner(l, first)
    np.testing.assert_allclose(D @ D.T, np.eye(2 * l + 1), atol=1e-11)
    np.testing.assert_allclose(wigner(l, second @ first), wigner(l, second) @ D, atol=1e-11)
    np.testing.assert_allclose(wigner(l, -np.eye(3)), (-1) ** l * np.eye(2 * l + 1), atol=1e-11)


def test_monomials_are_distinct_and_ascending():
    for l in range(L_MAX + 1):
        monomials = harmonics(l).monomials
        assert monomials.shape == ((l + 1) * (l + 2) // 2, l)
        assert (np.diff(monomials, axis=1) >= 0).all()
        assert len({tuple(row) for row in monomials.tolist()}) == len(monomials)
