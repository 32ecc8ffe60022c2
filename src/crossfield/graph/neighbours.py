"""Neighbour lists for any cell, by vesin, on the processor; `connect` searches whole batches on a device."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import vesin
from numpy.typing import NDArray

from crossfield.errors import InputError

TOO_CLOSE = 1e-6  # Å; two atoms at one place have no direction between them
MARGIN = 1e-6  # Å; far above the round-off of a search, so that it misses nothing
FLAT = 1e-6  # a cell as flat as this, smallest over largest singular value, has no volume
NO_VOLUME = "the cell has no volume along its periodic axes"
NOT_FINITE = "positions or cell contain NaN or infinity"


class Edges(NamedTuple):
    """Directed edges of one structure, sorted by receiver, then sender, then shift."""

    sender: NDArray[np.int64]  # (E,)
    receiver: NDArray[np.int64]  # (E,)
    shift: NDArray[np.float64]  # (E, 3) whole lattice vectors


NO_EDGES = Edges(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 3)))


def neighbour_list(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    cutoff: float,
) -> Edges:
    """All ordered pairs closer than the cutoff, periodic images included.

    Args:
        positions: (N, 3) Å, inside the cell or not.
        cell: (3, 3) Å, rows are lattice vectors; only rows of periodic axes are used.
        pbc: (3,) which axes are periodic.
        cutoff: Å.

    Raises:
        InputError: two atoms at the same place, or a cell without volume.
    """
    found = candidates(positions, cell, pbc, cutoff)
    return within(found, offsets(found.shift, cell, pbc), positions, cutoff)


def candidates(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    reach: float,
) -> Edges:
    """Every pair closer than `reach` (Å), and perhaps a few that are longer by next to nothing.

    Arguments, order and errors are those of `neighbour_list`, but that atoms may be at the same place.
    """
    pbc, reach = np.asarray(pbc, dtype=bool), reach + MARGIN
    points, box = _enclose(np.asarray(positions, dtype=float), complete_cell(cell, pbc), pbc, reach)
    finder = vesin.NeighborList(cutoff=reach, full_list=True, n_threads=1)
    i, j, shift = finder.compute(points=points, box=box, periodic=True, quantities="ijS")
    sender, receiver = i.astype(np.int64), j.astype(np.int64)
    order = np.lexsort((shift[:, 2], shift[:, 1], shift[:, 0], sender, receiver))
    return _take(Edges(sender, receiver, shift.astype(np.float64)), order)


def offsets(
    shift: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(3, E) Å, the lattice vectors of E shifts (E, 3), one row per component."""
    # not a matrix product, which may round an edge by its place among the others
    a, b, c = np.where(np.asarray(pbc, dtype=bool)[:, None], np.asarray(cell, dtype=float), 0.0)[:, :, None]
    return shift[:, 0] * a + shift[:, 1] * b + shift[:, 2] * c


def within(edges: Edges, offset: NDArray[np.float64], positions: NDArray[np.float64], cutoff: float) -> Edges:
    """Those edges that are shorter than the cutoff, in their order.

    The one place where this is decided: it depends on nothing but the edge itself, to the last bit, whatever
    list the edge is from.

    Args:
        edges: candidates.
        offset: (3, E) Å, their `offsets`.
        positions: (N, 3) Å.
        cutoff: Å.

    Raises:
        InputError: two atoms at the same place.
    """
    squared = np.zeros(len(edges.sender))
    for x, along in zip(np.ascontiguousarray(np.asarray(positions, dtype=float).T), offset):
        step = np.take(x, edges.receiver)
        step -= np.take(x, edges.sender)
        step += along
        step *= step
        squared += step
    if len(squared) and squared.min() < TOO_CLOSE * TOO_CLOSE:
        k = int(squared.argmin())
        first, second = sorted((int(edges.sender[k]), int(edges.receiver[k])))
        raise InputError(f"atoms {first} and {second} are at the same place")
    return _take(edges, np.flatnonzero(squared < cutoff * cutoff))


def _take(edges: Edges, which: NDArray[np.int64]) -> Edges:
    # several times as fast as indexing
    sender, receiver = np.take(edges.sender, which), np.take(edges.receiver, which)
    return Edges(sender, receiver, np.take(edges.shift, which, axis=0))


def complete_cell(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The cell with rows of non-periodic axes replaced by unit vectors orthogonal to the others.

    Raises:
        InputError: the periodic rows do not span a volume.
    """
    box, pbc = np.array(cell, dtype=float), np.asarray(pbc, dtype=bool)
    rows = box[pbc]
    # singular values and right singular vectors give both the check and the missing directions
    _, size, basis = np.linalg.svd(rows) if len(rows) else (None, np.zeros(0), np.eye(3))
    if len(rows) and size.min() < FLAT * max(size.max(), FLAT):
        raise InputError(NO_VOLUME)
    box[~pbc] = basis[len(rows) :]
    return box


def _enclose(
    positions: NDArray[np.float64], box: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and a box, periodic on all axes, that have the same neighbours.

    The search lays a grid over all of space that the atoms span, so that one atom far away would make it slow
    or worse. Along open axes, gaps that nothing reaches across are therefore closed up.
    """
    points, box = positions.copy(), box.copy()
    for axis in np.flatnonzero(~pbc):
        direction = box[axis].copy()
        length = 0.0
        if len(points):
            t = points @ direction
            order = np.argsort(t)
            steps = np.minimum(np.diff(t[order], prepend=t[order[0]]), 1.01 * cutoff)
            closed = np.empty_like(t)
            closed[order] = np.cumsum(steps)
            wide = steps.max() > cutoff  # otherwise positions stay as they are, to the last bit
            points += np.outer(closed - t, direction) if wide else 0.0
            length = float(np.ptp(closed))
        box[axis] = (length + 2.0 * cutoff) * direction
    return np.ascontiguousarray(points), box
