"""Phonons of a crystal from the forces on displaced supercells, by phonopy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

SYMMETRY = 1e-5  # Å, within which atoms are equivalent, as in the reference
PATH_POINTS = 101  # along the longest stretch of the path, the others in proportion
MESH = (20, 20, 20)  # q-points of thermal averages
SLOWEST = 0.01  # THz; slower modes, translations and imaginary ones, are left out of thermal averages


class Cells(NamedTuple):
    """Which cells are used, and which displacements."""

    supercell: Sequence[Sequence[int]]  # (3, 3), in unit cells
    primitive: Sequence[Sequence[float]]  # (3, 3), in unit cells
    atoms: Sequence[int]  # (D) displaced atom of the supercell
    displacements: Sequence[Sequence[float]]  # (D, 3) Å


class Phonons(NamedTuple):
    """What follows from the force constants."""

    frequencies: NDArray[np.float64]  # (points of the path, branches) THz; imaginary ones negative
    entropy: float  # J/mol/K, as all thermal averages per mole of primitive cells
    free_energy: float  # kJ/mol
    heat_capacity: float  # J/mol/K


def supercells(crystal: Atoms, cells: Cells) -> list[Atoms]:
    """The supercell without displacement, and then with each."""
    perfect = _atoms(_phonopy(crystal, cells, symmetry=False))
    found = [perfect]
    for atom, displacement in zip(cells.atoms, cells.displacements, strict=True):
        moved = perfect.copy()
        moved.positions[atom] += displacement
        found.append(moved)
    return found


def phonons(
    crystal: Atoms, cells: Cells, forces: NDArray[np.float64], *, path_of: Atoms, temperature: float
) -> Phonons:
    """Phonons along the path of seekpath, and thermal averages.

    Args:
        crystal: the unit cell.
        cells: as displaced.
        forces: (D, atoms of the supercell, 3) eV/Å.
        path_of: crystal that the path is chosen for, in the same cell; so that two can be compared.
        temperature: of thermal averages, K.
    """
    from phonopy.phonon.band_structure import get_band_qpoints_by_seekpath

    phonon = _phonopy(crystal, cells, symmetry=True)
    phonon.dataset = {
        "natom": len(phonon.supercell),
        "first_atoms": [
            {"number": atom, "displacement": np.array(displacement), "forces": own}
            for atom, displacement, own in zip(cells.atoms, cells.displacements, forces, strict=True)
        ],
    }
    phonon.produce_force_constants(show_drift=False)
    phonon.symmetrize_force_constants(show_drift=False)
    primitive = _phonopy(path_of, cells, symmetry=False).primitive
    path, _, _ = get_band_qpoints_by_seekpath(primitive, PATH_POINTS, is_const_interval=True)
    phonon.run_qpoints(np.concatenate(path))
    bands = np.asarray(phonon.qpoints.frequencies)
    phonon.run_mesh(MESH, is_gamma_center=True)  # a shifted mesh would lack the symmetry of most crystals
    phonon.run_thermal_properties(temperatures=[temperature], cutoff_frequency=SLOWEST)
    _, free_energy, entropy, heat_capacity = phonon.thermal_properties.thermal_properties
    return Phonons(bands, float(entropy[0]), float(free_energy[0]), float(heat_capacity[0]))


def _phonopy(crystal: Atoms, cells: Cells, *, symmetry: bool) -> Any:
    """A calculation of phonopy; symmetry takes long to find, and is needed for force constants alone."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    unit = PhonopyAtoms(crystal.get_chemical_symbols(), cell=crystal.cell.array, positions=crystal.positions)
    return Phonopy(
        unit,
        cells.supercell,
        primitive_matrix=cells.primitive,
        symprec=SYMMETRY,
        is_symmetry=symmetry,
    )


def _atoms(phonon: Any) -> Atoms:
    cell = phonon.supercell
    return Atoms(cell.symbols, positions=cell.positions, cell=cell.cell, pbc=True)
