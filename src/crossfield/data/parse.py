"""From the text of one frame to atoms, labels and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from crossfield.data import extxyz, geometry, labels, names
from crossfield.data.frame import Frame
from crossfield.data.source import Keys, Source
from crossfield.errors import InputError
from crossfield.theory import Theory, check_parity

NO_LABEL = "no energy, forces or stress"
NO_THEORY = Theory(name="", charge="e", spin="2S+1")  # whose rules hold where none will be asked


class Structure(NamedTuple):
    """Atoms and cell of a frame, and the rows from which columns are read."""

    Z: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: geometry.Cell
    shortest: geometry.Shortest
    fields: list[list[str]]
    columns: dict[str, extxyz.Column]


class Found(NamedTuple):
    """A frame that can be used."""

    frame: Frame
    isolated: bool
    shortest: geometry.Shortest


class Aside(Exception):
    """A frame that is no error, but not used."""


def labelled(
    raw: extxyz.RawFrame, info: Mapping[str, str], file: str, source: Source, theory: Theory
) -> Found:
    """A frame with its labels.

    Args:
        raw: as it stands in the file.
        info: of its comment line.
        file: name of the file.
        source: keys, and what to leave out.
        theory: of the labels.

    Raises:
        InputError: anything wrong with it.
        Aside: it has no label to learn.
    """
    keys = source.keys
    declared = names.check_units(info)
    names.check_weights_read(info, keys)
    structure = structure_of(raw, info)
    isolated = _is_isolated(info, structure)
    charge, spin = charge_and_spin(info, structure.Z, theory, keys, isolated=isolated)
    if isolated and charge != 0:
        if theory.charge == "ignored":
            raise InputError(
                f"an isolated atom must be neutral to be a reference, its charge is {charge}, which theory "
                f"{theory.name} ignores"
            )
        isolated = False  # an ion to learn, from which no E0 follows
    energy = _energy(info, keys)
    forces = _forces(structure, keys)
    stress = _stress(info, structure.cell, keys, declared="stress" in declared)
    if not {chemical_symbols[z] for z in structure.Z}.isdisjoint(source.stress_not_for):
        stress = None  # read and checked like any other, but not to be learnt
    if energy is None and (isolated or (forces is None and stress is None)):
        raise Aside("an isolated atom without an energy" if isolated else NO_LABEL)
    frame = Frame(
        Z=structure.Z,
        positions=structure.positions,
        cell=structure.cell.vectors,
        pbc=structure.cell.pbc,
        theory=theory.name,
        charge=charge,
        spin=spin,
        energy=energy,
        forces=forces,
        stress=stress,
        group=text_of(info, keys.group) or reduced_formula(structure.Z),
        domain=text_of(info, keys.domain) or source.domain or "",
        weights=labels.read_weights(info, keys),
        file=file,
        index=raw.index,
        inputs=labels.read_inputs(info, theory, keys),
    )
    return Found(frame, isolated, structure.shortest)


def structure_of(raw: extxyz.RawFrame, info: Mapping[str, str]) -> Structure:
    """Atoms and cell of a frame.

    Raises:
        InputError: anything wrong with them.
    """
    other = next((key for key in info if key.lower() == "properties" and key != "Properties"), None)
    if other is not None:
        raise InputError(f"{other!r} is not read: extended XYZ calls it 'Properties'")
    columns = extxyz.parse_properties(info.get("Properties", "species:S:1:pos:R:3"))
    fields = extxyz.split_rows(raw.rows, columns)
    Z = extxyz.species(fields, columns)
    positions = extxyz.real_column(fields, columns["pos"], "positions")
    cell = geometry.read_cell(info)
    shortest = geometry.check_positions(Z, positions, cell)
    return Structure(Z, positions, cell, shortest, fields, columns)


def _is_isolated(info: Mapping[str, str], structure: Structure) -> bool:
    kind = "".join(c for c in info.get("config_type", "").lower() if c.isalpha())
    if kind != "isolatedatom":
        return False
    if len(structure.Z) != 1:
        raise InputError(f"config_type is IsolatedAtom, but there are {len(structure.Z)} atoms")
    if structure.cell.pbc.any():
        raise InputError('config_type is IsolatedAtom, but the frame is periodic; write pbc="F F F"')
    return True


def charge_and_spin(
    info: Mapping[str, str], Z: NDArray[np.int64], theory: Theory | None, keys: Keys, *, isolated: bool
) -> tuple[int, int]:
    """Charge and multiplicity of a frame, by the rules of a theory; without one, both are optional.

    Raises:
        InputError: one that the theory needs is missing, or that these electrons cannot have.
    """
    charge_text, spin_text = info.get(keys.charge or ""), info.get(keys.spin or "")
    # without a theory both are optional, and a spin is only checked where the frame states it
    rules = theory or NO_THEORY
    if charge_text is None and rules.charge != "ignored":
        names.check_not_elsewhere("charge", info, keys)
    if spin_text is None and rules.spin != "ignored":
        names.check_not_elsewhere("spin", info, keys)
    charge = labels.read_charge(charge_text, rules, isolated=isolated)
    spin = labels.read_spin(spin_text, rules, isolated=isolated)
    if rules.spin != "ignored" and (theory is not None or spin_text is not None):
        check_parity(int(Z.sum()), charge, spin)
    return charge, spin


def _energy(info: Mapping[str, str], keys: Keys) -> float | None:
    if keys.energy is None:
        return None
    if keys.energy not in info:
        names.check_not_elsewhere("energy", info, keys)
        return None
    return labels.read_energy(info[keys.energy])


def _forces(structure: Structure, keys: Keys) -> NDArray[np.float64] | None:
    if keys.forces is None:
        return None
    column = structure.columns.get(keys.forces)
    if column is None:
        names.check_not_elsewhere("forces", structure.columns, keys)
        return None
    if (column.kind, column.width) != ("R", 3):
        raise InputError(f"the column {keys.forces} must be {keys.forces}:R:3")
    forces = extxyz.real_column(structure.fields, column, "forces")
    labels.check_forces(forces)
    return forces


def _stress(
    info: Mapping[str, str], cell: geometry.Cell, keys: Keys, *, declared: bool
) -> NDArray[np.float64] | None:
    periodic = bool(cell.pbc.all())
    key = next((k for k in (keys.stress, keys.virial) if k is not None and k in info), None)
    if key is None:
        if periodic:
            names.check_not_elsewhere("stress", info, keys)
        return None
    if not periodic:
        raise InputError(f"{key} is given, but a structure without three periodic axes has none")
    if key == keys.stress:
        return labels.read_stress(info[key], declared=declared)
    virial = labels.read_stress(info[key], declared=True, what="virial")
    stress: NDArray[np.float64] = -virial / float(np.linalg.det(cell.vectors))
    return stress


def reduced_formula(Z: NDArray[np.int64]) -> str:
    """Formula divided by the common factor of its counts, by atomic number: "HO" for hydrogen peroxide."""
    elements, counts = np.unique(Z, return_counts=True)
    common = math.gcd(*(int(n) for n in counts))
    parts = ((chemical_symbols[z], int(n) // common) for z, n in zip(elements, counts, strict=True))
    return "".join(symbol + (str(n) if n > 1 else "") for symbol, n in parts)


def text_of(info: Mapping[str, str], key: str | None) -> str:
    """A word of the comment line; empty where there is none."""
    return "" if key is None else info.get(key, "").strip()
