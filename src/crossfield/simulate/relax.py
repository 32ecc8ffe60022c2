"""Relaxation of positions and cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE, LBFGS

from crossfield.errors import InputError

OPTIMISERS = {"lbfgs": LBFGS, "fire": FIRE}


@dataclass(frozen=True)
class Relaxation:
    """How a relaxation ended."""

    atoms: Atoms  # relaxed, with the calculator attached
    converged: bool
    steps: int
    energy: float  # eV
    max_force: float  # eV/Å, largest force on an atom
    volume_change: float  # relative; 0 where the cell was kept


def relax(
    atoms: Atoms, *, fmax: float = 0.01, steps: int = 500, cell: bool = False, optimiser: str = "lbfgs"
) -> Relaxation:
    """Relax a copy of a structure that has a calculator.

    Args:
        atoms: the structure.
        fmax: largest force on an atom at the end, eV/Å (and stress in the units of the cell filter).
        steps: at most this many.
        cell: also relax the cell; needs three periodic axes.
        optimiser: "lbfgs" or "fire".

    Raises:
        InputError: unknown optimiser, or a cell to relax without three periodic axes.
    """
    if optimiser not in OPTIMISERS:
        raise InputError(f"unknown optimiser {optimiser!r} (there are: {', '.join(OPTIMISERS)})")
    if cell and not atoms.pbc.all():
        raise InputError("a cell can be relaxed only with three periodic axes")
    relaxed = atoms.copy()
    relaxed.calc = atoms.calc
    target = FrechetCellFilter(relaxed) if cell else relaxed
    runner = OPTIMISERS[optimiser](target, logfile=None)
    converged = bool(runner.run(fmax=fmax, steps=steps))
    volume = relaxed.get_volume() / atoms.get_volume() - 1.0 if cell else 0.0
    return Relaxation(
        atoms=relaxed,
        converged=converged,
        steps=runner.nsteps,
        energy=float(relaxed.get_potential_energy()),
        max_force=float(np.linalg.norm(relaxed.get_forces(), axis=1).max()),
        volume_change=volume,
    )
