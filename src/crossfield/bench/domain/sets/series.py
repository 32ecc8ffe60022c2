"""Energies and forces of many structures, together where the calculator is one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from crossfield import simulate


class Point(NamedTuple):
    """One structure of a series."""

    energy: float  # eV
    forces: NDArray[np.float64]  # (N, 3) eV/Å


def evaluate(structures: Sequence[Atoms], calculator: Calculator) -> list[Point]:
    """Energy and forces of each structure, in order.

    On a few atoms, most of the time of an evaluation does not depend on their number: potentials of ours
    evaluate batches, which takes a small part of the time and gives the same numbers but for rounding.
    """
    if isinstance(calculator, simulate.Calculator):
        results = calculator.potential.predict(structures, head=calculator.head, stress=False)
        return [Point(float(r.energy), np.asarray(r.forces, dtype=float)) for r in results]
    found = []
    for atoms in structures:
        copy = atoms.copy()
        copy.calc = calculator
        found.append(Point(float(copy.get_potential_energy()), np.asarray(copy.get_forces(), dtype=float)))
    return found
