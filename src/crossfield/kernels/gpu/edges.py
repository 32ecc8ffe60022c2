"""Kernels edge by edge: from vectors to harmonics and places in tables, and back to the gradient by vectors.

Lengths and places are found in float64, whatever the precision of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossfield.kernels.formulas.harmonics import reverse, spherical
from crossfield.kernels.formulas.number import Dual, sum_of
from crossfield.kernels.gpu.emit import Code, Value

BEYOND = -1.0  # Å; no edge that counts is so far in front of its knot
GEOMETRY = (
    *("r", "sender", "receiver", "element", "law", "Y", "knot", "s"),
    *("n_elements", "n_rows", "n_edges", "EDGES"),
)
REVERSE = ("r", "gY", "slope", "pair_slope", "factor", "g", "n_parts", "n_edges", "EDGES")
DENSITY = ("receiver", "knot", "s", "table", "grho", "slope", "n_edges", "EDGES")
PAIR = ("r", "sender", "receiver", "element", "z", "power", "radius", "energy", "slope", "n_edges", "EDGES")


def geometry(code: Code, l_max: int, *, table: bool) -> None:
    """Harmonics of edges, and where in a table their functions of the length are.

    `law` is (start, step) of the table, float64, of which each ordered pair of elements has `n_rows` rows,
    the last one for all lengths from the cutoff on, which are `BEYOND` in place of how far behind a knot.
    Without a table every edge has a row of its own.
    """
    _open(code)
    d, unit = _length(code)
    cast = [code.new(f"{u.text}.to({code.real})") for u in unit]
    one = code.new(f"tl.full((EDGES,), 1.0, {code.real})")
    for k, x in enumerate(spherical(cast, l_max, one)):
        code.line(f"tl.store(Y + {k} * size + e, {x.text}, mask=there)")
    if not table:
        code.line("tl.store(knot + e, e, mask=there)")
        code.line(f"tl.store(s + e, tl.zeros((EDGES,), {code.real}), mask=there)")
        return
    for line in (
        "start = tl.load(law)",
        "step = tl.load(law + 1)",
        f"k = tl.floor(({d.text} - start) / step)",
        "k = tl.minimum(tl.maximum(k, 0.0), (n_rows - 1).to(tl.float64))",
        f"inside = {d.text} < start + step * (n_rows - 1)",
        f"x = tl.where(inside, {d.text} - (start + step * k), {BEYOND})",
        "z_s = tl.load(element + tl.load(sender + e, mask=there, other=0), mask=there, other=0)",
        "z_r = tl.load(element + tl.load(receiver + e, mask=there, other=0), mask=there, other=0)",
        "row = (z_s * n_elements + z_r) * n_rows + tl.where(inside, k.to(tl.int64), n_rows - 1)",
        "tl.store(knot + e, row, mask=there)",
        f"tl.store(s + e, x.to({code.real}), mask=there)",
    ):
        code.line(line)


def geometry_reverse(code: Code, l_max: int, *, pair: bool) -> None:
    """The gradient by vectors, float64, from those by harmonics and by lengths, both in parts.

    With `pair` there is a derivative by lengths, `pair_slope`, in float64, too. All are multiplied by
    `factor`.
    """
    _open(code)
    d, unit = _length(code)
    n = (l_max + 1) ** 2
    gY = [code.zeros(f"gY_{k}", "(EDGES,)") for k in range(n)]
    along = code.new("tl.zeros((EDGES,), tl.float64)")
    with code.block("for part in range(0, n_parts):"):
        for k, total in enumerate(gY):
            place = f"gY + (part * {n} + {k}) * size + e"
            code.line(f"{total.text} += tl.load({place}, mask=there, other=0.0)")
        place = "slope + part * size + e"
        code.line(f"{along.text} += tl.load({place}, mask=there, other=0.0).to(tl.float64)")
    if pair:
        along = along + code.new("tl.load(pair_slope + e, mask=there, other=0.0)")
    cast = [code.new(f"{u.text}.to({code.real})") for u in unit]
    found = [code.new(f"{x.text}.to(tl.float64)") for x in reverse(cast, gY, l_max)]
    if found:
        inward = sum_of([x * u for x, u in zip(found, unit, strict=True)])
        along = along - inward / d
    factor = code.new("tl.load(factor)")
    for axis, u in enumerate(unit):
        g = (u * along + found[axis] / d if found else u * along) * factor
        code.line(f"tl.store(g + e * 3 + {axis}, {g.text}, mask=there)")


def density_reverse(code: Code, knot: int) -> None:
    """Add to the derivative by lengths what is due to a sum over the edges of the receiver.

    A knot of the table has `knot` coefficients of a polynomial.
    """
    _open(code)
    code.line("x = tl.load(s + e, mask=there, other=0.0)")
    code.line(f"row = table + tl.load(knot + e, mask=there, other=0) * {knot}")
    c = [code.new(f"tl.load(row + {k}, mask=there, other=0.0)") for k in range(1, knot)]
    change = polynomial_slope(Value(code, "x"), c)
    code.line("i = tl.load(receiver + e, mask=there, other=0)")
    code.line(f"change = {change.text} * tl.load(grho + i, mask=there, other=0.0)")
    code.line("tl.store(slope + e, tl.load(slope + e, mask=there, other=0.0) + change, mask=there)")


def pair(
    code: Code, screening: Sequence[tuple[float, float]], length: float, coulomb: float, cutoff_power: int
) -> None:
    """Screened repulsion of the nuclei: half the energy of each edge, and its derivative; float64.

    `z`, `power` (its power in the screening length) and `radius` are of elements.
    """
    _open(code)
    d, _ = _length(code)
    for name, at in (("z_s", "sender"), ("z_r", "receiver")):
        code.line(f"{name} = tl.load(element + tl.load({at} + e, mask=there, other=0), mask=there, other=0)")

    def both(name: str) -> tuple[Value, Value]:
        return code.new(f"tl.load({name} + z_s)"), code.new(f"tl.load({name} + z_r)")

    one = code.new("tl.full((EDGES,), 1.0, tl.float64)")
    distance = Dual(d, one)
    a, b = both("power")
    x = distance * ((a + b) * (1.0 / length))
    phi = sum_of([_exp(x * -rate) * c for c, rate in screening])
    a, b = both("radius")
    u = distance * (1.0 / (a + b))
    f = Dual(one * 0.0)
    for k in reversed(range(cutoff_power)):
        f = f * u + 0.5 * (k + 1) * (k + 2)
    left = u * -1.0 + 1.0
    a, b = both("z")
    inverse = 1.0 / d
    energy = Dual(inverse, inverse * inverse * -1.0) * phi * f * left * left * left * (a * b)
    code.line(f"near = there & ({u.value.text} < 1.0)")
    for name, value in (("energy", energy.value), ("slope", energy.part(True))):
        half = value * (0.5 * coulomb)
        code.line(f"tl.store({name} + e, tl.where(near, {half.text}, 0.0), mask=there)")


def polynomial(x: Value, c: Sequence[Value]) -> Value:
    """c0 + c1 x + c2 x^2 + ..."""
    total = c[-1]
    for k in reversed(c[:-1]):
        total = total * x + k
    return total


def polynomial_slope(x: Value, c: Sequence[Value]) -> Value:
    """c1 + 2 c2 x + ..., from c1 on."""
    return polynomial(x, [value * float(k + 1) for k, value in enumerate(c)])


def _exp(x: Dual[Value]) -> Dual[Value]:
    value = x.value.exp()
    return Dual(value, None if x.tangent is None else x.tangent * value)


def _open(code: Code) -> None:
    code.line("e = tl.program_id(0).to(tl.int64) * EDGES + tl.arange(0, EDGES)")
    code.line("there = e < n_edges")
    code.line("size = n_edges.to(tl.int64)")


def _length(code: Code) -> tuple[Value, list[Value]]:
    """Length and direction, float64; of no edge, of length 1."""
    r = [code.new(f"tl.load(r + e * 3 + {axis}, mask=there, other={float(axis == 0)})") for axis in range(3)]
    square = sum_of([x * x for x in r])
    # what is only room for an edge has no length; it is not asked for, but must not be divided by
    d = code.new(f"tl.sqrt(tl.maximum({square.text}, 1e-20))")
    return d, [x / d for x in r]
