"""Spherical harmonics and their derivatives, for as many edges at a time as a vector has lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossfield.kernels.formulas.harmonics import reverse, spherical
from crossfield.kernels.formulas.number import Dual
from crossfield.kernels.native.emit import Code, Lanes, Value

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
