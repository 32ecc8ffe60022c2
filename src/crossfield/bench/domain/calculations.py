"""Calculations that several benchmarks share. An item that two of them have in common is calculated once."""

from __future__ import annotations

from ase import Atoms
from ase.calculators.calculator import Calculator

from crossfield.bench.domain.benchmark import Item, NotConverged, Values
from crossfield.simulate.relax import Relaxation, relax


def energies(item: Item, calculator: Calculator) -> Values:
    """Energies of the structures of an item as they are: `{role: eV}`."""
    found: dict[str, float] = {}
    for role, atoms in item.structures.items():
        copy = atoms.copy()
        copy.calc = calculator
        found[role] = float(copy.get_potential_energy())
    return found


def relaxed(
    atoms: Atoms,
    calculator: Calculator,
    *,
    fmax: float,
    steps: int,
    name: str,
    cell: bool = False,
    optimiser: str = "lbfgs",
) -> Relaxation:
    """A relaxed copy of a structure.

    Args:
        atoms: the structure.
        calculator: of forces, and of stress where the cell is relaxed.
        fmax: largest force at the end, eV/Å.
        steps: at most this many.
        name: of the structure, for the message.
        cell: also relax the cell.
        optimiser: as in `crossfield.simulate.relax`.

    Raises:
        NotConverged: forces were still larger after all steps.
    """
    copy = atoms.copy()
    copy.calc = calculator
    found = relax(copy, fmax=fmax, steps=steps, cell=cell, optimiser=optimiser)
    if not found.converged:
        raise NotConverged(f"{name}: largest force {found.max_force:.3g} eV/Å after {found.steps} steps")
    return found
