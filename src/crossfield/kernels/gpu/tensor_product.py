"""The tensor-product convolution: a program for a few atoms and channels, sums in registers.

Forward, atoms are receivers, and their edges are in one piece. In reverse they are senders, whose edges are
found by a list: what a sender sums stays in registers, and nothing is added to by two programs. What an edge
sums over channels is summed over the channels of a program; programs have places of their own for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from crossfield.kernels.formulas.convolution import Coefficients, PathGradient, Product, message
from crossfield.kernels.formulas.number import Dual, sum_of
from crossfield.kernels.gpu.edges import BEYOND, polynomial, polynomial_slope
from crossfield.kernels.gpu.emit import Code, Value, channels_of

TILES = ("ROWS", "CHANNELS")  # atoms and channels of a program
FORWARD = ("first", "sender", "h", "Y", "w", "m", "n_atoms", "n_edges", *TILES)
FORWARD_TANGENT = ("first", "sender", "h", "Y", "w", "vh", "vY", "vw", "m", "n_atoms", "n_edges", *TILES)
_OUT = ("first", "order", "receiver", "g", "h", "Y", "w")
_FOUND = ("gh", "gY", "gw", "n_part", "n_atoms", "n_edges", *TILES)
BACKWARD = (*_OUT, *_FOUND)
BACKWARD_TANGENT = (*_OUT, "vh", "vY", "vw", *_FOUND)
# in inference, weights are polynomials of s whose coefficients are in a table
_TABLE = ("h", "Y", "knot", "s", "table")
MESSAGES = ("first", "sender", *_TABLE, "inverse", "m", "n_begin", "n_end", "n_edges", *TILES)
_REVERSE = ("gY", "slope", "n_begin", "n_end", "n_edges", *TILES)
MESSAGES_REVERSE = ("first", "sender", *_TABLE, "g", *_REVERSE)
MESSAGES_TO_SENDER = ("first", "order", "receiver", *_TABLE, "g", "gh", *_REVERSE)


class Tile:
    """The atoms and channels of a program, and the edges that it goes through."""

    def __init__(self, code: Code, product: Product, *, tangent: bool = False, knot: int = 0) -> None:
        self.code, self.product, self.tangent, self.knot = code, product, tangent, knot
        self.T = Coefficients(product.paths)

    def open(self, begin: str = "0", end: str = "n_atoms") -> None:
        """Which atoms and channels they are, and how many edges the busiest atom has."""
        for line in (
            f"i = {begin} + tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)",
            "c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)",
            f"inside = i < {end}",
            f"channel = (c < {self.product.channels})[None, :]",
            "begin = tl.load(first + i, mask=inside, other=0)",
            "end = tl.load(first + i + 1, mask=inside, other=0)",
            "most = tl.max(end - begin, axis=0)",
            "size = n_edges.to(tl.int64)",
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
        return self.code.load(channels_of(name, atom, rows, row, self.product.channels), mask)

    def store(self, value: Value, name: str, atom: str, rows: int, row: int, mask: str) -> None:
        """Write such a row."""
        self.code.store(value, channels_of(name, atom, rows, row, self.product.channels), mask)

    def moving(self, name: str, atom: str, rows: int, row: int) -> Dual[Value]:
        """A row, and how it moves."""
        value = self.row(name, atom, rows, row)
        return Dual(value, self.row(f"v{name}", atom, rows, row) if self.tangent else None)

    def coefficients(self, paths: Sequence[int]) -> dict[int, dict[tuple[int, int], Dual[Value]]]:
        """T of some paths."""
        needed = sorted({k for p in paths for q in self.T.entries[p].values() for k, _ in self.T.terms[q]})
        Y: dict[int, Dual[Value]] = {}
        for k in needed:
            value = self.scalar("Y", f"{k} * size + e")
            Y[k] = Dual(value, self.scalar("vY", f"{k} * size + e") if self.tangent else None)
        all_Y = [Y.get(k, Y[needed[0]]) for k in range(self.product.harmonics)]  # others do not count
        return {p: {m: self.T.one(q, all_Y) for m, q in self.T.entries[p].items()} for p in paths}

    def features(self, l1: int, atom: str) -> list[Dual[Value]]:
        """Components of one l of the atoms that send."""
        rows = self.product.rows_in
        return [self.moving("h", atom, rows, row) for row in range(l1 * l1, (l1 + 1) ** 2)]

    def weight(self, p: int, *, slope: bool = False) -> Dual[Value]:
        """Radial weight of a path; from a table, with `slope`, it moves as the length does."""
        if not self.knot:
            return self.moving("w", "e", len(self.product.paths), p)
        rows = self.knot * len(self.product.paths)
        x = Value(self.code, "x")
        c = [self.row("table", "row", rows, k * len(self.product.paths) + p) for k in range(self.knot)]
        return Dual(polynomial(x, c), polynomial_slope(x, c[1:]) if slope else None)

    @contextmanager
    def within_cutoff(self) -> Iterator[None]:
        """Where in the table the edge is; what follows is left out where no atom has an edge that counts."""
        self.code.line("row = tl.load(knot + e, mask=there, other=0)")
        self.code.line(f"at = tl.load(s + e, mask=there, other={BEYOND})")
        with self.code.block(f"if tl.max(at, axis=0) > {0.9 * BEYOND}:"):
            self.code.line("x = at[:, None]")
            yield


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
            place = f"gY + (part * {product.harmonics} + {k}) * size + e"
            code.line(f"tl.store({place}, tl.sum({gY.text}, axis=1), mask=there)")
    for m1, total in enumerate(gh):
        t.store(total, "gh", "i", product.rows_in, l1 * l1 + m1, "kept")


def messages(code: Code, product: Product, paths: tuple[int, ...], *, knot: int, divided: bool) -> None:
    """Messages of some paths of one l1 to the atoms n_begin <= i < n_end, for which `m` has rows.

    Args:
        code: to write to.
        product: sizes.
        paths: which of them.
        knot: coefficients of the table's polynomials.
        divided: whether messages are multiplied by `inverse` of their receiver.
    """
    t = Tile(code, product, knot=knot)
    t.open("n_begin", "n_end")
    sums = {
        (p, m3): code.zeros(f"m_{p}_{m3}", "(ROWS, CHANNELS)")
        for p in paths
        for m3 in range(2 * product.paths[p].l3 + 1)
    }
    with code.block("for k in range(0, most):"):
        t.read_edge("k_e")
        with t.within_cutoff():
            code.line("j = tl.load(sender + e, mask=there, other=0)")
            h = [x.value for x in t.features(product.paths[paths[0]].l1, "j")]
            T = {p: {m: x.value for m, x in of.items()} for p, of in t.coefficients(paths).items()}
            for p in paths:
                for m3, x in message(product.paths[p], T[p], h, t.weight(p).value).items():
                    code.add(sums[p, m3], x)
    code.line("kept = inside[:, None] & channel")
    code.line("own = i - n_begin")
    if divided:
        code.line("factor = tl.load(inverse + i, mask=inside, other=0.0)[:, None]")
    for (p, m3), total in sums.items():
        found = total * Value(code, "factor") if divided else total
        t.store(found, "m", "own", product.rows_out, product.row(p, m3), "kept")


def messages_reverse(
    code: Code, product: Product, paths: tuple[int, ...], *, knot: int, to_sender: bool
) -> None:
    """Add to gradients by harmonics and lengths what some paths of one l1 are due, from that by messages.

    With `to_sender`, atoms send: g is that of all atoms, and the gradient by their features is added to gh.
    Without it, they receive: g begins with the atom `n_begin`, and there is none by features.

    Args:
        code: to write to.
        product: sizes.
        paths: which of them.
        knot: coefficients of the table's polynomials.
        to_sender: see above.
    """
    t = Tile(code, product, knot=knot)
    t.open("n_begin", "n_end")
    l1 = product.paths[paths[0]].l1
    code.line("kept = inside[:, None] & channel")
    code.line("own = i - n_begin")
    rows = {p: [product.row(p, m3) for m3 in range(2 * product.paths[p].l3 + 1)] for p in paths}
    if to_sender:
        h = [Dual(t.row("h", "i", product.rows_in, row, "kept")) for row in range(l1 * l1, (l1 + 1) ** 2)]
    else:
        g = {p: [Dual(t.row("g", "own", product.rows_out, r, "kept")) for r in rows[p]] for p in paths}
    gh = [code.zeros(f"gh_{m1}", "(ROWS, CHANNELS)") for m1 in range(2 * l1 + 1) if to_sender]
    code.line("part = tl.program_id(1).to(tl.int64)")
    with code.block("for k in range(0, most):"):
        t.read_edge("tl.load(order + k_e, mask=there, other=0)" if to_sender else "k_e")
        with t.within_cutoff():
            if to_sender:
                code.line("far = tl.load(receiver + e, mask=there, other=0)")
                g = {p: [Dual(t.row("g", "far", product.rows_out, r)) for r in rows[p]] for p in paths}
            else:
                code.line("far = tl.load(sender + e, mask=there, other=0)")
                h = t.features(l1, "far")
            T = t.coefficients(paths)
            gT: dict[int, Value] = {}
            slopes = []
            for p in paths:
                w = t.weight(p, slope=True)
                found = PathGradient.of(T[p], h, Dual(w.value), g[p])
                slopes.append(found.gw.value * w.part(True))
                for m1, x in found.gh.items():
                    if to_sender:
                        code.add(gh[m1], x.value)
                gT |= {t.T.entries[p][m]: x.value for m, x in found.gT.items()}
            gY = t.T.gradient(gT)
            for k, total in gY.items():
                _add_sum(code, total, f"gY + (part * {product.harmonics} + {k}) * size + e")
            _add_sum(code, sum_of(slopes), "slope + part * size + e")
    for m1, back in enumerate(gh):
        before = t.row("gh", "i", product.rows_in, l1 * l1 + m1, "kept")
        t.store(before + back, "gh", "i", product.rows_in, l1 * l1 + m1, "kept")


def _add_sum(code: Code, x: Value, place: str) -> None:
    """Add the sum over channels to what is there."""
    before = f"tl.load({place}, mask=there, other=0.0)"
    code.line(f"tl.store({place}, {before} + tl.sum({x.text}, axis=1), mask=there)")
