"""The symmetric contraction: one atom after the other, channels side by side in the lanes of vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from crossfield.kernels.formulas.contraction import (
    Contraction,
    Polynomial,
    Products,
    coefficients,
    gradient,
    value,
)
from crossfield.kernels.formulas.number import Dual, sum_of
from crossfield.kernels.native.emit import Code, Lanes, Value, over_channels


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
        self._weights: dict[int, Dual[Value]] = {}

    def write(self, piece: Sequence[Polynomial], first: bool) -> None:
        """Those due to some components of the output."""
        c, gB = self.c, self.atom.at("gB", self.c.rows_out)
        g = {p.row: Dual(self.lanes.load(gB, p.row * c.channels)) for p in piece}
        self._by_features(gradient(coefficients(piece, self._weight, g), self.A), first)
        products = Products(self.A)
        by_weights: dict[int, list[Value]] = {}
        for p in piece:
            couplings: dict[int, list[Dual[Value]]] = {}
            for m, terms in p.terms.items():
                for k, x in terms:
                    couplings.setdefault(k, []).append(products.get(m) * x)
            values = {k: sum_of(terms) for k, terms in couplings.items()}
            for k, found in values.items():
                by_weights.setdefault(k, []).append(found.part(self.tangent) * g[p.row].value)
            if self.tangent:
                change = sum_of([found * self._weight(k) for k, found in values.items()]).part(True)
                self.lanes.store(change, self.atom.at("vB", c.rows_out), p.row * c.channels)
        for k, parts in by_weights.items():
            self.lanes.add(sum_of(parts), self.atom.of_group("gw"), k * c.channels)

    def _by_features(self, found: Mapping[int, list[Dual[Value]]], first: bool) -> None:
        gA = self.atom.at("gA", self.c.rows_in)
        for a in range(self.c.rows_in):
            parts = [x.part(self.tangent) for x in found.get(a, [])]
            if not first:
                parts.append(self.lanes.load(gA, a * self.c.channels))
            self.lanes.store(sum_of(parts) if parts else self.code.number(0.0), gA, a * self.c.channels)

    def _weight(self, k: int) -> Dual[Value]:
        if k not in self._weights:
            self._weights[k] = self._moving(self.atom.of_group("weights"), "vw", k)
        return self._weights[k]

    def _moving(self, at: Value, direction: str, row: int) -> Dual[Value]:
        value = self.lanes.load(at, row * self.c.channels)
        if not self.tangent:
            return Dual(value)
        atom = self.atom
        along = atom.at(direction, self.c.rows_in) if direction == "vA" else atom.of_group(direction)
        return Dual(value, self.lanes.load(along, row * self.c.channels))
