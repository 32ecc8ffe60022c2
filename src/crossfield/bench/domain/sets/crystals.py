"""Crystals of a lattice type and constants, their relaxation, and free atoms: two benchmarks share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers, ground_state_magnetic_moments
from ase.filters import FrechetCellFilter
from ase.optimize import LBFGS

from crossfield.bench.domain.benchmark import Item, NotConverged, Values
from crossfield.bench.domain.calculations import attached, energies
from crossfield.bench.domain.sets.reading import json_of
from crossfield.bench.domain.sources import Place
from crossfield.errors import InputError

# conventional constant over the length of the first vector of the primitive cell
CUBIC = {
    "fcc": np.sqrt(2.0),
    "bcc": 2.0 / np.sqrt(3.0),
    "diamond": np.sqrt(2.0),
    "rocksalt": np.sqrt(2.0),
    "zincblende": np.sqrt(2.0),
}
WURTZITE = "2H-SiC"
RELAXATION: Mapping[str, float | int] = {"fmax": 0.001, "steps": 500}  # eV/Å
BOX = 30.0  # Å, edge of the periodic cube around a free atom


class Constants(NamedTuple):
    """Constants of a conventional cell, Å; c where it is hexagonal."""

    a: float
    c: float | None = None


def crystal_item(name: str, kind: str, constants: Constants) -> Item:
    """The relaxation of a crystal, begun at its constants."""
    return Item(name, {"crystal": build(name, kind, constants)}, {"kind": kind, **RELAXATION}, quick=True)


def atom_item(symbol: str) -> Item:
    """A free atom in its ground state, in a cube that is periodic because some calculators need one."""
    atom = Atoms(symbol, positions=[(BOX / 2, BOX / 2, BOX / 2)], cell=[BOX] * 3, pbc=True)
    unpaired = round(ground_state_magnetic_moments[atomic_numbers[symbol]])
    atom.info["spin"] = 1 + unpaired
    return Item(f"{symbol} atom", {"atom": atom}, quick=True)


def build(name: str, kind: str, constants: Constants) -> Atoms:
    """The primitive cell of a crystal.

    Args:
        name: formula; two elements in the order of their sites.
        kind: "fcc", "bcc", "diamond", "rocksalt", "zincblende", or "2H-SiC" (wurtzite).
        constants: of the conventional cell.

    Raises:
        InputError: unknown kind, or no c for a hexagonal crystal.
    """
    a, c = constants
    if kind in CUBIC:
        return bulk(name, kind, a=a)
    if kind != WURTZITE:
        raise InputError(f"{name}: unknown lattice type {kind!r}")
    if c is None:
        raise InputError(f"{name}: a hexagonal crystal needs the constant c")
    sites = [(1 / 3, 2 / 3, 0.0), (2 / 3, 1 / 3, 0.5), (1 / 3, 2 / 3, 3 / 8), (2 / 3, 1 / 3, 7 / 8)]
    cell = [(a, 0, 0), (-a / 2, a * np.sqrt(3.0) / 2, 0), (0, 0, c)]
    return Atoms(["C", "C", "Si", "Si"], scaled_positions=sites, cell=cell, pbc=True)


def calculate(item: Item, calculator: Calculator) -> Values:
    """A relaxed crystal (energy in eV per atom; a, and c if hexagonal, in Å), or the energy of a free atom.

    The symmetry is kept: cubic crystals, whose atoms have no freedom, are only scaled. Forces are taken to
    1e-3 eV/Å, far below what is usual, because the relaxation begins at the measured constants, and one that
    ends early would look better than it is.

    Raises:
        NotConverged: forces or stress are still larger after all steps.
    """
    if "atom" in item.structures:
        return {"energy": energies(item, calculator)["atom"]}
    kind, fmax, steps = (item.settings[key] for key in ("kind", "fmax", "steps"))
    crystal = attached(item.structures["crystal"], calculator)
    runner = LBFGS(FrechetCellFilter(crystal, hydrostatic_strain=kind in CUBIC), logfile=None)
    if not runner.run(fmax=fmax, steps=steps):
        stress = np.abs(crystal.get_stress()).max()
        raise NotConverged(f"largest stress {stress:.2g} eV/Å³ after {runner.nsteps} steps")
    lengths = crystal.cell.lengths()
    found = {"energy": float(crystal.get_potential_energy()) / len(crystal)}
    if kind in CUBIC:
        return {**found, "a": float(lengths[0] * CUBIC[kind])}
    return {**found, "a": float(lengths[0]), "c": float(lengths[2])}


def read_types(place: Place) -> dict[str, str]:
    """Lattice types by name of the crystal, of the set of lattice constants.

    Raises:
        InputError: the file is missing or damaged, or a name occurs twice.
    """
    path = place / "lattice_constants_ref_types.json"
    types: dict[str, str] = {}
    for name, kind in _table(path).items():
        if not isinstance(kind, str):
            raise InputError(f"{name}: the lattice type is {kind!r}, which is no word", file=path.name)
        types[name] = kind
    return types


def read_numbers(path: Place) -> dict[str, float]:
    """Positive numbers by name.

    Raises:
        InputError: the file is missing or damaged, a name occurs twice, or a value is no positive number.
    """
    numbers: dict[str, float] = {}
    for name, value in _table(path).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < np.inf:
            raise InputError(f"{name}: {value!r} is no positive number", file=path.name)
        numbers[name] = float(value)
    return numbers


def constants_of(name: str, kind: str, numbers: Mapping[str, float]) -> Constants:
    """The constants of a crystal in a table; hexagonal ones stand there as "SiC(a)" and "SiC(c)".

    Raises:
        InputError: the table does not have them.
    """
    keys = [name] if kind in CUBIC else [f"{name}(a)", f"{name}(c)"]
    for key in keys:
        if key not in numbers:
            raise InputError(f"the table of lattice constants has no {key}")
    return Constants(*(numbers[key] for key in keys))


def _table(path: Place) -> dict[str, object]:
    """What a file says of each name."""
    values = json_of(path)
    if not isinstance(values, dict):
        raise InputError("holds no table of names and values", file=path.name)
    return values
