"""PDB files of a ligand beside protein, with charges in remarks, as Kříž and Řezáč published them."""

from __future__ import annotations

from collections.abc import Mapping

from ase import Atoms
from ase.data import atomic_numbers

from crossfield.bench.domain.sets.reading import number, text
from crossfield.bench.domain.sources import Place
from crossfield.errors import InputError

LIGAND = "unk"  # name of its residue
CHARGES = {"complex": "charge", "protein": "charge_a", "ligand": "charge_b"}  # remarks


def references(place: Place) -> Mapping[str, float]:
    """Interaction energies by the second column of a table with two lines of header, kcal/mol.

    Raises:
        InputError: a line is malformed, or a name occurs twice.
    """
    found: dict[str, float] = {}
    for line in text(place).splitlines()[2:]:
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or not words[0].isdigit():
            raise InputError(f"{line.strip()[:60]!r} is not number, name and energy", file=str(place))
        if words[1] in found:
            raise InputError(f"{words[1]} occurs twice", file=str(place))
        found[words[1]] = number(words[2], place)
    return found


def complex_of(place: Place) -> dict[str, Atoms]:
    """Complex, protein and ligand of a file, with `info["charge"]`.

    Raises:
        InputError: there is no such file, or it is malformed.
    """
    remarks: dict[str, str] = {}
    symbols: list[str] = []
    positions: list[list[float]] = []
    of_ligand: list[bool] = []
    for line in text(place).splitlines():
        record = line[:6].strip()
        if record == "REMARK":
            key, _, value = line[6:].strip().partition(" ")
            remarks[key] = value.strip()
        elif record in ("ATOM", "HETATM"):
            symbols.append(_element(line, place))
            positions.append([number(line[i : i + 8].strip(), place) for i in (30, 38, 46)])
            of_ligand.append(line[17:20].strip().lower() == LIGAND)
    if all(of_ligand) or not any(of_ligand):
        raise InputError(f"does not hold both protein and a residue {LIGAND!r}", file=str(place))
    whole = Atoms(symbols, positions=positions)
    protein = [i for i, ligand in enumerate(of_ligand) if not ligand]
    ligand = [i for i, ligand in enumerate(of_ligand) if ligand]
    structures = {"complex": whole, "protein": whole[protein], "ligand": whole[ligand]}
    for role, key in CHARGES.items():
        structures[role].info["charge"] = _charge(remarks, key, place)
    return structures


def _element(line: str, place: Place) -> str:
    """From its column where it is filled in; else from the name of the atom.

    The element is right-justified in the first two columns of the name, but names of hydrogen with four
    letters begin there, too.
    """
    stated = line[76:78].strip()
    name = line[12:16]
    symbol = stated or ("H" if name[0] == "H" else name[:2].strip())
    symbol = symbol.capitalize()
    if symbol not in atomic_numbers or symbol == "X":
        raise InputError(f"atom {name.strip()!r} is of no known element", file=str(place))
    return symbol


def _charge(remarks: Mapping[str, str], key: str, place: Place) -> int:
    if key not in remarks:
        raise InputError(f"has no REMARK {key}", file=str(place))
    value = number(remarks[key], place)
    if value != round(value):
        raise InputError(f"{key} {value:g} is no whole number", file=str(place))
    return round(value)
