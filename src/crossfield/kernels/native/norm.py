"""Layer normalisation followed by SiLU, row by row; a row is kept in registers."""

from __future__ import annotations

from collections.abc import Sequence

from crossfield.kernels.formulas import norm as formulas
from crossfield.kernels.formulas.number import Dual, sum_of
from crossfield.kernels.native.emit import Code, Lanes, Value

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

    def mean(self, values: Sequence[Dual[Value]]) -> Dual[Value]:
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


def forward(code: Code, width: int) -> None:
    """Y = SiLU(scale * normalised x + shift), rows begin <= n < end of `width` numbers."""
    row = Row(code, width)
    with code.loop(code.argument("begin"), code.argument("end")) as n:
        x, scale, shift = (
            [Dual(v) for v in row.load(at)]
            for at in (_at(code, "x", n, width), code.argument("scale"), code.argument("shift"))
        )
        row.store(
            _parts(formulas.value(formulas.normalised(x, scale, shift, row.mean))), _at(code, "y", n, width)
        )


def backward(code: Code, width: int, *, tangent: bool) -> None:
    """Gradients by x (written), and by scale and shift (added to), from that by y.

    With `tangent`, their change as x, scale and shift move along vx, vscale and vshift, and that of y.
    """
    row = Row(code, width)

    def read(at: Value, moved: Value | None) -> list[Dual[Value]]:
        values = row.load(at)
        if moved is None:
            return [Dual(v) for v in values]
        return [Dual(v, m) for v, m in zip(values, row.load(moved), strict=True)]

    with code.loop(code.argument("begin"), code.argument("end")) as n:
        x = read(_at(code, "x", n, width), _at(code, "vx", n, width) if tangent else None)
        scale, shift = (
            read(code.argument(k), code.argument(f"v{k}") if tangent else None) for k in ("scale", "shift")
        )
        on_way = formulas.normalised(x, scale, shift, row.mean)
        if tangent:
            row.store(_parts(formulas.value(on_way), tangent), _at(code, "vy", n, width))
        gy = [Dual(v) for v in row.load(_at(code, "gy", n, width))]
        found = formulas.gradient(on_way, scale, gy, row.mean)
        row.add(_parts(found.shift, tangent), code.argument("gshift"))
        row.add(_parts(found.scale, tangent), code.argument("gscale"))
        row.store(_parts(found.x, tangent), _at(code, "gx", n, width))


def _parts(values: Sequence[Dual[Value]], tangent: bool = False) -> list[Value]:
    return [v.part(tangent) for v in values]


def _at(code: Code, name: str, n: Value, width: int) -> Value:
    return code.argument(name) + n * (width * code.bytes)
