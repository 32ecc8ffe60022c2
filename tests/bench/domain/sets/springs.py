"""Crystals of springs between nearest neighbours, whose properties are known by hand.

With stiffness k, length r and depth e of every bond, a face-centred cubic crystal of constant a = √2 r has
the cohesive energy 6 e per atom, a vacancy costs 6 e, C11 = 2 k / a and C12 = C44 = k / a, and the highest
frequency is √(8 k / m), at X.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress

STIFFNESS = 2.0  # eV/Å²
DEPTH = 0.5  # eV
REACH = 1.13  # of the length: beyond the nearest neighbours of fcc and bcc, short of the next


class Springs(Calculator):  # type: ignore[misc]  # ASE has no types
    """Energy ½ k (d - r)² - e of every pair closer than the reach.

    Args:
        lengths: r by pair of elements, Å; other pairs do not interact.
        stiffness: k, eV/Å².
        depth: e, eV.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(
        self, lengths: Mapping[str, float], stiffness: float = STIFFNESS, depth: float = DEPTH
    ) -> None:
        super().__init__()
        self.lengths = {tuple(pair.split("-")): length for pair, length in lengths.items()}
        self.stiffness, self.depth = stiffness, depth

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        energy, forces, virial = 0.0, np.zeros((len(self.atoms), 3)), np.zeros((3, 3))
        for pair, length in self.lengths.items():
            i, d, vectors = neighbor_list("idD", self.atoms, {pair: REACH * length})
            energy += 0.5 * float((0.5 * self.stiffness * (d - length) ** 2 - self.depth).sum())
            pulls = self.stiffness * (d - length)[:, None] * vectors / d[:, None]
            np.add.at(forces, i, pulls)
            virial += 0.5 * vectors.T @ pulls
        self.results = {"energy": energy, "forces": forces}
        if self.atoms.pbc.all():
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial / self.atoms.get_volume())
