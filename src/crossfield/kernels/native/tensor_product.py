"""The tensor-product convolution: one receiver after the other, its sums in registers.

The coefficients T of `formulas.convolution` are formed for as many edges at a time as a vector has lanes, and
kept for a few dozen edges. After that they are scalars, and channels fill the lanes. In inference nothing is
kept of the radial weights: they are formed in registers from rows of a table, w = sum over r of
b[r] table[knot + 2 r], with b the weights of a spline.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from crossfield.kernels.formulas.convolution import Coefficients, PathGradient, Product, message
from crossfield.kernels.formulas.number import Dual, sum_of
from crossfield.kernels.native.emit import Code, Lanes, Value, Variable, over_channels

EDGES = 32  # at most, whose coefficients are kept at a time
STACK = 128 << 10  # bytes of them, at most: threads may have little more
# Tables have two rows for each knot: of the function, and of its derivative. That could be had from the first
# ones, but as differences of nearly equal numbers, of which float32 leaves too little.
SPLINE = 4  # knots that a cubic B-spline combines; its derivative has one fewer
GIVEN = 2  # rows of a table that holds value and derivative of every edge, and no spline


class Scratch:
    """Scalars of a chunk of edges: position k of edge j is at (j // lanes, k, j % lanes)."""

    def __init__(self, code: Code, size: int, edges: int) -> None:
        self.code, self.size = code, size
        self.memory = code.array(size * edges)

    def put(self, block: int, k: int, value: Value) -> None:
        """Write for a vector of edges."""
        self.code.store(value, self.memory, (block * self.size + k) * self.code.lanes)

    def get(self, block: int, k: int) -> Value:
        """Read for a vector of edges."""
        return self.code.load(self.memory, (block * self.size + k) * self.code.lanes)

    def edge(self, block: Value, j: Value) -> ScratchEdge:
        """One edge."""
        offset = block * (self.size * self.code.lanes) + j
        return ScratchEdge(self.code, self.memory + offset * self.code.bytes)


class ScratchEdge(NamedTuple):
    """Scalars of one edge."""

    code: Code
    address: Value

    def get(self, k: int) -> Value:
        """Read, into every lane."""
        return self.code.spread(self.code.scalar(self.address, k * self.code.lanes))

    def set(self, k: int, value: Value) -> None:
        """Write a scalar."""
        self.code.store(value, self.address, k * self.code.lanes)


class Chunk(NamedTuple):
    """Some edges of one receiver."""

    code: Code
    first: Value  # its first edge
    size: Value
    opening: Value  # whether it is the receiver's first
    blocks: int  # vectors of edges, at most

    @contextmanager
    def each(self) -> Iterator[tuple[Value, Value, Value]]:
        """Edge by edge: its number, and its place (block, lane) in the scratch."""
        L = self.code.lanes
        blocks = (self.size + (L - 1)).shifted(L)
        with (
            self.code.loop(0, blocks) as block,
            self.code.loop(0, self.code.lesser(self.size - block * L, self.code.whole(L))) as j,
        ):
            yield self.first + block * L + j, block, j


@contextmanager
def over_chunks(code: Code, first_edge: Value, end_edge: Value, edges: int) -> Iterator[Chunk]:
    """The edges of a receiver, so many at a time."""
    with code.loop(first_edge, end_edge, edges) as first:
        count = code.lesser(end_edge - first, code.whole(edges))
        opening = code.instruction("i1", f"icmp eq i64 {first.text}, {first_edge.text}")
        yield Chunk(code, first, count, opening, edges // code.lanes)


class Kernel:
    """What the kernels of a convolution have in common: where the numbers of an edge are."""

    def __init__(
        self, code: Code, product: Product, *, rows: int, tangent: bool = False, slope: bool = False
    ) -> None:
        self.code, self.product, self.rows, self.tangent = code, product, rows, tangent
        self.T = Coefficients(product.paths)
        n = len(self.T)
        self.moved, self.spline = n, n * (1 + tangent)
        scalars = self.spline + rows * (1 + slope) * (rows == SPLINE)
        self.edges = EDGES
        while self.edges > code.lanes and self.edges * (scalars + n + 1) * code.bytes > STACK:
            self.edges //= 2
        self.scratch = Scratch(code, scalars, self.edges)
        self.with_slope = slope
        registers = code.machine.registers
        self.limit = 24 if registers >= 32 else 10

    def argument(self, name: str) -> Value:
        return self.code.argument(name)

    def size(self, rows: int) -> int:
        """Bytes of rows of channels."""
        return rows * self.product.channels * self.code.bytes

    def read_edges(self, chunk: Chunk) -> None:
        """Form the coefficients, and the weights of the rows of the table."""
        code = self.code
        for block in range(chunk.blocks):
            at = chunk.first + block * code.lanes
            stride = self.argument("stride")
            Y = [code.load(self.argument("Y"), at + stride * k) for k in range(self.product.harmonics)]
            for k, T in enumerate(self.T.of(Y)):
                self.scratch.put(block, k, T)
            if self.tangent:
                vY = [code.load(self.argument("vY"), at + stride * k) for k in range(self.product.harmonics)]
                for k, T in enumerate(self.T.of(vY)):
                    self.scratch.put(block, self.moved + k, T)
            if self.rows == SPLINE:
                t = code.load(self.argument("t"), at)
                for r, b in enumerate(spline(t)):
                    self.scratch.put(block, self.spline + r, b)
                if self.with_slope:
                    for r, b in enumerate(spline_slope(t)):
                        self.scratch.put(block, self.spline + SPLINE + r, b)

    def coefficients(self, edge: ScratchEdge, p: int) -> dict[tuple[int, int], Dual[Value]]:
        """T of a path."""
        return {
            m: Dual(edge.get(k), edge.get(self.moved + k) if self.tangent else None)
            for m, k in self.T.entries[p].items()
        }

    def sender(self, name: str, edge: Value) -> Value:
        """Address of the sender's rows."""
        return self.argument(name) + self.code.index(self.argument("sender"), edge) * self.size(
            self.product.rows_in
        )

    def features(self, lanes: Lanes, edge: Value, l1: int) -> list[Dual[Value]]:
        """Components of the sender's features of one l."""
        found = []
        for row in range(l1 * l1, (l1 + 1) ** 2):
            at = row * self.product.channels
            moved = lanes.load(self.sender("vh", edge), at) if self.tangent else None
            found.append(Dual(lanes.load(self.sender("h", edge), at), moved))
        return found

    def table(self, edge: Value) -> Value:
        """Address of the rows of the table for an edge; without one, of its weights."""
        paths = self.size(len(self.product.paths))
        if self.rows == 1:
            return self.argument("w") + edge * paths
        return self.argument("table") + self.code.index(self.argument("knot"), edge) * paths

    def weight(
        self, lanes: Lanes, edge: Value, scratch: ScratchEdge, p: int
    ) -> tuple[Dual[Value], Value | None]:
        """Radial weight of a path, and its derivative by the distance."""
        C, P = self.product.channels, len(self.product.paths)
        if self.rows == 1:
            moved = self.argument("vw") + edge * self.size(P) if self.tangent else None
            return Dual(
                lanes.load(self.table(edge), p * C), lanes.load(moved, p * C) if moved else None
            ), None
        table = self.table(edge)

        def row(knot: int, slope: int) -> Value:
            return lanes.load(table, ((2 * knot + slope) * P + p) * C)

        if self.rows == GIVEN:
            return Dual(row(0, 0)), row(0, 1) if self.with_slope else None
        first = self.spline
        weight = sum_of([scratch.get(first + r) * row(r, 0) for r in range(SPLINE)])
        if not self.with_slope:
            return Dual(weight), None
        first += SPLINE
        return Dual(weight), sum_of([scratch.get(first + r) * row(r, 1) for r in range(SPLINE - 1)])

    @contextmanager
    def over_receivers(self) -> Iterator[tuple[Value, Value, Value]]:
        """Atom by atom: its number, first edge and end of edges."""
        begin, end, first = (self.argument(x) for x in ("begin", "end", "first"))
        with self.code.loop(begin, end) as i:
            yield i, self.code.index(first, i), self.code.index(first, i + 1)

    def receiver(self, name: str, i: Value) -> Value:
        """Address of the receiver's rows in an array that starts with the atom `begin`."""
        return self.argument(name) + (i - self.argument("begin")) * self.size(self.product.rows_out)


TABLE = ("first", "begin", "end", "sender", "h", "Y", "stride", "knot", "t", "table")
FORWARD = (*TABLE, "m")
REVERSE = (*TABLE, "g", "gh", "gY", "slope")
WEIGHTS = ("first", "begin", "end", "sender", "h", "Y", "stride", "w")
TRAINING_FORWARD = (*WEIGHTS, "m")
TRAINING_FORWARD_TANGENT = (*WEIGHTS, "vh", "vY", "vw", "m")
TRAINING_BACKWARD = (*WEIGHTS, "g", "gh", "gY", "gw")
TRAINING_BACKWARD_TANGENT = (*WEIGHTS, "vh", "vY", "vw", "g", "gh", "gY", "gw")


def forward(code: Code, product: Product, *, rows: int = 1, tangent: bool = False) -> None:
    """Messages to the atoms begin <= i < end, or their change as h, Y and w move along vh, vY and vw."""
    k = Kernel(code, product, rows=rows, tangent=tangent)
    C = product.channels
    with k.over_receivers() as (i, first, end):
        m = k.receiver("m", i)
        with code.when(code.less(first, end).negated()):
            over_channels(code, product.rows_out * C, lambda lanes: lanes.store(code.number(0.0), m))
        with over_chunks(code, first, end, k.edges) as chunk:
            k.read_edges(chunk)

            def body(lanes: Lanes) -> None:
                for group in product.groups(lambda p: 2 * product.paths[p].l3 + 1, k.limit):
                    sums: dict[tuple[int, int], Variable] = {}
                    for p in group:
                        for m3 in range(2 * product.paths[p].l3 + 1):
                            old = lanes.load(m, product.row(p, m3) * C)
                            sums[p, m3] = code.variable(code.where(chunk.opening, code.number(0.0), old))
                    with chunk.each() as (e, block, j):
                        scratch = k.scratch.edge(block, j)
                        h = k.features(lanes, e, product.paths[group[0]].l1)
                        for p in group:
                            w, _ = k.weight(lanes, e, scratch, p)
                            for m3, x in message(product.paths[p], k.coefficients(scratch, p), h, w).items():
                                sums[p, m3].add(x.part(tangent))
                    for (p, m3), total in sums.items():
                        lanes.store(total.get(), m, product.row(p, m3) * C)

            over_channels(code, C, body)


def reverse(
    code: Code, product: Product, *, rows: int = 1, tangent: bool = False, to_sender: bool = True
) -> None:
    """Gradients from that by the messages g, or their change as h, Y and w move along vh, vY and vw.

    Those by the harmonics gY and, with a table, by the distance (`slope`), are added to what is there; the
    one by h likewise, unless it is not asked for. Without a table, that by the weights is written.
    """
    k = Kernel(code, product, rows=rows, tangent=tangent, slope=True)
    C, n = product.channels, len(k.T)
    sums = Scratch(code, n + 1, k.edges)
    with k.over_receivers() as (i, first, end):
        g_atom = k.receiver("g", i)
        with over_chunks(code, first, end, k.edges) as chunk:
            k.read_edges(chunk)
            with chunk.each() as (e, block, j):
                scratch, into = k.scratch.edge(block, j), sums.edge(block, j)
                slope = code.variable(code.number(0.0))
                for group in product.groups(lambda p: len(k.T.entries[p]), k.limit - 2):
                    gT = {q: code.variable(code.number(0.0)) for p in group for q in k.T.entries[p].values()}

                    def body(lanes: Lanes, group: list[int] = group, gT: dict[int, Variable] = gT) -> None:
                        l1 = product.paths[group[0]].l1
                        h = k.features(lanes, e, l1)
                        gh: dict[int, list[Value]] = {}
                        for p in group:
                            w, dw = k.weight(lanes, e, scratch, p)
                            g = [
                                Dual(lanes.load(g_atom, product.row(p, m3) * C))
                                for m3 in range(2 * product.paths[p].l3 + 1)
                            ]
                            found = PathGradient.of(k.coefficients(scratch, p), h, w, g)
                            gw = found.gw.part(tangent)
                            if dw is not None:
                                slope.add(gw * dw)
                            else:
                                at = k.argument("gw") + e * k.size(len(product.paths))
                                lanes.store(gw, at, p * C)
                            for m1, x in found.gh.items():
                                gh.setdefault(m1, []).append(x.part(tangent))
                            for m, x in found.gT.items():
                                gT[k.T.entries[p][m]].add(x.part(tangent))
                        if to_sender:
                            for m1, parts in gh.items():
                                lanes.add(sum_of(parts), k.sender("gh", e), (l1 * l1 + m1) * C)

                    over_channels(code, C, body)
                    for q, total in gT.items():
                        into.set(q, code.total(total.get()))
                if rows > 1:
                    into.set(n, code.total(slope.get()))
            for block_number in range(chunk.blocks):
                left = chunk.size - block_number * code.lanes
                with code.when(code.less(code.whole(0), left)):
                    mask, at = code.first_lanes(left), chunk.first + block_number * code.lanes
                    edges = Lanes(code, at, mask)
                    gY = k.T.gradient({q: sums.get(block_number, q) for q in range(n)})
                    for q, x in gY.items():
                        row = k.argument("gY") + k.argument("stride") * (q * code.bytes)
                        edges.add(x, row)
                    if rows > 1:
                        edges.add(sums.get(block_number, n), k.argument("slope"))


def spline(t: Value) -> list[Value]:
    """Weights of the four rows of a uniform cubic B-spline at 0 <= t <= 1 between the middle two."""
    s = 1.0 - t
    b0, b3 = s * s * s * (1 / 6), t * t * t * (1 / 6)
    b1 = t * t * (t * 0.5 - 1.0) + 2 / 3
    return [b0, b1, 1.0 - b0 - b1 - b3, b3]


def spline_slope(t: Value) -> list[Value]:
    """Weights of the three rows of its derivative, a quadratic B-spline."""
    s = 1.0 - t
    q0, q2 = s * s * 0.5, t * t * 0.5
    return [q0, 1.0 - q0 - q2, q2]
