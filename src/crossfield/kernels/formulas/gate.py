"""The gate: SiLU on scalars, and every other l times the logistic function of scalars of its own."""

from __future__ import annotations

from collections.abc import Callable

from crossfield.kernels.formulas.number import Dual, Q, logistic, sum_of

Read = Callable[[int], Dual[Q]]  # a row: scalars, gates of l = 1, 2, ..., components of l = 1, 2, ...
Write = Callable[[int, Dual[Q]], None]
# 1/sqrt(E[f(z)^2]), z ~ N(0, 1). The model family fixed these by a Monte Carlo average over 10^6 samples, so
# they differ from the exact integrals in the fourth digit; weights were trained with them.
SILU_SCALE = 1.6791767923989418
SIGMOID_SCALE = 1.8467055342154763


def value(l_max: int, x: Read[Q], y: Write[Q]) -> None:
    """Rows of components of all l."""
    scalar = x(0)
    y(0, scalar * logistic(scalar) * SILU_SCALE)
    for l in range(1, l_max + 1):
        opened = logistic(x(l)) * SIGMOID_SCALE
        for row in range(l * l, (l + 1) ** 2):
            y(row, x(l_max + row) * opened)


def gradient(l_max: int, x: Read[Q], gy: Read[Q], gx: Write[Q], y: Write[Q] | None = None) -> None:
    """The gradient by x, from that by the result; and the result, where that is asked for."""
    scalar = x(0)
    s = logistic(scalar)
    gx(0, gy(0) * (s + scalar * s * (s * -1.0 + 1.0)) * SILU_SCALE)
    if y is not None:
        y(0, scalar * s * SILU_SCALE)
    for l in range(1, l_max + 1):
        s = logistic(x(l))
        opened, products = s * SIGMOID_SCALE, []
        for row in range(l * l, (l + 1) ** 2):
            g, passing = gy(row), x(l_max + row)
            products.append(g * passing)
            gx(l_max + row, g * opened)
            if y is not None:
                y(row, passing * opened)
        gx(l, sum_of(products) * opened * (s * -1.0 + 1.0))
