"""Clebsch-Gordan coefficients and symmetric couplings, looked up or evaluated once when a model is built.

The numbers come from the group theory of `cuequivariance` (no kernels, no torch). Those that most models need
are kept in `tables.npz`, since importing and running that library would take most of the time of loading a
model. Real bases are the usual ones of the field: components of l = 1 are (x, y, z), harmonics are
component-normalised.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from math import factorial, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossfield.algebra import tables

Array = NDArray[np.float64]
NEGLIGIBLE = 1e-9  # coefficients below this are round-off of exact zeros


@cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> Array:
    """Real Clebsch-Gordan tensor (2l1+1, 2l2+1, 2l3+1): sqrt(2l3+1) times the Wigner 3j symbol.

    Only for l1 + l2 + l3 even, the couplings that keep the natural parity.
    """
    if (l1 + l2 + l3) % 2:
        raise ValueError(f"({l1}, {l2}, {l3}) does not keep the natural parity")
    kept = tables.clebsch_gordan(l1, l2, l3)
    return evaluate_clebsch_gordan(l1, l2, l3) if kept is None else kept


def evaluate_clebsch_gordan(l1: int, l2: int, l3: int) -> Array:
    """What `clebsch_gordan` gives, evaluated."""
    import cuequivariance as cue

    (tensor,) = cue.clebsch_gordan(cue.SO3(l1), cue.SO3(l2), cue.SO3(l3))
    return np.where(np.abs(tensor) < NEGLIGIBLE, 0.0, tensor)


class Path(NamedTuple):
    """One way to couple a sender feature l1 with a harmonic l2 to a message l3."""

    l1: int
    l2: int
    l3: int


@cache
def coupling_paths(L_in: int, l_max: int, L_out: int) -> tuple[Path, ...]:
    """All paths from features up to L_in and harmonics up to l_max to messages up to L_out.

    Ordered by l3, then l1, then l2: the order of the radial weights.
    """
    return tuple(
        Path(l1, l2, l3)
        for l3 in range(L_out + 1)
        for l1 in range(L_in + 1)
        for l2 in range(l_max + 1)
        if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
    )


@dataclass(frozen=True)
class SymmetricBasis:
    """A basis of the symmetric equivariant polynomials of one degree, as monomials and coefficients.

    Coupling k has components `sum_p coefficients[k, m, p] * prod_d x[monomials[p, d]]`, where x are the
    (l_max+1)^2 components of one channel. Each coupling tensor, symmetric in its inputs, has Frobenius norm
    sqrt(2L+1), and couplings of one (degree, L) are orthogonal.
    """

    monomials: NDArray[np.int64]  # (P, degree) component indices, ascending in a row
    coefficients: Array  # (K, 2L+1, P)

    @property
    def size(self) -> int:
        """Number of independent couplings."""
        return self.coefficients.shape[0]


@cache
def symmetric_basis(l_max: int, L: int, degree: int) -> SymmetricBasis:
    """Independent symmetric couplings of `degree` copies of l = 0..l_max to L.

    The space of couplings is unique, a basis of it is not. Weights on disk refer to the basis made here:
    reduced row echelon form over the monomials in lexicographic order, then Gram-Schmidt in that order. It
    does not depend on the basis that the library happens to return.
    """
    kept = tables.symmetric_basis(l_max, L, degree)
    return evaluate_symmetric_basis(l_max, L, degree) if kept is None else SymmetricBasis(*kept)


def evaluate_symmetric_basis(l_max: int, L: int, degree: int) -> SymmetricBasis:
    """What `symmetric_basis` gives, evaluated."""
    import cuequivariance as cue

    irreps = cue.Irreps("O3", "+".join(f"{l}{'eo'[l % 2]}" for l in range(l_max + 1)))
    target = cue.O3(L, (-1) ** L)
    tensor = cue.reduced_symmetric_tensor_product_basis(irreps, degree, keep_ir=target, layout=cue.ir_mul)
    dense = np.asarray(tensor.array)
    size = dense.shape[-1] // (2 * L + 1)  # 0 where no coupling leads to L
    dense = dense.reshape(*(irreps.dim,) * degree, 2 * L + 1, size)

    monomials, multiplicity = monomials_of(irreps.dim, degree)
    # a symmetric tensor has one independent entry per monomial
    entries = dense[tuple(monomials.T)]  # (P, 2L+1, K)
    rows = np.moveaxis(entries, -1, 0).reshape(size, len(monomials) * (2 * L + 1))
    weights = np.repeat(multiplicity, 2 * L + 1)
    rows = _canonical_rows(rows, weights) * np.sqrt(2 * L + 1)
    coefficients = rows.reshape(len(rows), len(monomials), 2 * L + 1).transpose(0, 2, 1)
    coefficients = coefficients * multiplicity
    used = np.any(coefficients != 0.0, axis=(0, 1))
    return SymmetricBasis(monomials[used], np.ascontiguousarray(coefficients[:, :, used]))


def monomials_of(dim: int, degree: int) -> tuple[NDArray[np.int64], Array]:
    """Ascending index tuples, and how many orderings of each there are."""
    tuples = list(combinations_with_replacement(range(dim), degree))
    orderings = [factorial(degree) // prod(factorial(t.count(i)) for i in set(t)) for t in tuples]
    return np.array(tuples, dtype=np.int64).reshape(len(tuples), degree), np.array(orderings, dtype=float)


def _canonical_rows(rows: Array, weights: Array) -> Array:
    """Orthonormal basis of the row space that depends on the space alone; inner product sum(weights a b)."""
    rows = rows.copy()
    pivot_row = 0
    for column in range(rows.shape[1]):
        if pivot_row == len(rows):
            break
        best = pivot_row + int(np.abs(rows[pivot_row:, column]).argmax())
        if abs(rows[best, column]) < 1e-7:
            continue
        rows[[pivot_row, best]] = rows[[best, pivot_row]]
        rows[pivot_row] /= rows[pivot_row, column]
        others = np.arange(len(rows)) != pivot_row
        rows[others] -= rows[others, column, None] * rows[pivot_row]
        rows[np.abs(rows) < NEGLIGIBLE] = 0.0
        pivot_row += 1
    basis: list[Array] = []
    for row in rows[:pivot_row]:
        for _ in range(2):  # twice, so that it is orthogonal to round-off
            for other in basis:
                row = row - other * float(np.sum(weights * row * other))
        row = row / np.sqrt(float(np.sum(weights * row * row)))
        basis.append(np.where(np.abs(row) < NEGLIGIBLE, 0.0, row))
    return np.array(basis).reshape(len(basis), rows.shape[1])
