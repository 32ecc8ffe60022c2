"""Calculations that several benchmarks share. An item that two of them have in common is calculated once."""

from __future__ import annotations

from ase import Atoms, units
from ase.calculators.calculator import Calculator

from crossfield.bench.domain.benchmark import Item, NotConverged, Values
from crossfield.simulate.relax import Relaxation, relax


def attached(atoms: Atoms, calculator: Calculator) -> Atoms:
    """A copy of a structure with a calculator that has forgotten what it did before.

    ASE takes a structure for the one before when elements, positions and cell are the same, and does not
    compare `info`: an ion would get the energy of its atom.
    """
    _forget(calculator)
    copy = atoms.copy()
    copy.calc = calculator
    return copy


def _forget(calculator: Calculator) -> None:
    for part in getattr(getattr(calculator, "mixer", None), "calcs", ()):  # of a sum
        _forget(part)
    if hasattr(calculator, "reset"):
        calculator.reset()
    elif hasattr(calculator, "results"):
        calculator.atoms, calculator.results = None, {}


def energies(item: Item, calculator: Calculator) -> Values:
    """Energies of the structures of an item as they are: `{role: eV}`."""
    return {
        role: float(attached(atoms, calculator).get_potential_energy())
        for role, atoms in item.structures.items()
    }


def density(atoms: Atoms) -> float:
    """Density of a crystal or a liquid, g/cm³."""
    return float(atoms.get_masses().sum() / (1e-3 * units.kg) / (atoms.get_volume() / (1e-2 * units.m) ** 3))


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
    found = relax(attached(atoms, calculator), fmax=fmax, steps=steps, cell=cell, optimiser=optimiser)
    if not found.converged:
        raise NotConverged(f"{name}: largest force {found.max_force:.3g} eV/Å after {found.steps} steps")
    return found
