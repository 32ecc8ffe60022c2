"""The symmetric contraction as a sparse polynomial of each channel, written out.

With s the coefficient of a monomial (couplings times weights, summed), values and gradients follow the tree
of its factors: A_a (s_a + A_b (s_ab + A_c s_abc + ...)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from crossfield.algebra import symmetric_basis
from crossfield.kernels.formulas.number import N, sum_of

LARGEST = 600  # coefficients in one piece of straight code; the compiler's time grows faster than that
Monomial = tuple[int, ...]


class Polynomial(NamedTuple):
    """One component (L, M) of the output: for each monomial, its (coupling, coefficient) pairs."""

    row: int  # L^2 + M
    terms: Mapping[Monomial, list[tuple[int, float]]]  # couplings of all L are counted through

    @property
    def size(self) -> int:
        return sum(map(len, self.terms.values()))


class Contraction(NamedTuple):
    """Sizes of a contraction."""

    l_max: int  # highest l of the input
    L_max: int  # highest l of the output
    correlation: int  # highest degree
    channels: int

    @property
    def rows_in(self) -> int:
        return (self.l_max + 1) ** 2

    @property
    def rows_out(self) -> int:
        return (self.L_max + 1) ** 2

    @property
    def couplings(self) -> int:
        """Number of couplings of all L and degrees."""
        degrees = range(1, self.correlation + 1)
        return sum(symmetric_basis(self.l_max, L, d).size for L in range(self.L_max + 1) for d in degrees)

    def polynomials(self) -> list[Polynomial]:
        """All components of the output."""
        found, first = [], 0
        for L in range(self.L_max + 1):
            terms: list[dict[Monomial, list[tuple[int, float]]]] = [{} for _ in range(2 * L + 1)]
            for degree in range(1, self.correlation + 1):
                basis = symmetric_basis(self.l_max, L, degree)
                for k, M, p in zip(*np.nonzero(basis.coefficients), strict=True):
                    monomial = tuple(basis.monomials[p].tolist())
                    terms[M].setdefault(monomial, []).append(
                        (first + int(k), float(basis.coefficients[k, M, p]))
                    )
                first += basis.size
            found += [Polynomial(L * L + M, t) for M, t in enumerate(terms)]
        return found

    def pieces(self) -> Iterator[list[Polynomial]]:
        """Components of the output, in groups that compile quickly."""
        piece: list[Polynomial] = []
        for p in self.polynomials():
            if piece and sum(q.size for q in piece) + p.size > LARGEST:
                yield piece
                piece = []
            piece.append(p)
        yield piece


class Products(dict[Monomial, N]):
    """Monomials of A, each formed once."""

    def __init__(self, A: Sequence[N]) -> None:
        super().__init__({(a,): x for a, x in enumerate(A)})

    def get(self, m: Monomial) -> N:  # type: ignore[override]
        """One of them."""
        if m not in self:
            self[m] = self.get(m[:-1]) * self[m[-1:]]
        return self[m]


def value(s: Mapping[Monomial, N], A: Sequence[N]) -> N:
    """Sum over monomials m of s[m] * m(A)."""
    inner = [A[a] * _below(s, A, (a,)) for a in sorted({m[0] for m in s})]
    return sum_of(inner)


def _below(s: Mapping[Monomial, N], A: Sequence[N], prefix: Monomial) -> N:
    """What multiplies a product of factors in all the monomials that begin with it."""
    n = len(prefix)
    terms = [s[prefix]] if prefix in s else []
    for a in sorted({m[n] for m in s if len(m) > n and m[:n] == prefix}):
        terms.append(A[a] * _below(s, A, (*prefix, a)))
    return sum_of(terms)


def coefficients(
    piece: Sequence[Polynomial], weight: Callable[[int], N], g: Mapping[int, N]
) -> dict[Monomial, N]:
    """Of sum over rows of g[row] B[row], the coefficient of every monomial."""
    terms: dict[Monomial, list[N]] = {}
    scaled: dict[tuple[int, int], N] = {}
    for p in piece:
        for m, couplings in p.terms.items():
            for k, x in couplings:
                if (p.row, k) not in scaled:
                    scaled[p.row, k] = weight(k) * g[p.row]
                terms.setdefault(m, []).append(scaled[p.row, k] * x)
    return {m: sum_of(t) for m, t in terms.items()}


def gradient(s: Mapping[Monomial, N], A: Sequence[N]) -> dict[int, list[N]]:
    """Terms of the derivative of sum s[m] m(A) by each A."""
    found: dict[int, list[N]] = {}
    following: dict[Monomial, set[int]] = {}  # factors that continue a monomial
    for m in s:
        for n in range(len(m)):
            following.setdefault(m[:n], set()).add(m[n])

    def descend(prefix: Monomial, product: N) -> N:
        """The derivative by a product of factors of all that begins with it."""
        terms = [s[prefix]] if prefix in s else []
        for a in sorted(following.get(prefix, ())):
            longer = (*prefix, a)
            below = descend(longer, product * A[a] if longer in following else product)
            found.setdefault(a, []).append(product * below)
            terms.append(A[a] * below)
        return sum_of(terms)

    for a in sorted(following[()]):
        found.setdefault(a, []).append(descend((a,), A[a]))
    return found
