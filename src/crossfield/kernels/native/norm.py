"""Layer normalisation followed by SiLU, row by row; a row is kept in registers."""

from __future__ import annotations

from collections.abc import Sequence

from crossfield.kernels.native.emit import Code, Dual, Lanes, Number, Value, logistic, sum_of

EPSILON = 1e-5  # added to the variance, as in torch
FORWARD = ("begin", "end", "x", "scale", "shift", "y")
BACKWARD = ("begin", "end", "x", "scale", "shift", "gy", "gx", "gscale", "gshift")
TANGENT = (*BACKWARD, "vx", "vscale", "vshift", "vy")


class Row:
    """A row of numbers, or of numbers with their derivative along a direction."""

    def __init__(self, code: Code, width: int) -> None:
        self.code, self.width = code, width
        L = code.lanes
        whole = [Lanes(code, code.whole(k), None) for k in range(0, width - L + 1, L)]
        rest = width % L
        tail = [Lanes(code, code.whole(width - rest), code.first_lanes(code.whole(rest)))] if rest else []
        self.lanes = whole + tail

    def load(self, address: Value) -> list[Value]:
        """Read."""
        return [lanes.load(address) for lanes in self.lanes]

    def store(self, values: Sequence[Value], address: Value) -> None:
        """Write."""
        for lanes, value in zip(self.lanes, values, strict=True):
            lanes.store(value, address)

    def add(self, values: Sequence[Value], address: Value) -> None:
        """Add to what is there."""
        for lanes, value in zip(self.lanes, values, strict=True):
            lanes.add(value, address)

    def mean(self, values: Sequence[Dual]) -> Dual:
        """In every lane."""
        tangents = [v.tangent for v in values]
        moved = (
            None if any(t is None for t in tangents) else self._mean([t for t in tangents if t is not None])
        )
        return Dual(self._mean([v.value for v in values]), moved)

    def _mean(self, values: Sequence[Value]) -> Value:
        kept = [
            v if lanes.mask is None else self.code.where(lanes.mask, v, self.code.number(0.0))
            for v, lanes in zip(values, self.lanes, strict=True)
        ]
        return self.code.spread(self.code.total(sum_of(kept))) * (1.0 / self.width)


def _inverse_root(code: Code, x: Dual) -> Dual:
    value = 1.0 / code.call("sqrt", x.value)
    return Dual(value, None if x.tangent is None else x.tangent * value * value * value * -0.5)


def _minus(a: Number, b: Number) -> Number:
    return a + b * -1.0


def forward(code: Code, width: int) -> None:
    """Y = SiLU(scale * normalised x + shift), rows begin <= n < end of `width` numbers."""
    row = Row(code, width)
    with code.loop(code.argument("begin"), code.argument("end")) as n:
        x = [Dual(v) for v in row.load(_at(code, "x", n, width))]
        scale, shift = ([Dual(v) for v in row.load(code.argument(k))] for k in ("scale", "shift"))
        _, _, z = _normalised(code, row, x, scale, shift)
        row.store([(v * logistic(v)).value for v in z], _at(code, "y", n, width))


def backward(code: Code, width: int, *, tangent: bool) -> None:
    """Gradients by x (written), and by scale and shift (added to), from that by y.

    With `tangent`, their change as x, scale and shift move along vx, vscale and vshift, and that of y.
    """
    row = Row(code, width)

    def read(name: str, at: Value, moved: Value | None) -> list[Dual]:
        values = row.load(at)
        if moved is None:
            return [Dual(v) for v in values]
        return [Dual(v, m) for v, m in zip(values, row.load(moved), strict=True)]

    def part(values: Sequence[Dual]) -> list[Value]:
        return [v.value if not tangent else v.tangent or code.number(0.0) for v in values]

    with code.loop(code.argument("begin"), code.argument("end")) as n:
        x = read("x", _at(code, "x", n, width), _at(code, "vx", n, width) if tangent else None)
        scale, shift = (
            read(k, code.argument(k), code.argument(f"v{k}") if tangent else None) for k in ("scale", "shift")
        )
        normal, root, z = _normalised(code, row, x, scale, shift)
        s = [logistic(v) for v in z]
        if tangent:
            row.store(part([v * w for v, w in zip(z, s, strict=True)]), _at(code, "vy", n, width))
        gy = [Dual(v) for v in row.load(_at(code, "gy", n, width))]
        one = Dual(code.number(1.0))
        gz = [g * w * (one + v * _minus(one, w)) for g, v, w in zip(gy, z, s, strict=True)]
        row.add(part(gz), code.argument("gshift"))
        row.add(part([g * v for g, v in zip(gz, normal, strict=True)]), code.argument("gscale"))
        g_normal = [g * v for g, v in zip(gz, scale, strict=True)]
        mean = row.mean(g_normal)
        along = row.mean([g * v for g, v in zip(g_normal, normal, strict=True)])
        gx = [root * _minus(_minus(g, mean), v * along) for g, v in zip(g_normal, normal, strict=True)]
        row.store(part(gx), _at(code, "gx", n, width))


def _normalised(
    code: Code, row: Row, x: Sequence[Dual], scale: Sequence[Dual], shift: Sequence[Dual]
) -> tuple[list[Dual], Dual, list[Dual]]:
    """Normalised x, the inverse root of its variance, and what SiLU is applied to."""
    mean = row.mean(x)
    centred = [_minus(v, mean) for v in x]
    variance = row.mean([v * v for v in centred])
    root = _inverse_root(code, variance + Dual(code.number(EPSILON)))
    normal = [v * root for v in centred]
    return normal, root, [v * a + b for v, a, b in zip(normal, scale, shift, strict=True)]


def _at(code: Code, name: str, n: Value, width: int) -> Value:
    return code.argument(name) + n * (width * code.bytes)
