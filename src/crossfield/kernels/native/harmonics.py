"""Spherical harmonics and their derivatives, for as many edges at a time as a vector has lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossfield.algebra import harmonics
from crossfield.kernels.native.emit import Code, Dual, Lanes, Number, Value, sum_of

FORWARD = ("edges", "stride", "unit", "Y")
BACKWARD = ("edges", "stride", "unit", "gY", "gunit")
TANGENT = (*BACKWARD, "vunit", "vY")


def forward(code: Code, l_max: int) -> None:
    """Y (rows, stride) of unit vectors (3, stride); edges that fill no vector are worked on, too."""

    def body(lanes: Lanes) -> None:
        unit = _read(code, lanes, "unit", 3)
        _write(code, lanes, "Y", spherical(unit, l_max, code.number(1.0)))

    _over_edges(code, body)


def backward(code: Code, l_max: int, *, tangent: bool) -> None:
    """The gradient by unit vectors from that by harmonics.

    With `tangent`, its change as the unit vectors move along `vunit`, and that of the harmonics.
    """

    def body(lanes: Lanes) -> None:
        unit = [Dual(x) for x in _read(code, lanes, "unit", 3)]
        if tangent:
            moved = _read(code, lanes, "vunit", 3)
            unit = [Dual(x.value, v) for x, v in zip(unit, moved, strict=True)]
            Y = spherical(unit, l_max, Dual(code.number(1.0)))
            _write(code, lanes, "vY", [y.tangent or code.number(0.0) for y in Y])
        gY = [Dual(y) for y in _read(code, lanes, "gY", (l_max + 1) ** 2)]
        found = reverse(unit, gY, l_max)
        parts = [x.tangent if tangent else x.value for x in found] if found else [None] * 3
        _write(code, lanes, "gunit", [code.number(0.0) if x is None else x for x in parts])

    _over_edges(code, body)


def spherical(unit: Sequence[Number], l_max: int, one: Number) -> list[Number]:
    """Harmonics of all l up to l_max, from the components of unit vectors."""
    Y: list[Number] = []
    for l in range(l_max + 1):
        table = harmonics(l)
        products = [_product([unit[axis] for axis in m], one) for m in table.monomials.tolist()]
        Y += [_combined(products, column.tolist()) for column in table.coefficients.T]
    return Y


def reverse(unit: Sequence[Number], gY: Sequence[Number], l_max: int) -> list[Number]:
    """The gradient by the components of unit vectors; nothing where l_max is 0."""
    found: list[list[Number]] = [[], [], []]
    for l in range(1, l_max + 1):
        table = harmonics(l)
        for m, row in zip(table.monomials.tolist(), table.coefficients.tolist(), strict=True):
            if any(row):
                g = _combined(gY[l * l : (l + 1) ** 2], row)
                for n, axis in enumerate(m):
                    found[axis].append(_product([unit[other] for k, other in enumerate(m) if k != n], g))
    return [sum_of(terms) for terms in found if terms]


def _product(factors: Sequence[Number], start: Number) -> Number:
    for x in factors:
        start = start * x
    return start


def _combined(values: Sequence[Number], coefficients: Sequence[float]) -> Number:
    return sum_of([v * c for v, c in zip(values, coefficients, strict=True) if c])


def _over_edges(code: Code, body: Callable[[Lanes], None]) -> None:
    with code.loop(0, code.argument("edges"), code.lanes) as e:
        body(Lanes(code, e, None))


def _read(code: Code, lanes: Lanes, name: str, rows: int) -> list[Value]:
    stride = code.argument("stride")
    return [code.load(code.argument(name), lanes.offset + stride * k) for k in range(rows)]


def _write(code: Code, lanes: Lanes, name: str, values: Sequence[Value]) -> None:
    stride = code.argument("stride")
    for k, value in enumerate(values):
        code.store(value, code.argument(name), lanes.offset + stride * k)
