"""The structures that are compared: awkward cells, molecules, a close pair, a lone atom."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule


def structure(name: str) -> Atoms:
    """A structure by name; elements H, C, O, Fe."""
    return {
        "crystal": _crystal,
        "primitive": _primitive,
        "slab": _slab,
        "wire": _wire,
        "molecule": _molecule,
        "dimer": lambda: Atoms("FeO", [[0.3, 0.2, 0.1], [0.3 + 0.36, 0.2 - 0.48, 0.1]]),  # 0.6 Å
        "atom": lambda: Atoms("Fe", [[1.0, -2.0, 3.0]]),
        "water": lambda: _rotated(molecule("H2O"), seed=4),
        "rocksalt": _rocksalt,
    }[name]()


def _crystal() -> Atoms:
    """Four elements in a triclinic cell with angles far from right, one atom outside the cell."""
    cell = np.array([[3.9, 0.1, -0.2], [3.1, 2.9, 0.3], [-1.8, 1.2, 3.7]])
    fractional = [[0.03, 0.05, 0.02], [0.52, 0.47, 0.11], [0.12, 0.56, 0.51], [1.58, -0.92, 0.57]]
    return Atoms("FeOCH", scaled_positions=fractional, cell=cell, pbc=True)


def _primitive() -> Atoms:
    """One atom whose only neighbours are its own images, under strain."""
    atoms = bulk("Fe", "fcc", a=3.5)
    strain = np.array([[1.02, 0.03, 0.0], [0.03, 0.97, -0.02], [0.0, -0.02, 1.01]])
    atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    return atoms


def _slab() -> Atoms:
    """Two periodic axes; the third lattice vector is neither long nor orthogonal."""
    atoms = fcc111("Fe", (1, 1, 3), a=3.6)
    atoms += Atoms("CO", [[0.3, 0.2, 6.1], [0.4, 0.3, 7.25]])
    cell = atoms.cell.array.copy()
    cell[2] = [0.7, -0.4, 2.0]
    atoms.set_cell(cell, scale_atoms=False)
    atoms.pbc = (True, True, False)
    return _rattled(atoms, seed=1)


def _wire() -> Atoms:
    """One periodic axis, the second one, and no lattice vectors along the others."""
    atoms = Atoms("CHO", [[0.0, 0.0, 0.0], [1.1, 0.3, 0.2], [-0.5, 0.6, 1.1]])
    atoms.set_cell([[0.0, 0.0, 0.0], [0.4, 2.6, 0.3], [0.0, 0.0, 0.0]])
    atoms.pbc = (False, True, False)
    return atoms


def _molecule() -> Atoms:
    return _rattled(_rotated(molecule("CH3CH2OH"), seed=2), seed=3)


def _rocksalt() -> Atoms:
    return _rattled(bulk("MgO", "rocksalt", a=4.2), seed=5)


def _rattled(atoms: Atoms, seed: int) -> Atoms:
    atoms.positions += np.random.default_rng(seed).normal(scale=0.05, size=atoms.positions.shape)
    return atoms


def _rotated(atoms: Atoms, seed: int) -> Atoms:
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    atoms.positions = atoms.positions @ Q.T
    return atoms
