"""What is done number by number: spherical harmonics, the gate, and normalisation with SiLU."""

from __future__ import annotations

from functools import partial

from crossfield.kernels.formulas import gate as gate_formulas
from crossfield.kernels.formulas import norm as norm_formulas
from crossfield.kernels.formulas.harmonics import reverse, spherical
from crossfield.kernels.formulas.number import Dual
from crossfield.kernels.gpu.emit import Code, Value, channels_of

HARMONICS = ("unit", "Y", "n_edges", "EDGES")
HARMONICS_BACKWARD = ("unit", "gY", "gunit", "n_edges", "EDGES")
HARMONICS_TANGENT = ("unit", "gY", "vunit", "gunit", "vY", "n_edges", "EDGES")


def harmonics(code: Code, l_max: int) -> None:
    """Y (components, edges) of unit vectors (3, edges)."""
    _edges(code)
    one = code.new(f"tl.full((EDGES,), 1.0, {code.real})")
    for k, x in enumerate(spherical([_read(code, "unit", a) for a in range(3)], l_max, one)):
        _write(code, "Y", k, x)


def harmonics_backward(code: Code, l_max: int, *, tangent: bool = False) -> None:
    """The gradient by unit vectors from that by harmonics; or its change along `vunit`, and theirs."""
    _edges(code)
    unit = [Dual(_read(code, "unit", a), _read(code, "vunit", a) if tangent else None) for a in range(3)]
    zero = code.new(f"tl.zeros((EDGES,), {code.real})")
    if tangent:
        one = Dual(code.new(f"tl.full((EDGES,), 1.0, {code.real})"))
        for k, Y in enumerate(spherical(unit, l_max, one)):
            _write(code, "vY", k, Y.tangent or zero)
    gY = [Dual(_read(code, "gY", k)) for k in range((l_max + 1) ** 2)]
    found = reverse(unit, gY, l_max)
    for a in range(3):
        part = (found[a].tangent if tangent else found[a].value) if found else None
        _write(code, "gunit", a, part or zero)


def _edges(code: Code) -> None:
    code.line("e = tl.program_id(0).to(tl.int64) * EDGES + tl.arange(0, EDGES)")
    code.line("there = e < n_edges")
    code.line("size = n_edges.to(tl.int64)")


def _read(code: Code, name: str, row: int) -> Value:
    return code.new(f"tl.load({name} + {row} * size + e, mask=there, other=0.0)")


def _write(code: Code, name: str, row: int, x: Value) -> None:
    code.line(f"tl.store({name} + {row} * size + e, {x.text}, mask=there)")


GATE = ("x", "y", "n_atoms", "ROWS", "CHANNELS")
GATE_BACKWARD = ("x", "g", "gx", "n_atoms", "ROWS", "CHANNELS")
GATE_TANGENT = ("x", "g", "vx", "gx", "y", "n_atoms", "ROWS", "CHANNELS")


def gate(code: Code, l_max: int, channels: int) -> None:
    """From rows of scalars, gates of l = 1, 2, ... and components of l = 1, 2, ... to those of all l."""
    rows = _Rows(code, channels)
    n = (l_max + 1) ** 2
    gate_formulas.value(
        l_max,
        lambda row: Dual(rows.load("x", n + l_max, row)),
        lambda row, found: rows.store(found.value, "y", n, row),
    )


def gate_backward(code: Code, l_max: int, channels: int, *, tangent: bool = False) -> None:
    """The gradient by x from that by the result; or its change as x moves along vx, and the result's."""
    rows = _Rows(code, channels)
    n = (l_max + 1) ** 2

    def read(row: int) -> Dual[Value]:
        moved = rows.load("vx", n + l_max, row) if tangent else None
        return Dual(rows.load("x", n + l_max, row), moved)

    def write(name: str, size: int, row: int, found: Dual[Value]) -> None:
        rows.store(found.part(tangent), name, size, row)

    gate_formulas.gradient(
        l_max,
        read,
        lambda row: Dual(rows.load("g", n, row)),
        partial(write, "gx", n + l_max),
        partial(write, "y", n) if tangent else None,
    )


class _Rows:
    """Rows of channels of the atoms of a program."""

    def __init__(self, code: Code, channels: int) -> None:
        self.code, self.channels = code, channels
        code.line("i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)")
        code.line("c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)")
        code.line(f"kept = (i < n_atoms)[:, None] & (c < {channels})[None, :]")

    def load(self, name: str, rows: int, row: int) -> Value:
        return self.code.load(channels_of(name, "i", rows, row, self.channels), "kept")

    def store(self, x: Value, name: str, rows: int, row: int) -> None:
        self.code.store(x, channels_of(name, "i", rows, row, self.channels), "kept")


NORM = ("x", "scale", "shift", "y", "n_rows", "ROWS", "CHANNELS")
NORM_BACKWARD = ("x", "scale", "shift", "g", "gx", "gscale", "gshift", "n_rows", "ROWS", "CHANNELS")
NORM_TANGENT = (
    *("x", "scale", "shift", "g", "vx", "vscale", "vshift"),
    *("gx", "gscale", "gshift", "y", "n_rows", "ROWS", "CHANNELS"),
)


class _Norm:
    """Whole rows of a width, a few of them."""

    def __init__(self, code: Code, width: int, *, tangent: bool) -> None:
        self.code, self.width, self.tangent = code, width, tangent
        code.line("i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)")
        code.line("c = tl.arange(0, CHANNELS)")
        code.line(f"column = c < {width}")
        code.line("kept = (i < n_rows)[:, None] & column[None, :]")
        code.line(f"place = i[:, None] * {width} + c[None, :]")
        self.x = self.moving("x", "place", "kept", "")
        self.scale, self.shift = (self.moving(x, "c", "column", "[None, :]") for x in ("scale", "shift"))
        self.on_way = norm_formulas.normalised([self.x], [self.scale], [self.shift], self.mean)

    def read(self, name: str, place: str, mask: str, shape: str) -> Value:
        return self.code.new(f"tl.load({name} + {place}, mask={mask}, other=0.0){shape}")

    def moving(self, name: str, place: str, mask: str, shape: str) -> Dual[Value]:
        found = self.read(name, place, mask, shape)
        return Dual(found, self.read(f"v{name}", place, mask, shape) if self.tangent else None)

    def mean(self, row: norm_formulas.Vectors[Value]) -> Dual[Value]:
        """In every column, of what is in the row."""
        (x,) = row
        return Dual(self._mean(x.value), None if x.tangent is None else self._mean(x.tangent))

    def _mean(self, x: Value) -> Value:
        there = f"tl.where(kept, {x.text}, 0.0)"
        return self.code.new(f"(tl.sum({there}, axis=1) * {1.0 / self.width!r})[:, None]")

    def store(self, x: Dual[Value], name: str) -> None:
        self.code.line(f"tl.store({name} + place, {x.part(self.tangent).text}, mask=kept)")

    def store_sum(self, x: Dual[Value], name: str) -> None:
        """Over the rows of the program, into a place of its own."""
        there = f"tl.where(kept, {x.part(self.tangent).text}, 0.0)"
        place = f"{name} + tl.program_id(0).to(tl.int64) * {self.width} + c"
        self.code.line(f"tl.store({place}, tl.sum({there}, axis=0), mask=column)")


def norm(code: Code, width: int) -> None:
    """SiLU of normalised rows, with scale and shift."""
    row = _Norm(code, width, tangent=False)
    row.store(norm_formulas.value(row.on_way)[0], "y")


def norm_backward(code: Code, width: int, *, tangent: bool = False) -> None:
    """Gradients by x, and by scale and shift for each program; or their change, and that of the result."""
    row = _Norm(code, width, tangent=tangent)
    if tangent:
        row.store(norm_formulas.value(row.on_way)[0], "y")
    g = Dual(row.read("g", "place", "kept", ""))
    found = norm_formulas.gradient(row.on_way, [row.scale], [g], row.mean)
    row.store(found.x[0], "gx")
    row.store_sum(found.scale[0], "gscale")
    row.store_sum(found.shift[0], "gshift")
