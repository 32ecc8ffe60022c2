"""The symmetric contraction as a sparse polynomial of each channel, written out.

With s the coefficient of a monomial (couplings times weights, summed), values and gradients follow the tree
of its factors: A_a (s_a + A_b (s_ab + A_c s_abc + ...)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from crossfield.algebra import symmetric_basis
from crossfield.kernels.native.emit import Code, Dual, Lanes, Number, Value, over_channels, sum_of

LARGEST = 600  # coefficients in one piece of straight code; the compiler's time grows faster than that
Monomial = tuple[int, ...]


class Polynomial(NamedTuple):
    """One component (L, M) of the output: for each monomial, its (coupling, coefficient) pairs."""

    row: int  # L^2 + M
    terms: Mapping[Monomial, list[tuple[int, float]]]  # couplings of all L are counted through

    @property
    def size(self) -> int:
        return sum(map(len, self.terms.values()))


class Contraction(NamedTuple):
    """Sizes of a contraction."""

    l_max: int  # highest l of the input
    L_max: int  # highest l of the output
    correlation: int  # highest degree
    channels: int

    @property
    def rows_in(self) -> int:
        return (self.l_max + 1) ** 2

    @property
    def rows_out(self) -> int:
        return (self.L_max + 1) ** 2

    @property
    def couplings(self) -> int:
        """Number of couplings of all L and degrees."""
        degrees = range(1, self.correlation + 1)
        return sum(symmetric_basis(self.l_max, L, d).size for L in range(self.L_max + 1) for d in degrees)

    def polynomials(self) -> list[Polynomial]:
        """All components of the output."""
        found, first = [], 0
        for L in range(self.L_max + 1):
            terms: list[dict[Monomial, list[tuple[int, float]]]] = [{} for _ in range(2 * L + 1)]
            for degree in range(1, self.correlation + 1):
                basis = symmetric_basis(self.l_max, L, degree)
                for k, M, p in zip(*np.nonzero(basis.coefficients), strict=True):
                    monomial = tuple(basis.monomials[p].tolist())
                    terms[M].setdefault(monomial, []).append(
                        (first + int(k), float(basis.coefficients[k, M, p]))
                    )
                first += basis.size
            found += [Polynomial(L * L + M, t) for M, t in enumerate(terms)]
        return found

    def pieces(self) -> Iterator[list[Polynomial]]:
        """Components of the output, in groups that compile quickly."""
        piece: list[Polynomial] = []
        for p in self.polynomials():
            if piece and sum(q.size for q in piece) + p.size > LARGEST:
                yield piece
                piece = []
            piece.append(p)
        yield piece


class Atom(NamedTuple):
    """Where the numbers of one atom are."""

    number: Value
    code: Code
    sizes: Contraction

    def at(self, name: str, rows: int) -> Value:
        """Address of its rows in an array (atoms, rows, channels)."""
        return self._address(name, self.number, rows)

    def of_group(self, name: str) -> Value:
        """Address of its group's rows in an array (groups, couplings, channels)."""
        group = self.code.index(self.code.argument("group"), self.number)
        return self._address(name, group, self.sizes.couplings)

    def _address(self, name: str, index: Value, rows: int) -> Value:
        return self.code.argument(name) + index * (rows * self.sizes.channels * self.code.bytes)


def over_atoms(code: Code, c: Contraction, body: Callable[[Atom, Lanes], None]) -> None:
    """Write the body for every atom and channel."""
    with code.loop(code.argument("begin"), code.argument("end")) as n:
        over_channels(code, c.channels, lambda lanes: body(Atom(n, code, c), lanes))


FORWARD = ("begin", "end", "A", "group", "weights", "B")


def forward(code: Code, c: Contraction) -> None:
    """B (atoms, rows, channels) of atoms begin <= n < end; an atom has the weights of its group."""
    for piece in c.pieces():

        def body(atom: Atom, lanes: Lanes, piece: list[Polynomial] = piece) -> None:
            w, B = atom.of_group("weights"), atom.at("B", c.rows_out)
            A = [lanes.load(atom.at("A", c.rows_in), a * c.channels) for a in range(c.rows_in)]
            for p in piece:
                s = {
                    m: sum_of([lanes.load(w, k * c.channels) * x for k, x in terms])
                    for m, terms in p.terms.items()
                }
                lanes.store(value(s, A), B, p.row * c.channels)

        over_atoms(code, c, body)


REVERSE = ("begin", "end", "A", "group", "weights", "gB", "gA")


def reverse(code: Code, c: Contraction) -> None:
    """The gradient by A from that by B."""
    for number, piece in enumerate(c.pieces()):

        def body(atom: Atom, lanes: Lanes, piece: list[Polynomial] = piece, number: int = number) -> None:
            w, gB, gA = atom.of_group("weights"), atom.at("gB", c.rows_out), atom.at("gA", c.rows_in)
            A = [lanes.load(atom.at("A", c.rows_in), a * c.channels) for a in range(c.rows_in)]
            g = {p.row: lanes.load(gB, p.row * c.channels) for p in piece}
            s = coefficients(piece, lambda k: lanes.load(w, k * c.channels), g)
            found = gradient(s, A)
            for a in range(c.rows_in):
                terms = found.get(a, [])
                if number:
                    terms = [*terms, lanes.load(gA, a * c.channels)]
                lanes.store(sum_of(terms) if terms else code.number(0.0), gA, a * c.channels)

        over_atoms(code, c, body)


TRAINING = ("begin", "end", "A", "group", "weights", "gB", "gA", "gw")
TANGENT = (*TRAINING, "vA", "vw", "vB")


def training(code: Code, c: Contraction, *, tangent: bool) -> None:
    """Gradients by A (written) and by the weights (added to), from that by B.

    With `tangent`, their change, and that of B, as A and the weights move along vA and vw.
    """
    for number, piece in enumerate(c.pieces()):

        def body(atom: Atom, lanes: Lanes, piece: list[Polynomial] = piece, first: bool = not number) -> None:
            _Training(code, c, atom, lanes, tangent).write(piece, first)

        over_atoms(code, c, body)


class _Training:
    """The gradients of one atom and one vector of channels."""

    def __init__(self, code: Code, c: Contraction, atom: Atom, lanes: Lanes, tangent: bool) -> None:
        self.code, self.c, self.atom, self.lanes, self.tangent = code, c, atom, lanes, tangent
        self.A = [self._moving(atom.at("A", c.rows_in), "vA", a) for a in range(c.rows_in)]
        self._weights: dict[int, Dual] = {}

    def write(self, piece: Sequence[Polynomial], first: bool) -> None:
        """Those due to some components of the output."""
        c, gB = self.c, self.atom.at("gB", self.c.rows_out)
        g = {p.row: Dual(self.lanes.load(gB, p.row * c.channels)) for p in piece}
        self._by_features(gradient(coefficients(piece, self._weight, g), self.A), first)
        products = Products(self.A)
        by_weights: dict[int, list[Value]] = {}
        for p in piece:
            couplings: dict[int, list[Dual]] = {}
            for m, terms in p.terms.items():
                for k, x in terms:
                    couplings.setdefault(k, []).append(products.get(m) * x)
            values = {k: sum_of(terms) for k, terms in couplings.items()}
            for k, value in values.items():
                by_weights.setdefault(k, []).append(self._part(value) * g[p.row].value)
            if self.tangent:
                change = self._part(sum_of([value * self._weight(k) for k, value in values.items()]))
                self.lanes.store(change, self.atom.at("vB", c.rows_out), p.row * c.channels)
        for k, parts in by_weights.items():
            self.lanes.add(sum_of(parts), self.atom.of_group("gw"), k * c.channels)

    def _by_features(self, found: Mapping[int, list[Dual]], first: bool) -> None:
        gA = self.atom.at("gA", self.c.rows_in)
        for a in range(self.c.rows_in):
            parts = [self._part(x) for x in found.get(a, [])]
            if not first:
                parts.append(self.lanes.load(gA, a * self.c.channels))
            self.lanes.store(sum_of(parts) if parts else self.code.number(0.0), gA, a * self.c.channels)

    def _weight(self, k: int) -> Dual:
        if k not in self._weights:
            self._weights[k] = self._moving(self.atom.of_group("weights"), "vw", k)
        return self._weights[k]

    def _moving(self, at: Value, direction: str, row: int) -> Dual:
        value = self.lanes.load(at, row * self.c.channels)
        if not self.tangent:
            return Dual(value)
        atom = self.atom
        along = atom.at(direction, self.c.rows_in) if direction == "vA" else atom.of_group(direction)
        return Dual(value, self.lanes.load(along, row * self.c.channels))

    def _part(self, x: Dual) -> Value:
        part = x.tangent if self.tangent else x.value
        assert part is not None
        return part


class Products(dict[Monomial, Dual]):
    """Monomials of A, each formed once."""

    def __init__(self, A: Sequence[Dual]) -> None:
        super().__init__({(a,): x for a, x in enumerate(A)})

    def get(self, m: Monomial) -> Dual:  # type: ignore[override]
        """One of them."""
        if m not in self:
            self[m] = self.get(m[:-1]) * self[m[-1:]]
        return self[m]


def value(s: Mapping[Monomial, Number], A: Sequence[Number]) -> Number:
    """Sum over monomials m of s[m] * m(A)."""
    inner = [A[a] * _below(s, A, (a,)) for a in sorted({m[0] for m in s})]
    return sum_of(inner)


def _below(s: Mapping[Monomial, Number], A: Sequence[Number], prefix: Monomial) -> Number:
    """What multiplies a product of factors in all the monomials that begin with it."""
    n = len(prefix)
    terms = [s[prefix]] if prefix in s else []
    for a in sorted({m[n] for m in s if len(m) > n and m[:n] == prefix}):
        terms.append(A[a] * _below(s, A, (*prefix, a)))
    return sum_of(terms)


def coefficients(
    piece: Sequence[Polynomial], weight: Callable[[int], Number], g: Mapping[int, Number]
) -> dict[Monomial, Number]:
    """Of sum over rows of g[row] B[row], the coefficient of every monomial."""
    terms: dict[Monomial, list[Number]] = {}
    scaled: dict[tuple[int, int], Number] = {}
    for p in piece:
        for m, couplings in p.terms.items():
            for k, x in couplings:
                if (p.row, k) not in scaled:
                    scaled[p.row, k] = weight(k) * g[p.row]
                terms.setdefault(m, []).append(scaled[p.row, k] * x)
    return {m: sum_of(t) for m, t in terms.items()}


def gradient(s: Mapping[Monomial, Number], A: Sequence[Number]) -> dict[int, list[Number]]:
    """Terms of the derivative of sum s[m] m(A) by each A."""
    found: dict[int, list[Number]] = {}
    following: dict[Monomial, set[int]] = {}  # factors that continue a monomial
    for m in s:
        for n in range(len(m)):
            following.setdefault(m[:n], set()).add(m[n])

    def descend(prefix: Monomial, product: Number) -> Number:
        """The derivative by a product of factors of all that begins with it."""
        terms = [s[prefix]] if prefix in s else []
        for a in sorted(following.get(prefix, ())):
            longer = (*prefix, a)
            below = descend(longer, product * A[a] if longer in following else product)
            found.setdefault(a, []).append(product * below)
            terms.append(A[a] * below)
        return sum_of(terms)

    for a in sorted(following[()]):
        found.setdefault(a, []).append(descend((a,), A[a]))
    return found
