"""The tensor-product convolution, edge by edge and path by path.

The coefficients of an edge are T[p][m1, m3] = sum over m2 of CG[p][m1, m2, m3] Y[m2]. With h the features of
the sender, w the radial weight and g the gradient by the message, a path contributes, summed over what is not
an index of the result,

    message[m3] += w T[m1, m3] h[m1]        q[m1] = T[m1, m3] g[m3]
    gh[m1] += w q[m1]       gw = h[m1] q[m1]       gT[m1, m3] = sum over channels of w h[m1] g[m3]

and gY follows from gT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple

import numpy as np

from crossfield.algebra import Path, clebsch_gordan
from crossfield.kernels.formulas.number import Dual, N, Q, sum_of


class Product(NamedTuple):
    """Sizes of a convolution."""

    paths: tuple[Path, ...]  # ordered by l3
    channels: int

    @classmethod
    def of(cls, flat: Sequence[int], channels: int) -> Product:
        """From l1, l2, l3 of each path, one after the other."""
        return cls(tuple(Path(*flat[k : k + 3]) for k in range(0, len(flat), 3)), channels)

    @property
    def rows_in(self) -> int:
        """Components of the sender's features."""
        return (max(p.l1 for p in self.paths) + 1) ** 2

    @property
    def harmonics(self) -> int:
        """Components of the harmonics."""
        return (max(p.l2 for p in self.paths) + 1) ** 2

    @property
    def rows_out(self) -> int:
        """Components of a message, path by path."""
        return sum(2 * p.l3 + 1 for p in self.paths)

    def row(self, p: int, m3: int) -> int:
        """Where a component of a path is in a message.

        Rows run over l3, its components, and then the paths that lead there: what a linear map mixes is in
        one piece.
        """
        l3 = self.paths[p].l3
        before = sum(2 * q.l3 + 1 for q in self.paths if q.l3 < l3)
        same = [k for k, q in enumerate(self.paths) if q.l3 == l3]
        return before + m3 * len(same) + same.index(p)

    def groups(self, size: Callable[[int], int], limit: int) -> list[list[int]]:
        """Paths that are worked on together: of one l1, with no more sums than there are registers for."""
        found: list[list[int]] = []
        for l1 in sorted({p.l1 for p in self.paths}):
            group: list[int] = []
            for p in (k for k, path in enumerate(self.paths) if path.l1 == l1):
                if group and sum(map(size, group)) + size(p) > limit:
                    found.append(group)
                    group = []
                group.append(p)
            found.append(group)
        return found


class Coefficients:
    """T of all paths: which there are, and how they follow from the harmonics."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.entries: list[dict[tuple[int, int], int]] = []  # per path, (m1, m3) to position
        self.terms: list[list[tuple[int, float]]] = []  # per position, (component of Y, coefficient)
        for l1, l2, l3 in paths:
            table = clebsch_gordan(l1, l2, l3)
            self.entries.append({})
            for m1, m3 in np.ndindex(2 * l1 + 1, 2 * l3 + 1):
                terms = [(l2 * l2 + m2, float(x)) for m2, x in enumerate(table[m1, :, m3]) if x]
                if terms:
                    self.entries[-1][m1, m3] = len(self.terms)
                    self.terms.append(terms)

    def __len__(self) -> int:
        return len(self.terms)

    def one(self, position: int, Y: Sequence[N]) -> N:
        """One of them."""
        return sum_of([Y[k] * x for k, x in self.terms[position]])

    def of(self, Y: Sequence[N]) -> Iterator[N]:
        """T, one after the other."""
        return (self.one(position, Y) for position in range(len(self)))

    def gradient(self, gT: Mapping[int, N]) -> dict[int, N]:
        """The gradient by the components of Y that count, from that by some of T, by position."""
        found: dict[int, list[N]] = {}
        for position, g in gT.items():
            for k, x in self.terms[position]:
                found.setdefault(k, []).append(g * x)
        return {k: sum_of(found[k]) for k in sorted(found)}


def message(path: Path, T: Mapping[tuple[int, int], N], h: Sequence[N], w: N) -> dict[int, N]:
    """What an edge adds to each component of the message along a path."""
    weigh_first = path.l1 <= path.l3  # whichever is fewer multiplications
    x = [w * v for v in h] if weigh_first else h
    found = {}
    for m3 in range(2 * path.l3 + 1):
        terms = [T[k] * x[k[0]] for k in T if k[1] == m3]
        if terms:
            found[m3] = sum_of(terms) if weigh_first else w * sum_of(terms)
    return found


class PathGradient(NamedTuple, Generic[Q]):
    """Of one path, one edge and some channels."""

    gh: dict[int, Dual[Q]]
    gw: Dual[Q]
    gT: dict[tuple[int, int], Dual[Q]]  # to be summed over channels

    @classmethod
    def of(
        cls,
        T: Mapping[tuple[int, int], Dual[Q]],
        h: Sequence[Dual[Q]],
        w: Dual[Q],
        g: Sequence[Dual[Q]],
    ) -> PathGradient[Q]:
        """By the sender's features, the weight and the coefficients."""
        x = [w * v for v in h]
        q: dict[int, Dual[Q]] = {}
        for m1 in range(len(h)):
            terms = [T[k] * g[k[1]] for k in T if k[0] == m1]
            if terms:
                q[m1] = sum_of(terms)
        return cls(
            gh={m1: w * v for m1, v in q.items()},
            gw=sum_of([h[m1] * v for m1, v in q.items()]),
            gT={k: x[k[0]] * g[k[1]] for k in T},
        )
