"""The symmetric contraction: a program for a few atoms and channels."""

from __future__ import annotations

from crossfield.kernels.formulas.contraction import (
    Contraction,
    Products,
    coefficients,
    gradient,
    value,
)
from crossfield.kernels.formulas.number import Dual, sum_of
from crossfield.kernels.gpu.emit import Code, Value, channels_of

TILES = ("ROWS", "CHANNELS")
FORWARD = ("A", "group", "w", "B_out", "n_atoms", *TILES)
_GIVEN = ("A", "group", "w", "g")
BY_FEATURES = (*_GIVEN, "gA", "n_atoms", *TILES)
BY_FEATURES_TANGENT = (*_GIVEN, "vA", "vw", "gA", "n_atoms", *TILES)
BY_WEIGHTS = (*_GIVEN, "gw", "n_atoms", *TILES)
BY_WEIGHTS_TANGENT = (*_GIVEN, "vA", "vw", "gw", "vB", "n_atoms", *TILES)


class Tile:
    """The atoms and channels of a program."""

    def __init__(self, code: Code, c: Contraction, *, tangent: bool = False) -> None:
        self.code, self.c, self.tangent = code, c, tangent
        for line in (
            "i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)",
            "c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)",
            "inside = i < n_atoms",
            f"kept = inside[:, None] & (c < {c.channels})[None, :]",
            "z = tl.load(group + i, mask=inside, other=0)",
        ):
            code.line(line)
        self._weights: dict[int, Dual[Value]] = {}
        self.A = [self.moving("A", "i", c.rows_in, a) for a in range(c.rows_in)]

    def load(self, name: str, atom: str, rows: int, row: int) -> Value:
        """Read a row of every atom, or of its group."""
        return self.code.load(channels_of(name, atom, rows, row, self.c.channels), "kept")

    def store(self, found: Value, name: str, rows: int, row: int) -> None:
        """Write a row of every atom."""
        self.code.store(found, channels_of(name, "i", rows, row, self.c.channels), "kept")

    def moving(self, name: str, atom: str, rows: int, row: int) -> Dual[Value]:
        """A row, and how it moves."""
        found = self.load(name, atom, rows, row)
        return Dual(found, self.load(f"v{name}", atom, rows, row) if self.tangent else None)

    def weight(self, k: int) -> Dual[Value]:
        """Of a coupling."""
        if k not in self._weights:
            self._weights[k] = self.moving("w", "z", self.c.couplings, k)
        return self._weights[k]


def forward(code: Code, c: Contraction) -> None:
    """B_out (atoms, rows, channels); an atom has the weights of its group."""
    t = Tile(code, c)
    for p in c.polynomials():
        s = {m: sum_of([t.weight(k) * x for k, x in terms]) for m, terms in p.terms.items()}
        t.store(value(s, t.A).value, "B_out", c.rows_out, p.row)


def by_features(code: Code, c: Contraction, *, tangent: bool = False) -> None:
    """The gradient by A from that by the result, g; or its change as A and the weights move."""
    t = Tile(code, c, tangent=tangent)
    polynomials = c.polynomials()
    g = {p.row: Dual(t.load("g", "i", c.rows_out, p.row)) for p in polynomials}
    found = gradient(coefficients(polynomials, t.weight, g), t.A)
    for a in range(c.rows_in):
        terms = [x.part(tangent) for x in found.get(a, [])]
        t.store(sum_of(terms) if terms else t.A[a].value * 0.0, "gA", c.rows_in, a)


def by_weights(
    code: Code, c: Contraction, rows: tuple[int, ...], *, each: bool, tangent: bool = False
) -> None:
    """The gradient by the weights due to some rows of the result, of one l.

    It is that of every atom, or summed over the atoms of a program. With `tangent` it is the change, and
    there is that of the result, too.
    """
    t = Tile(code, c, tangent=tangent)
    products = Products(t.A)
    parts: dict[int, list[Value]] = {}
    for p in (q for q in c.polynomials() if q.row in rows):
        g = t.load("g", "i", c.rows_out, p.row)
        changes: list[Value] = []
        couplings: dict[int, list[Dual[Value]]] = {}
        for m, terms in p.terms.items():
            for k, x in terms:
                couplings.setdefault(k, []).append(products.get(m) * x)
        for k, products_of in couplings.items():
            found = sum_of(products_of)
            parts.setdefault(k, []).append(found.part(tangent) * g)
            if tangent:
                changes.append((found * t.weight(k)).part(True))
        if tangent:
            t.store(sum_of(changes), "vB", c.rows_out, p.row)
    for k, each_row in parts.items():
        total = sum_of(each_row)
        if each:
            t.store(total, "gw", c.couplings, k)
            continue
        place = f"gw + tl.program_id(0).to(tl.int64) * {c.couplings * c.channels} + {k * c.channels} + c"
        whole = f"tl.sum(tl.where(kept, {total.text}, 0.0), axis=0)"
        code.line(f"tl.store({place}, {whole}, mask=c < {c.channels})")
