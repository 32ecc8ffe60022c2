"""What frames are made of, as matrices: elements, charges, and the energies of free atoms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crossfield.data.frame import Frame
from crossfield.theory import symbols

HARTREE = 27.211386245988  # eV
Vector = NDArray[np.float64]


def counts(frames: Sequence[Frame]) -> NDArray[np.int64]:
    """(frames, 119) number of atoms of each atomic number in each frame."""
    if not frames:
        return np.zeros((0, 119), dtype=np.int64)
    atoms = np.array([frame.num_atoms for frame in frames])
    Z = np.concatenate([frame.Z for frame in frames])
    row = np.repeat(np.arange(len(frames)), atoms)
    return np.bincount(row * 119 + Z, minlength=119 * len(frames)).reshape(-1, 119)


def elements_of(frames: Iterable[Frame]) -> frozenset[int]:
    """Atomic numbers that occur in any of the frames."""
    return frozenset(int(Z) for frame in frames for Z in set(frame.Z.tolist()))


def composition(frames: Sequence[Frame]) -> Vector:
    """(frames, 119) share of each atomic number in each frame; rows add up to 1."""
    atoms = np.array([frame.num_atoms for frame in frames], dtype=np.float64).reshape(-1, 1)
    share: Vector = counts(frames) / atoms
    return share


def charge_per_atom(frames: Sequence[Frame], sign: Literal[1, -1]) -> Vector:
    """(frames,) positive, or negative, elementary charges per atom; 0 for frames of the other sign."""
    return np.array([max(sign * frame.charge, 0) / frame.num_atoms for frame in frames])


def per_atom(frame: Frame, E0: Mapping[int, float]) -> float:
    """Energy per atom relative to E0, eV; NaN where the frame has none."""
    if frame.energy is None:
        return float("nan")
    return (frame.energy - sum(E0[int(z)] for z in frame.Z)) / frame.num_atoms


def all_electron_energies(Z: NDArray[np.int64]) -> Vector:
    """Total energies of free atoms with all their electrons, eV, to some percent.

    Thomas-Fermi theory with the corrections of Scott and Schwinger: Englert and Schwinger, Phys. Rev. A 29,
    2331 (1984).
    """
    z = Z.astype(np.float64)
    atoms = -0.768745 * z ** (7 / 3) + 0.5 * z**2 - 0.269900 * z ** (5 / 3)
    energies: Vector = HARTREE * np.where(Z == 1, -0.5, atoms)
    return energies


def element_names(elements: Iterable[int]) -> str:
    """Symbols, separated by commas."""
    return ", ".join(symbols(elements))
