"""A pair potential into which faults can be put, and a small potential of random weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

from crossfield import simulate
from crossfield.inference.potential import Potential
from tests.structures import small_model

Curve = Callable[
    [np.ndarray], tuple[np.ndarray, np.ndarray]
]  # energy (eV) and its slope (eV/Å) over distance


class Pairs(Calculator):  # type: ignore[misc]  # ASE has no types
    """A curve between all atoms closer than a cutoff; without one, a smooth well that ends at 5 Å.

    Args:
        curve: energy and slope.
        cutoff: Å.
        leaning: eV/Å²; times dz² of each pair, so that energy is not invariant.
        crowded: eV; times the square of the number of atoms, so that it is not extensive.
        pushed: eV/Å; every atom pushes every other one along x, however far.
        rising: eV by which the energy per atom grows with every evaluation.
        swirling: eV/Å²; a force around the z axis, of no energy.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, curve: Curve | None = None, cutoff: float = 5.0, **faults: float) -> None:
        super().__init__()
        self.curve, self.cutoff, self.faults = curve or smooth_well, cutoff, faults
        self.evaluations = 0

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        self.evaluations += 1
        count, fault = len(self.atoms), self.faults.get
        i, _, r, offset = neighbor_list("ijdD", self.atoms, self.cutoff)
        energy, slope = self.curve(r)
        forces = np.zeros((count, 3))
        np.add.at(forces, i, slope[:, None] * offset / r[:, None])
        lean = fault("leaning", 0.0)
        np.add.at(forces[:, 2], i, 2.0 * lean * offset[:, 2])
        forces[:, 0] += fault("pushed", 0.0) * (count - 1)
        x, y, _ = self.atoms.positions.T
        forces[:, 0] -= fault("swirling", 0.0) * y
        forces[:, 1] += fault("swirling", 0.0) * x
        total = 0.5 * float(energy.sum() + lean * (offset[:, 2] ** 2).sum())
        total += fault("crowded", 0.0) * count**2 + fault("rising", 0.0) * count * self.evaluations
        self.results = {"energy": total, "forces": forces}


def smooth_well(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-(1 - r²/25)⁵, with four derivatives that vanish at 5 Å, less its inner part that pushes."""
    u = 1.0 - r**2 / 25.0
    return 4.0 * u**8 - u**5, (-64.0 * u**7 + 10.0 * u**4) * r / 25.0


def morse(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A well of 2 eV at 1.5 Å."""
    e = np.exp(-2.0 * (r - 1.5))
    return 2.0 * (e**2 - 2.0 * e), -8.0 * (e**2 - e)


def damaged(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """No numbers."""
    return r * math.nan, r * math.nan


def random_weights() -> simulate.Calculator:
    """A small model of ours, cutoff 4.5 Å, two layers."""
    return simulate.Calculator(Potential(small_model(), "head0", table_accuracy=None))
