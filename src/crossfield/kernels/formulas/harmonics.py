"""Spherical harmonics and their derivatives."""

from __future__ import annotations

from collections.abc import Sequence

from crossfield.algebra import harmonics
from crossfield.kernels.formulas.number import N, sum_of


def spherical(unit: Sequence[N], l_max: int, one: N) -> list[N]:
    """Harmonics of all l up to l_max, from the components of unit vectors."""
    Y: list[N] = []
    for l in range(l_max + 1):
        table = harmonics(l)
        products = [_product([unit[axis] for axis in m], one) for m in table.monomials.tolist()]
        Y += [_combined(products, column.tolist()) for column in table.coefficients.T]
    return Y


def reverse(unit: Sequence[N], gY: Sequence[N], l_max: int) -> list[N]:
    """The gradient by the components of unit vectors; nothing where l_max is 0."""
    found: list[list[N]] = [[], [], []]
    for l in range(1, l_max + 1):
        table = harmonics(l)
        for m, row in zip(table.monomials.tolist(), table.coefficients.tolist(), strict=True):
            if any(row):
                g = _combined(gY[l * l : (l + 1) ** 2], row)
                for n, axis in enumerate(m):
                    found[axis].append(_product([unit[other] for k, other in enumerate(m) if k != n], g))
    return [sum_of(terms) for terms in found if terms]


def _product(factors: Sequence[N], start: N) -> N:
    for x in factors:
        start = start * x
    return start


def _combined(values: Sequence[N], coefficients: Sequence[float]) -> N:
    return sum_of([v * c for v, c in zip(values, coefficients, strict=True) if c])
