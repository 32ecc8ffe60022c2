"""The tensor-product convolution: a program for a few atoms and channels, sums in registers.

Forward, atoms are receivers, and their edges are in one piece. In reverse they are senders, whose edges are
found by a list: what a sender sums stays in registers, and nothing is added to by two programs. What an edge
sums over channels is summed over the channels of a program; programs have places of their own for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossfield.kernels.formulas.convolution import Coefficients, PathGradient, Product, message
from crossfield.kernels.formulas.number import Dual
from crossfield.kernels.gpu.emit import Code, Value

TILES = ("ROWS", "CHANNELS")  # atoms and channels of a program
FORWARD = ("first", "sender", "h", "Y", "w", "m", "n_atoms", "n_edges", *TILES)
FORWARD_TANGENT = ("first", "sender", "h", "Y", "w", "vh", "vY", "vw", "m", "n_atoms", "n_edges", *TILES)
_OUT = ("first", "order", "receiver", "g", "h", "Y", "w")
_FOUND = ("gh", "gY", "gw", "n_part", "n_atoms", "n_edges", *TILES)
BACKWARD = (*_OUT, *_FOUND)
BACKWARD_TANGENT = (*_OUT, "vh", "vY", "vw", *_FOUND)


class Tile:
    """The atoms and channels of a program, and the edges that it goes through."""

    def __init__(self, code: Code, product: Product, *, tangent: bool) -> None:
        self.code, self.product, self.tangent = code, product, tangent
        self.T = Coefficients(product.paths)

    def open(self) -> None:
        """Which atoms and channels they are, and how many edges the busiest atom has."""
        for line in (
            "i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)",
            "c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)",
            "inside = i < n_atoms",
            f"channel = (c < {self.product.channels})[None, :]",
            "begin = tl.load(first + i, mask=inside, other=0)",
            "end = tl.load(first + i + 1, mask=inside, other=0)",
            "most = tl.max(end - begin, axis=0)",
        ):
            self.code.line(line)

    def read_edge(self, number: str) -> None:
        """The next edge of every atom: `e` is its number, and `there` whether it has one more."""
        for line in (
            "k_e = begin + k",
            "there = k_e < end",
            f"e = {number}",
            "both = there[:, None] & channel",
        ):
            self.code.line(line)

    def scalar(self, name: str, place: str) -> Value:
        """A number of every edge."""
        return self.code.new(f"tl.load({name} + {place}, mask=there, other=0.0)[:, None]")

    def row(self, name: str, atom: str, rows: int, row: int, mask: str = "both") -> Value:
        """Channels of a row of every atom, or edge."""
        return self.code.new(f"tl.load({self._place(name, atom, rows, row)}, mask={mask}, other=0.0)")

    def store(self, value: Value, name: str, atom: str, rows: int, row: int, mask: str) -> None:
        """Write such a row."""
        self.code.line(f"tl.store({self._place(name, atom, rows, row)}, {value.text}, mask={mask})")

    def _place(self, name: str, atom: str, rows: int, row: int) -> str:
        C = self.product.channels
        return f"{name} + ({atom} * {rows * C} + {row * C})[:, None] + c[None, :]"

    def moving(self, name: str, atom: str, rows: int, row: int) -> Dual[Value]:
        """A row, and how it moves."""
        value = self.row(name, atom, rows, row)
        return Dual(value, self.row(f"v{name}", atom, rows, row) if self.tangent else None)

    def coefficients(self, paths: Sequence[int]) -> dict[int, dict[tuple[int, int], Dual[Value]]]:
        """T of some paths."""
        needed = sorted({k for p in paths for q in self.T.entries[p].values() for k, _ in self.T.terms[q]})
        Y: dict[int, Dual[Value]] = {}
        for k in needed:
            value = self.scalar("Y", f"{k} * n_edges + e")
            Y[k] = Dual(value, self.scalar("vY", f"{k} * n_edges + e") if self.tangent else None)
        all_Y = [Y.get(k, Y[needed[0]]) for k in range(self.product.harmonics)]  # others do not count
        return {p: {m: self.T.one(q, all_Y) for m, q in self.T.entries[p].items()} for p in paths}

    def features(self, l1: int, atom: str) -> list[Dual[Value]]:
        """Components of one l of the atoms that send."""
        rows = self.product.rows_in
        return [self.moving("h", atom, rows, row) for row in range(l1 * l1, (l1 + 1) ** 2)]

    def weight(self, p: int) -> Dual[Value]:
        """Radial weight of a path."""
        return self.moving("w", "e", len(self.product.paths), p)


def forward(code: Code, product: Product, paths: tuple[int, ...], *, tangent: bool = False) -> None:
    """Messages of some paths of one l1, or their change as h, Y and w move along vh, vY and vw."""
    t = Tile(code, product, tangent=tangent)
    t.open()
    sums = {
        (p, m3): code.zeros(f"m_{p}_{m3}", "(ROWS, CHANNELS)")
        for p in paths
        for m3 in range(2 * product.paths[p].l3 + 1)
    }
    with code.block("for k in range(0, most):"):
        t.read_edge("k_e")
        code.line("j = tl.load(sender + e, mask=there, other=0)")
        h = t.features(product.paths[paths[0]].l1, "j")
        T = t.coefficients(paths)
        for p in paths:
            for m3, x in message(product.paths[p], T[p], h, t.weight(p)).items():
                code.add(sums[p, m3], x.part(tangent))
    code.line("kept = inside[:, None] & channel")
    for (p, m3), total in sums.items():
        t.store(total, "m", "i", product.rows_out, product.row(p, m3), "kept")


def backward(code: Code, product: Product, paths: tuple[int, ...], *, tangent: bool = False) -> None:
    """Gradients due to all paths of one l1 from that by the messages g, or their change.

    `first` counts edges by sender, `order` has their numbers; gY has a part for each program along channels,
    from `n_part` on.
    """
    t = Tile(code, product, tangent=tangent)
    t.open()
    l1 = product.paths[paths[0]].l1
    code.line("kept = inside[:, None] & channel")
    own = [
        Dual(
            t.row("h", "i", product.rows_in, row, "kept"),
            t.row("vh", "i", product.rows_in, row, "kept") if tangent else None,
        )
        for row in range(l1 * l1, (l1 + 1) ** 2)
    ]
    gh = [code.zeros(f"gh_{m1}", "(ROWS, CHANNELS)") for m1 in range(2 * l1 + 1)]
    code.line("part = (n_part + tl.program_id(1)).to(tl.int64)")
    with code.block("for k in range(0, most):"):
        t.read_edge("tl.load(order + k_e, mask=there, other=0)")
        code.line("r = tl.load(receiver + e, mask=there, other=0)")
        T = t.coefficients(paths)
        gT: dict[int, Value] = {}
        for p in paths:
            g = [
                Dual(t.row("g", "r", product.rows_out, product.row(p, m3)))
                for m3 in range(2 * product.paths[p].l3 + 1)
            ]
            found = PathGradient.of(T[p], own, t.weight(p), g)
            t.store(found.gw.part(tangent), "gw", "e", len(product.paths), p, "both")
            for m1, x in found.gh.items():
                code.add(gh[m1], x.part(tangent))
            gT |= {t.T.entries[p][m]: x.part(tangent) for m, x in found.gT.items()}
        for k, gY in t.T.gradient(gT).items():
            place = f"gY + (part * {product.harmonics} + {k}) * n_edges + e"
            code.line(f"tl.store({place}, tl.sum({gY.text}, axis=1), mask=there)")
    for m1, total in enumerate(gh):
        t.store(total, "gh", "i", product.rows_in, l1 * l1 + m1, "kept")
