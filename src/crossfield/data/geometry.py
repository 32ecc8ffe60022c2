"""Cell and positions of one frame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from crossfield.data.labels import numbers
from crossfield.errors import InputError
from crossfield.graph import neighbour_list

TOO_CLOSE = 0.3  # Å; no bond is shorter than H-H, 0.74 Å
FAR = 1e4  # Å
SPREAD = 300.0  # Å off the periodic axes of a slab or wire; the neighbour search grids all of that space
THIN = 0.3  # Å between two lattice planes
DENSE = 0.05  # Å^3 per atom in the smallest box around all atoms
SEARCH = 3.0  # Å; first radius in the search for the shortest distance
SEARCH_AGAIN = 7.0
_TRUTH = {"T": True, "F": False, "TRUE": True, "FALSE": False, "1": True, "0": False}


class Shortest(NamedTuple):
    """The shortest distance between two atoms, periodic images included."""

    distance: float  # Å; inf beyond 7 Å
    covalent: float  # in units of the sum of the two covalent radii


class Cell(NamedTuple):
    """Lattice vectors, zeros where there are none, and periodic axes."""

    vectors: NDArray[np.float64]  # (3, 3) Å
    pbc: NDArray[np.bool_]  # (3,)


def read_cell(info: Mapping[str, str]) -> Cell:
    """Lattice and periodic axes of a comment line; with a lattice and no pbc, all axes are periodic.

    Raises:
        InputError: not 9 numbers, pbc that is not three times T or F, pbc without a lattice, a cell without
            volume along its periodic axes, or a left-handed one.
    """
    lattice = info.get("Lattice")
    other = next((key for key in info if key.lower() in ("lattice", "cell", "unit_cell")), None)
    if lattice is None and other is not None:
        raise InputError(f"the cell is under {other!r}, but extended XYZ calls it 'Lattice'")
    pbc = _read_pbc(info, default=lattice is not None)
    if lattice is None:
        if pbc.any():
            raise InputError("pbc without a Lattice")
        return Cell(np.zeros((3, 3)), pbc)
    values = numbers(lattice, "Lattice")
    if len(values) != 9:
        raise InputError(f"Lattice must have 9 numbers, found {len(values)}")
    vectors = values.reshape(3, 3)
    if np.abs(vectors).max() > FAR:
        raise InputError("the Lattice is absurdly large")
    _check_volume(vectors, pbc)
    return Cell(vectors, pbc)


def _read_pbc(info: Mapping[str, str], *, default: bool) -> NDArray[np.bool_]:
    other = next((key for key in info if key.lower() == "pbc" and key != "pbc"), None)
    if other is not None:
        raise InputError(f"{other!r} is not read: extended XYZ calls it 'pbc'")
    if "pbc" not in info:
        return np.full(3, default)
    parts = re.sub(r"[\[\](){},]", " ", info["pbc"]).upper().split()
    if len(parts) != 3 or any(part not in _TRUTH for part in parts):
        raise InputError(f'pbc must be three times T or F, found "{info["pbc"][:40]}"')
    return np.array([_TRUTH[part] for part in parts])


def _check_volume(vectors: NDArray[np.float64], pbc: NDArray[np.bool_]) -> None:
    rows = vectors[pbc]
    if not len(rows):
        return
    size = np.linalg.norm(rows, axis=1)
    if size.min() < THIN or np.linalg.svd(rows / size[:, None])[1].min() < 1e-6:
        raise InputError("the cell has zero volume along its periodic axes")
    # distances between lattice planes: the inverse's columns are the reciprocal vectors
    if (thin := float(1 / np.linalg.norm(np.linalg.pinv(rows), axis=0).max())) < THIN:
        raise InputError(f"the cell is only {thin:.2g} Å thick (other units?)")
    if np.linalg.det(vectors) < 0:
        raise InputError("negative volume: the cell is left-handed, swap two lattice vectors")


def check_positions(Z: NDArray[np.int64], positions: NDArray[np.float64], cell: Cell) -> Shortest:
    """Check (N, 3) positions, Å, and find the shortest distance.

    Raises:
        InputError: atoms at the same place or closer than 0.3 Å, or positions that are absurd.
    """
    if np.abs(positions).max() > FAR:
        raise InputError(f"atom {int(np.abs(positions).max(axis=1).argmax())}: absurd position")
    if cell.pbc.any() and not cell.pbc.all():
        rows = cell.vectors[cell.pbc]
        off_axis = positions @ np.linalg.svd(rows)[2][len(rows) :].T
        if (spread := float(np.ptp(off_axis, axis=0).max())) > SPREAD:
            raise InputError(f"the atoms are spread over {spread:.0f} Å along axes that are not periodic")
    # tighter than any matter: would also make the neighbour search explode
    box = float(np.maximum(np.ptp(positions, axis=0), 0.5).prod())
    if cell.pbc.all():
        box = min(box, float(np.linalg.det(cell.vectors)))
    if len(positions) > 1 and box < DENSE * len(positions):
        raise InputError(f"{len(positions)} atoms within {box:.2g} Å^3 (other units?)")
    for radius in (SEARCH, SEARCH_AGAIN):
        edges = neighbour_list(positions, cell.vectors, cell.pbc, radius)
        if not len(edges.sender):
            continue
        steps = positions[edges.receiver] - positions[edges.sender] + edges.shift @ cell.vectors
        distance = np.linalg.norm(steps, axis=1)
        k = int(distance.argmin())
        i, j = sorted((int(edges.sender[k]), int(edges.receiver[k])))
        if distance[k] < TOO_CLOSE:
            raise InputError(f"atoms {i} and {j} are only {distance[k]:.2g} Å apart (other units?)")
        bond = covalent_radii[Z[i]] + covalent_radii[Z[j]]
        return Shortest(float(distance[k]), float(distance[k] / bond))
    return Shortest(np.inf, np.inf)
