"""Neighbour lists for any cell, by vesin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import vesin
from numpy.typing import NDArray

from crossfield.errors import InputError

TOO_CLOSE = 1e-6  # Å; two atoms at one place have no direction between them


class Edges(NamedTuple):
    """Directed edges of one structure, sorted by receiver, then sender, then shift."""

    sender: NDArray[np.int64]  # (E,)
    receiver: NDArray[np.int64]  # (E,)
    shift: NDArray[np.float64]  # (E, 3) whole lattice vectors


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
    pbc = np.asarray(pbc, dtype=bool)
    points, box = _enclose(np.asarray(positions, dtype=float), complete_cell(cell, pbc), pbc, cutoff)
    finder = vesin.NeighborList(cutoff=cutoff, full_list=True, n_threads=1)
    i, j, shift, distance = finder.compute(points=points, box=box, periodic=True, quantities="ijSd")
    if len(distance) and distance.min() < TOO_CLOSE:
        k = int(distance.argmin())
        raise InputError(f"atoms {int(i[k])} and {int(j[k])} are at the same place")
    sender, receiver = i.astype(np.int64), j.astype(np.int64)
    order = np.lexsort((shift[:, 2], shift[:, 1], shift[:, 0], sender, receiver))
    return Edges(sender[order], receiver[order], shift[order].astype(np.float64))


def complete_cell(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The cell with rows of non-periodic axes replaced by unit vectors orthogonal to the others.

    Raises:
        InputError: the periodic rows do not span a volume.
    """
    box, pbc = np.array(cell, dtype=float), np.asarray(pbc, dtype=bool)
    rows = box[pbc]
    # singular values and right singular vectors give both the check and the missing directions
    _, size, basis = np.linalg.svd(rows) if len(rows) else (None, np.zeros(0), np.eye(3))
    if len(rows) and size.min() < 1e-6 * max(size.max(), 1e-6):
        raise InputError("the cell has no volume along its periodic axes")
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
