"""What is done number by number between the products."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from crossfield.kernels.formulas import gate as formulas
from crossfield.kernels.formulas.number import Dual, sum_of
from crossfield.kernels.native.emit import Code, Lanes, Value, over_channels
from crossfield.kernels.native.tensor_product import SPLINE, spline, spline_slope

GATE = ("begin", "end", "x", "y")
GATE_REVERSE = ("begin", "end", "x", "gy", "gx")
GATE_TANGENT = (*GATE_REVERSE, "vx", "vy")


def gate(code: Code, l_max: int, channels: int) -> None:
    """From rows of scalars, gates of l = 1, 2, ... and components of l = 1, 2, ... to those of all l."""

    def body(x: Value, y: Value, lanes: Lanes) -> None:
        formulas.value(
            l_max,
            lambda row: Dual(lanes.load(x, row * channels)),
            lambda row, found: lanes.store(found.value, y, row * channels),
        )

    _over_atoms(code, channels, {"x": (l_max + 1) ** 2 + l_max, "y": (l_max + 1) ** 2}, body)


def gate_reverse(code: Code, l_max: int, channels: int, *, tangent: bool = False) -> None:
    """The gradient by x from that by y; with `tangent` its change as x moves along vx, and that of y."""

    def body(x: Value, gy: Value, gx: Value, vx: Value, vy: Value, lanes: Lanes) -> None:
        def read(row: int) -> Dual[Value]:
            at = row * channels
            return Dual(lanes.load(x, at), lanes.load(vx, at) if tangent else None)

        def write(address: Value, row: int, found: Dual[Value]) -> None:
            lanes.store(found.part(tangent), address, row * channels)

        formulas.gradient(
            l_max,
            read,
            lambda row: Dual(lanes.load(gy, row * channels)),
            partial(write, gx),
            partial(write, vy) if tangent else None,
        )

    rows = (l_max + 1) ** 2
    sizes = {"x": rows + l_max, "gy": rows, "gx": rows + l_max}
    if tangent:
        _over_atoms(code, channels, sizes | {"vx": rows + l_max, "vy": rows}, body)
    else:  # there is no direction to read
        _over_atoms(code, channels, sizes, lambda x, gy, gx, lanes: body(x, gy, gx, x, gy, lanes))


DIVISOR = ("first", "begin", "end", "knot", "t", "table", "law", "inverse")
DIVISOR_REVERSE = ("first", "begin", "end", "knot", "t", "table", "grho", "slope")


def divisor(code: Code, rows: int) -> None:
    """inverse[i] = 1 / (alpha + beta rho), rho the sum over the edges of an atom of a table of single
    numbers.

    `law` is (alpha, beta).
    """
    first = code.argument("first")
    alpha, beta = (code.scalar(code.argument("law"), k) for k in range(2))
    with code.loop(code.argument("begin"), code.argument("end")) as i:
        rho = code.variable(code.number(0.0, code.real))
        with code.loop(code.index(first, i), code.index(first, i + 1)) as e:
            knot = code.index(code.argument("knot"), e)
            if rows == SPLINE:
                weights = spline(code.scalar(code.argument("t"), e))
                table = [code.scalar(code.argument("table"), knot + 2 * r) for r in range(SPLINE)]
                rho.add(sum_of([b * x for b, x in zip(weights, table, strict=True)]))
            else:
                rho.add(code.scalar(code.argument("table"), knot))
        code.store(1.0 / (alpha + beta * rho.get()), code.argument("inverse"), i)


def divisor_reverse(code: Code, rows: int) -> None:
    """Add to the derivative by the length of an edge what is due to rho of its receiver."""
    first = code.argument("first")
    with code.loop(code.argument("begin"), code.argument("end")) as i:
        g = code.scalar(code.argument("grho"), i)
        with code.loop(code.index(first, i), code.index(first, i + 1)) as e:
            knot = code.index(code.argument("knot"), e)
            if rows == SPLINE:
                weights = spline_slope(code.scalar(code.argument("t"), e))
                table = [code.scalar(code.argument("table"), knot + 2 * r + 1) for r in range(SPLINE - 1)]
                change = sum_of([b * x for b, x in zip(weights, table, strict=True)])
            else:
                change = code.scalar(code.argument("table"), knot + 1)
            old = code.scalar(code.argument("slope"), e)
            code.store(old + change * g, code.argument("slope"), e)


SCALE = ("begin", "end", "inverse", "x")
SCALE_REVERSE = ("begin", "end", "inverse", "law", "x", "gx", "grho")


def scale(code: Code, size: int) -> None:
    """x[n] *= inverse[n], rows of `size` real numbers."""
    with code.loop(code.argument("begin"), code.argument("end")) as n:
        factor, x = code.spread(code.scalar(code.argument("inverse"), n)), _row(code, "x", n, size)
        over_channels(code, size, lambda lanes: lanes.store(lanes.load(x) * factor, x))


def scale_reverse(code: Code, size: int) -> None:
    """The gradients by what was scaled (in place of that by x, the result), and by rho behind the factor."""
    beta = code.scalar(code.argument("law"), 1)
    with code.loop(code.argument("begin"), code.argument("end")) as n:
        factor = code.scalar(code.argument("inverse"), n)
        x, gx = _row(code, "x", n, size), _row(code, "gx", n, size)
        total = code.variable(code.number(0.0))

        def body(lanes: Lanes) -> None:
            g = lanes.load(gx)
            total.add(g * lanes.load(x))
            lanes.store(g * code.spread(factor), gx)

        over_channels(code, size, body)
        code.store(code.total(total.get()) * factor * beta * -1.0, code.argument("grho"), n)


GATHER = ("begin", "end", "table", "index", "size", "y", "step")
ADD = ("size", "x", "y")


def gather(code: Code) -> None:
    """y[n] = table[index[n]], rows of `size` real numbers; those of y are `step` apart."""
    size, step = code.argument("size"), code.argument("step")
    with code.loop(code.argument("begin"), code.argument("end")) as n:
        source = code.argument("table") + code.index(code.argument("index"), n) * size * code.bytes
        target = code.argument("y") + n * step * code.bytes
        with code.loop(0, size, code.lanes) as k:
            code.store(code.load(source, k), target, k)


def add(code: Code) -> None:
    """Y += x, whole vectors of real numbers."""
    with code.loop(0, code.argument("size"), code.lanes) as k:
        code.store(code.load(code.argument("y"), k) + code.load(code.argument("x"), k), code.argument("y"), k)


def _row(code: Code, name: str, n: Value, size: int) -> Value:
    return code.argument(name) + n * (size * code.bytes)


def _over_atoms(code: Code, channels: int, rows: dict[str, int], body: Callable[..., None]) -> None:
    with code.loop(code.argument("begin"), code.argument("end")) as n:
        places = [_row(code, name, n, size * channels) for name, size in rows.items()]
        over_channels(code, channels, lambda lanes: body(*places, lanes))
