from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import cuequivariance as cue
import numpy as np
import pytest

from crossfield.algebra import clebsch_gordan, coupling_paths, symmetric_basis
from crossfield.algebra.coupling import _canonical_rows, monomials_of
from tests.algebra.rotation import random_rotation, wigner

TRIPLES = [
    (l1, l2, l3)
    for l1, l2, l3 in product(range(4), repeat=3)
    if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
]


def tensors(basis, components: int) -> np.ndarray:
    """The couplings as symmetric tensors (K, 2L+1, components, ..., components)."""
    degree = basis.monomials.shape[1]
    out = np.zeros((*basis.coefficients.shape[:2], *(components,) * degree))
    for p, row in enumerate(basis.monomials.tolist()):
        places = {tuple(row[i] for i in order) for order in product(range(degree), repeat=degree)}
        orderings = {t for t in places if sorted(t) == row}
        for t in orderings:
            out[(slice(None), slice(None), *t)] = basis.coefficients[:, :, p] / len(orderings)
    return out


def transform(x: np.ndarray, D: np.ndarray, axes: range) -> np.ndarray:
    for axis in axes:
        x = np.moveaxis(np.tensordot(x, D, axes=([axis], [0])), -1, axis)
    return x


def on_components(l_max: int, R: np.ndarray) -> np.ndarray:
    """Block-diagonal action on the (l_max+1)^2 components of a channel."""
    D = np.zeros(((l_max + 1) ** 2,) * 2)
    for l in range(l_max + 1):
        D[l * l : (l + 1) ** 2, l * l : (l + 1) ** 2] = wigner(l, R)
    return D


@pytest.mark.parametrize(("l1", "l2", "l3"), TRIPLES)
def test_clebsch_gordan_orthogonality(l1, l2, l3):
    C = clebsch_gordan(l1, l2, l3)
    assert C.shape == (2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
    np.testing.assert_allclose(np.einsum("abc,abd->cd", C, C), np.eye(2 * l3 + 1), atol=1e-12)
    for other in range(abs(l1 - l2), l1 + l2 + 1, 2):
        if other != l3 and (l1 + l2 + other) % 2 == 0:
            np.testing.assert_allclose(
                np.einsum("abc,abd->cd", C, clebsch_gordan(l1, l2, other)), 0, atol=1e-12
            )


@pytest.mark.parametrize(("l1", "l2", "l3"), TRIPLES)
@pytest.mark.parametrize("improper", [False, True])
def test_clebsch_gordan_equivariance(l1, l2, l3, improper):
    R = random_rotation(5, improper=improper)
    C = clebsch_gordan(l1, l2, l3)
    turned = np.einsum("ai,bj,abk->ijk", wigner(l1, R), wigner(l2, R), C)
    np.testing.assert_allclose(turned, np.einsum("kc,ijc->ijk", wigner(l3, R), C), atol=1e-11)
    assert np.abs(C).max() > 0.1


def test_clebsch_gordan_by_hand():
    """The dot product over sqrt(3), and the product with a scalar."""
    np.testing.assert_allclose(clebsch_gordan(1, 1, 0)[..., 0], np.eye(3) / np.sqrt(3), atol=1e-14)
    np.testing.assert_allclose(clebsch_gordan(0, 2, 2)[0], np.eye(5), atol=1e-14)


def test_unnatural_parity_is_refused():
    with pytest.raises(ValueError, match="natural parity"):
        clebsch_gordan(1, 1, 1)


def test_coupling_paths():
    paths = coupling_paths(1, 3, 3)
    assert len(paths) == 10
    assert [tuple(p) for p in paths] == [
        (0, 0, 0), (1, 1, 0),
        (0, 1, 1), (1, 0, 1), (1, 2, 1),
        (0, 2, 2), (1, 1, 2), (1, 3, 2),
        (0, 3, 3), (1, 2, 3),
    ]  # fmt: skip
    assert list(paths) == sorted(paths, key=lambda p: (p.l3, p.l1, p.l2))
    assert [tuple(p) for p in coupling_paths(0, 3, 3)] == [(0, l, l) for l in range(4)]


@pytest.mark.parametrize(("L", "sizes"), [(0, (1, 4, 8)), (1, (1, 3, 12)), (2, (1, 5, 14)), (3, (1, 3, 15))])
def test_sizes_of_the_symmetric_basis(L, sizes):
    assert tuple(symmetric_basis(3, L, degree).size for degree in (1, 2, 3)) == sizes


def test_size_at_degree_four():
    assert symmetric_basis(3, 0, 4).size == 23


@pytest.mark.parametrize(("l_max", "L", "degree"), list(product((1, 2, 3), (0, 1, 2), (1, 2, 3))))
def test_sizes_by_characters(l_max, L, degree):
    """How often L occurs in the symmetric power of l = 0..l_max, from an integral over O(3)."""
    angles, weights = np.polynomial.legendre.leggauss(60)
    angles = np.pi * (angles + 1) / 2
    measure = weights * np.pi / 2 * (1 - np.cos(angles)) / np.pi  # of the rotations by an angle

    def character(l: int, power: int, parity: int) -> np.ndarray:
        turns = np.cos(np.outer(np.arange(-l, l + 1), power * angles)).sum(axis=0)
        return turns * (parity**power) ** l

    count = 0.0
    for parity in (1, -1):
        p1, p2, p3 = (sum(character(l, k, parity) for l in range(l_max + 1)) for k in (1, 2, 3))
        power = {1: p1, 2: (p1**2 + p2) / 2, 3: (p1**3 + 3 * p1 * p2 + 2 * p3) / 6}[degree]
        count += 0.5 * float(np.sum(measure * power * character(L, 1, parity)))
    assert count == pytest.approx(symmetric_basis(l_max, L, degree).size, abs=1e-9)


CASES = [(3, 0, 2), (3, 1, 2), (3, 0, 3), (3, 1, 3), (2, 2, 3), (1, 0, 4), (2, 0, 1)]


@pytest.mark.parametrize(("l_max", "L", "degree"), CASES)
def test_symmetric_basis_is_orthogonal_and_normalised(l_max, L, degree):
    basis = symmetric_basis(l_max, L, degree)
    assert (np.diff(basis.monomials, axis=1) >= 0).all()
    U = tensors(basis, (l_max + 1) ** 2).reshape(basis.size, 2 * L + 1, -1)
    np.testing.assert_allclose((U**2).sum(axis=(1, 2)), 2 * L + 1, rtol=1e-10)
    # component by component even, by Schur's lemma
    overlap = np.einsum("kmp,lnp->kmln", U, U).reshape(basis.size * (2 * L + 1), -1)
    np.testing.assert_allclose(overlap, np.eye(len(overlap)), atol=1e-9)


@pytest.mark.parametrize(("l_max", "L", "degree"), CASES)
@pytest.mark.parametrize("improper", [False, True])
def test_symmetric_basis_is_equivariant(l_max, L, degree, improper):
    R = random_rotation(11, improper=improper)
    U = tensors(symmetric_basis(l_max, L, degree), (l_max + 1) ** 2)
    turned = transform(U, on_components(l_max, R), range(2, 2 + degree))
    np.testing.assert_allclose(turned, np.einsum("mn,kn...->km...", wigner(L, R), U), atol=1e-9)


@pytest.mark.parametrize(("l_max", "L", "degree"), [(3, 0, 2), (3, 1, 3), (2, 2, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_symmetric_basis_does_not_depend_on_the_library(monkeypatch, l_max, L, degree, seed):
    """Weights on disk mean the same whichever basis of the space the library returns."""
    expected = symmetric_basis(l_max, L, degree)
    original = cue.reduced_symmetric_tensor_product_basis
    rng = np.random.default_rng(seed)

    def mixed(*args, **kwargs):
        array = np.asarray(original(*args, **kwargs).array)
        split = array.reshape(*array.shape[:-1], 2 * L + 1, -1)  # couplings run fastest
        K = split.shape[-1]
        mixing = rng.normal(size=(K, K))
        return SimpleNamespace(array=(split @ mixing).reshape(array.shape))

    monkeypatch.setattr(cue, "reduced_symmetric_tensor_product_basis", mixed)
    found = symmetric_basis.__wrapped__(l_max, L, degree)
    np.testing.assert_array_equal(found.monomials, expected.monomials)
    np.testing.assert_allclose(found.coefficients, expected.coefficients, atol=1e-10)


def test_canonical_rows_depend_on_the_space_alone():
    rng = np.random.default_rng(2)
    rows = rng.integers(-2, 3, size=(5, 30)) * (rng.random((5, 30)) < 0.4) * 1.0
    weights = rng.integers(1, 7, size=30) * 1.0
    expected = _canonical_rows(rows, weights)
    np.testing.assert_allclose(np.einsum("ap,bp,p->ab", expected, expected, weights), np.eye(5), atol=1e-12)
    assert np.linalg.matrix_rank(np.concatenate([rows, expected])) == 5
    for _ in range(5):
        mixed = rng.normal(size=(5, 5)) @ rows
        np.testing.assert_allclose(_canonical_rows(mixed, weights), expected, atol=1e-10)
    repeated = np.concatenate([rows, rng.normal(size=(2, 5)) @ rows])
    np.testing.assert_allclose(_canonical_rows(repeated, weights), expected, atol=1e-10)


def test_monomials_and_their_orderings():
    monomials, orderings = monomials_of(4, 3)
    assert len(monomials) == 20
    assert orderings.sum() == 4**3
    assert dict(zip(map(tuple, monomials.tolist()), orderings.tolist()))[(0, 0, 2)] == 3
