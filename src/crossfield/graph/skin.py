"""A neighbour list that is kept while atoms move little (Verlet 1967)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossfield.errors import InputError
from crossfield.graph.neighbours import NOT_FINITE, Edges, candidates, neighbour_list, offsets, within


class Kept(NamedTuple):
    """A structure of N atoms as it was when a list out to cutoff + skin was made; kept while that holds."""

    positions: NDArray[np.float64]  # (N, 3) Å
    cell: NDArray[np.float64]  # (3, 3) Å
    lattice: NDArray[np.float64]  # (P, 3) Å, the cell vectors of the periodic axes
    pbc: NDArray[np.bool_]  # (3,)


class SkinList:
    """Neighbour lists of one structure as it moves.

    Pairs are searched for out to cutoff + skin. As long as no atom has moved more than half the skin since,
    every pair within the cutoff is among these, and those that are too long are left out: the edges are the
    same, in the same order, as `neighbour_list` finds. Atoms that go along with a changing cell have not
    moved; see `_holds`.

    Args:
        cutoff: longest edge, Å.
        skin: Å; 0 searches every time.

    Raises:
        InputError: a skin that is negative or not finite.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        if not (math.isfinite(skin) and skin >= 0.0):
            raise InputError(f"skin = {skin}: it is a length in Å, 0 or more")
        self.cutoff = cutoff
        self.skin = skin
        self.rebuilds = 0  # searches so far
        self._kept: Kept | None = None
        self._edges: Edges | None = None  # of what is kept, once somebody asks
        self._lattice = np.zeros((0, 3))  # (P, 3) Å, for which the offsets are
        self._offset: NDArray[np.float64] | None = None  # (3, E) Å

    def edges(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
    ) -> Edges:
        """All ordered pairs closer than the cutoff, exactly as `neighbour_list` gives them.

        Args:
            positions: (N, 3) Å, inside the cell or not.
            cell: (3, 3) Å, rows are lattice vectors; only rows of periodic axes are used.
            pbc: (3,) which axes are periodic.

        Raises:
            InputError: two atoms at the same place, a cell without volume, or NaN or infinity.
        """
        if self.skin == 0.0:
            positions, cell, pbc, _ = _checked(positions, cell, pbc)
            self.rebuilds += 1
            return neighbour_list(positions, cell, pbc, self.cutoff)
        found = self.candidates(positions, cell, pbc)
        positions, cell, pbc, lattice = _checked(positions, cell, pbc)
        if self._offset is None or not np.array_equal(lattice, self._lattice):
            self._lattice, self._offset = lattice, offsets(found.shift, cell, pbc)
        return within(found, self._offset, positions, self.cutoff)

    def candidates(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
    ) -> Edges:
        """Pairs among which are all closer than the cutoff; the same object while it holds.

        Arguments are those of `edges`.

        Raises:
            InputError: a cell without volume, or NaN or infinity.
        """
        kept = self.keep(positions, cell, pbc)
        if self._edges is None:
            self._edges = candidates(kept.positions, kept.cell, kept.pbc, self.cutoff + self.skin)
        return self._edges

    def keep(self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> Kept:
        """The structure that a list out to cutoff + skin is to be of; the same object while that list holds.

        For whoever searches by other means, as `connect` does on a GPU. Arguments are those of `edges`.

        Raises:
            InputError: NaN or infinity.
        """
        positions, cell, pbc, lattice = _checked(positions, cell, pbc)
        if self._kept is None or not self._holds(self._kept, positions, lattice, pbc):
            self._kept = Kept(positions.copy(), cell.copy(), lattice, pbc.copy())
            self._edges = self._offset = None
            self.rebuilds += 1
        return self._kept

    def _holds(
        self,
        kept: Kept,
        positions: NDArray[np.float64],
        lattice: NDArray[np.float64],
        pbc: NDArray[np.bool_],
    ) -> bool:
        """Whether every pair closer than the cutoff now is in the list kept.

        Write the positions now as x = x0 F + u, where F takes the lattice vectors kept to those now. A pair
        that was apart by r0 is apart by r = r0 F + u_j - u_i, and |r| >= s |r0| - 2 max|u| with s the
        smallest singular value of F. With |r| < cutoff, that |r0| < cutoff + skin follows from
        2 max|u| <= s (cutoff + skin) - cutoff, which is the skin where the cell is as it was.
        """
        if len(positions) != len(kept.positions) or not np.array_equal(pbc, kept.pbc):
            return False
        u, room = positions - kept.positions, self.skin
        if not np.array_equal(lattice, kept.lattice):
            # changes nothing across the periodic axes
            change = np.linalg.pinv(kept.lattice) @ (lattice - kept.lattice)  # (3, 3), F - 1
            u -= kept.positions @ change
            s = float(np.linalg.svd(np.eye(3) + change, compute_uv=False)[-1])
            room = s * (self.cutoff + self.skin) - self.cutoff
        longest = float(np.einsum("ia,ia->i", u, u).max(initial=0.0))  # Å^2
        return room >= 0.0 and 4.0 * longest <= room * room


def _checked(
    positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """As arrays, and the cell vectors of the periodic axes."""
    positions, cell = np.asarray(positions, dtype=float), np.asarray(cell, dtype=float)
    pbc = np.asarray(pbc, dtype=bool)
    lattice = cell[pbc]
    if not (np.isfinite(positions).all() and np.isfinite(lattice).all()):
        raise InputError(NOT_FINITE)
    return positions, cell, pbc, lattice
