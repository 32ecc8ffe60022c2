"""The largest crystal that fits: copies of one, side by side, twice as many each time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count

import numpy as np
from ase import Atoms

from crossfield.graph import Edges, neighbour_list

Copies = tuple[int, int, int]  # along each axis


def doubled() -> Iterator[Copies]:
    """1, 2, 4, 8, ... copies, as nearly a cube as can be."""
    for n in count():
        yield _copies(2**n)


def between(copies: Copies) -> Copies | None:
    """Three for every four copies; None where there are fewer than four."""
    number = math.prod(copies)
    if number < 4:
        return None
    a, b, c = _copies(number // 4)
    return a, b, 3 * c


def repeated(atoms: Atoms, edges: Edges, copies: Copies) -> tuple[Atoms, Edges]:
    """Copies of a crystal side by side, and their edges, in the order of receivers.

    Searching would take minutes for a million atoms.

    Args:
        atoms: a crystal of N atoms, periodic along three axes.
        edges: its edges.
        copies: how many along each axis.
    """
    n = np.array(copies)
    places = np.stack(np.meshgrid(*map(np.arange, copies), indexing="ij"), axis=-1).reshape(-1, 3)
    # the sender of an edge is so many crystals away from its receiver, perhaps in an image of the whole
    away, neighbour = np.unique(edges.shift.astype(np.int64), axis=0, return_inverse=True)
    neighbour = neighbour.reshape(-1)
    sender = np.empty((len(places), len(edges.sender)), dtype=np.int64)
    shift = np.empty((len(places), len(edges.sender), 3))
    for i, place in enumerate(places):
        crossed, rest = np.divmod(place - away, n)
        first = len(atoms) * np.ravel_multi_index(tuple(rest.T), copies)
        sender[i] = edges.sender + first[neighbour]
        shift[i] = -crossed[neighbour]
    receiver = edges.receiver + len(atoms) * np.arange(len(places))[:, None]
    return atoms * copies, Edges(sender.reshape(-1), receiver.reshape(-1), shift.reshape(-1, 3))


def edges_of(atoms: Atoms, cutoff: float) -> Edges:
    """The edges of one crystal."""
    return neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)


def _copies(number: int) -> Copies:
    """For a power of two."""
    n = number.bit_length() - 1
    a, b, c = (2 ** ((n + k) // 3) for k in range(3))
    return a, b, c
