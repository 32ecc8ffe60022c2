"""Energies and forces of many structures, together where the calculator is one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from crossfield import simulate
from crossfield.bench.domain.calculations import attached
from crossfield.inference import Potential


class Point(NamedTuple):
    """One structure of a series."""

    energy: float  # eV
    forces: NDArray[np.float64]  # (N, 3) eV/Å


def evaluate(structures: Sequence[Atoms], calculator: Calculator, *, tables: bool = True) -> list[Point]:
    """Energy and forces of each structure, in order.

    On a few atoms, most of the time of an evaluation does not depend on their number: potentials of ours
    evaluate batches.

    Args:
        structures: with charge and spin in `info`.
        calculator: any.
        tables: whether potentials of ours take radial functions from tables, as users run them. Tables take
            longer to make than they save where few structures have the same elements.
    """
    if isinstance(calculator, simulate.Calculator):
        potential = calculator.potential if tables else _without_tables(calculator.potential)
        results = potential.predict(structures, head=calculator.head, stress=False)
        return [Point(float(r.energy), np.asarray(r.forces, dtype=float)) for r in results]
    found = []
    for atoms in structures:
        copy = attached(atoms, calculator)
        found.append(Point(float(copy.get_potential_energy()), np.asarray(copy.get_forces(), dtype=float)))
    return found


@lru_cache(maxsize=2)
def _without_tables(potential: Potential) -> Potential:
    return Potential(potential.model, potential.head, backend=potential.backend, table_accuracy=None)
