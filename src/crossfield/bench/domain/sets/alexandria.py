"""Phonons of the Alexandria database as they are published: a file of phonopy per crystal, with forces."""

from __future__ import annotations

import bz2
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import yaml
from ase import Atoms
from numpy.typing import NDArray

from crossfield.bench.domain.sets.reading import children
from crossfield.bench.domain.sources import Place
from crossfield.errors import InputError

TEMPERATURE = 300.0  # K
ENDINGS = (".yaml.bz2", ".yaml")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is many times as fast


class Thermal(NamedTuple):
    """Harmonic averages at 300 K, per mole of primitive cells."""

    entropy: float  # J/mol/K
    free_energy: float  # kJ/mol
    heat_capacity: float  # J/mol/K


class Published(NamedTuple):
    """A crystal with the forces on displaced supercells."""

    crystal: Atoms  # the unit cell, relaxed by DFT
    supercell: list[list[int]]  # (3, 3), in unit cells
    primitive: list[list[float]]  # (3, 3), in unit cells
    atoms: list[int]  # (D) displaced atom of the supercell, from 0
    displacements: list[list[float]]  # (D, 3) Å
    forces: NDArray[np.float64]  # (D, atoms of the supercell, 3) eV/Å
    thermal: Thermal


def files(folder: Place) -> Iterator[tuple[str, Place]]:
    """Names of crystals ("mp-149") and their files, in the order of a listing of the directory."""
    found: dict[str, Place] = {}
    for path in children(folder):
        ending = next((e for e in ENDINGS if path.name.startswith("mp-") and path.name.endswith(e)), None)
        if ending is not None:
            found.setdefault(path.name.removesuffix(ending), path)
    yield from sorted(found.items(), key=lambda pair: pair[0] + ".")


def read(path: Place) -> Published:
    """Read a file.

    Raises:
        InputError: it is damaged, something is missing, or shapes do not go together.
    """
    content = _content(path)
    try:
        supercell = _array(content["supercell_matrix"], (3, 3)).round().astype(int)
        primitive = _array(content["primitive_matrix"], (3, 3))
        crystal = _crystal(content["unit_cell"])
        count = round(abs(float(np.linalg.det(supercell)))) * len(crystal)
        rows = content["displacements"]
        if not rows:
            raise ValueError("has no displacements")
        atoms = [int(row["atom"]) - 1 for row in rows]
        displacements = _array([row["displacement"] for row in rows], (len(rows), 3))
        forces = _array([row["forces"] for row in rows], (len(rows), count, 3))
        thermal = _thermal(content)
    except (LookupError, TypeError, ValueError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{what}; is it a file of Alexandria's phonons?", file=path.name) from error
    if not all(0 <= atom < count for atom in atoms):
        raise InputError(f"displaces atoms beyond the {count} of the supercell", file=path.name)
    return Published(
        crystal, supercell.tolist(), primitive.tolist(), atoms, displacements.tolist(), forces, thermal
    )


def _content(path: Place) -> Mapping[str, Any]:
    try:
        data = path.read_bytes()
        content = yaml.load(bz2.decompress(data) if path.name.endswith(".bz2") else data, Loader=_LOADER)
    except (OSError, EOFError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"is damaged ({str(error).splitlines()[0]})", file=path.name) from error
    if not isinstance(content, Mapping):
        raise InputError("is no file of phonopy", file=path.name)
    return content


def _array(values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"an array of {array.shape} is not one of {shape}, or not finite")
    return array


def _crystal(cell: Mapping[str, Any]) -> Atoms:
    points = cell["points"]
    positions = _array([point["coordinates"] for point in points], (len(points), 3))
    lattice = _array(cell["lattice"], (3, 3))
    if abs(np.linalg.det(lattice)) < 1e-3:
        raise ValueError("the unit cell has no volume")
    return Atoms([str(p["symbol"]) for p in points], scaled_positions=positions, cell=lattice, pbc=True)


def _thermal(content: Mapping[str, Any]) -> Thermal:
    temperatures = np.asarray(content["temperatures"], dtype=float)
    (index,) = np.flatnonzero(np.isclose(temperatures, TEMPERATURE))
    keys = ("entropy", "free_e", "heat_capacity")
    return Thermal(*(float(_array(content[key], temperatures.shape)[index]) for key in keys))
