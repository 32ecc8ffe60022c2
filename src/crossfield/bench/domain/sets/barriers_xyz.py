"""Barrier sets that come as XYZ files with a table of references: BH9, CYCLO70, Criegee22, BH2O-36."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ase import units

from crossfield.bench.domain.benchmark import Inputs, Item, Reference
from crossfield.bench.domain.sets.barrier_heights import barrier_benchmark
from crossfield.bench.domain.sets.differences import UNITS
from crossfield.bench.domain.sets.reactions import barrier, located, molecule, with_quick
from crossfield.bench.domain.sets.reading import children, expect, json_of, number, structure, text
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

QUICK = 15  # smallest reactions of a set
# systems of BH2O-36 whose names in the table and in files differ
RENAMED = {
    "amide11": "amide_1_1",
    "amide12": "amide_1_2",
    "amide21": "amide_2_1",
    "amide22": "amide_2_2",
    "basicepoxide1": "basic_epoxide_1",
    "basicepoxide2": "basic_epoxide_2",
}


def bh9(sources: Sources) -> Inputs:
    """Transition states `01_02TS.xyz`, reactants `01_02R1.xyz`; references are numbered in their order."""
    folder = sources.open("bh9") / "BH9_SI"
    files = {place.name: place for place in children(folder / "XYZ_files")}
    tables = {place.name: place for place in children(folder / "DB_files" / "BH")}
    found = [m for name in files if (m := re.fullmatch(r"(\d+)_(\d+)TS\.xyz", name))]
    labels = [m[0].removesuffix("TS.xyz") for m in sorted(found, key=lambda m: (int(m[1]), int(m[2])))]
    count = sum(name.endswith("_forward.db") for name in tables)
    if count != len(labels):
        reason = (
            f"has {len(labels)} transition states and {count} references, which are paired by their order"
        )
        raise InputError(reason, file=str(folder))
    inputs = Inputs(context=[])
    for place, label in enumerate(labels, start=1):
        with inputs.reading(label), located(folder):
            table = tables.get(f"BH9-BH_{place}_forward.db", folder / f"BH9-BH_{place}_forward.db")
            reactants = [files[n] for n in files if re.fullmatch(rf"{label}R\d*\.xyz", n)]
            _add(
                inputs, label, _bh9_energy(table), _bh9(files[f"{label}TS.xyz"]), [_bh9(p) for p in reactants]
            )
    return _finished(inputs, 449)


def _bh9_energy(place: Place) -> float:
    """The number of the line "ref NUMBER", kcal/mol."""
    for line in text(place).splitlines():
        if len(words := line.split()) > 1 and "ref" in words[0]:
            return number(words[1], place)
    raise InputError("has no line with a reference", file=str(place))


def _bh9(place: Place) -> Item:
    """A molecule whose comment line is "charge multiplicity"."""
    comment = _comment(place)
    if re.fullmatch(r"-?\d+\s+\d+", comment) is None:
        raise InputError(f"has {comment[:40]!r} where charge and multiplicity should be", file=str(place))
    charge, spin = map(int, comment.split())
    with located(place):
        return molecule(place.name, structure(place, "xyz"), charge=charge, spin=spin)


def cyclo70(sources: Sources) -> Inputs:
    """A table of forward and reverse barriers; a folder for each reaction: `r*.xyz`, `TS*.xyz`, `p*.xyz`."""
    folder = sources.open("cyclo70")
    table = folder / "dlpno-ccsdt-34.dat"
    inputs = Inputs(context=[])
    for line in text(table).splitlines()[1:]:
        if not line.strip():
            break
        label, *words = line.split()
        with inputs.reading(label), located(table):
            if len(words) < 2:
                raise InputError(f"{label} has no two barriers", file=str(table))
            forward, reverse = (number(word, table) for word in words[:2])
            files = children(folder / "XYZ_CYCLO70" / label)
            reactants, tops, products = (
                [_cyclo70(label, p) for p in files if p.name.startswith(first) and p.name.endswith(".xyz")]
                for first in ("r", "TS", "p")
            )
            if len(tops) != 1:
                raise InputError(
                    f"has {len(tops)} transition states, and one is expected", file=str(files[0])
                )
            _add(inputs, f"{label} forward", forward, tops[0], reactants)
            _add(inputs, f"{label} reverse", reverse, tops[0], products)
    return _finished(inputs, 70, directions=2)


def _cyclo70(label: str, place: Place) -> Item:
    """A molecule whose comment line may have "charge=" and "mult="."""
    stated = dict(re.findall(r"\b(charge|mult)\s*=\s*(-?\d+)", _comment(place)))
    charge, spin = int(stated.get("charge", 0)), int(stated.get("mult", 1))
    with located(place):
        return molecule(f"{label}/{place.name}", structure(place, "xyz"), charge=charge, spin=spin)


def criegee22(sources: Sources) -> Inputs:
    """A table whose ninth column is the barrier in kJ/mol; `LABEL-reac.xyz`, `LABEL-TS.xyz`, all singlets."""
    folder = sources.open("criegee22")
    table = folder / "reference.txt"
    inputs = Inputs(context=[])
    for line in text(table).splitlines()[1:]:
        if not (words := line.split()):
            continue
        with inputs.reading(words[0]), located(table):
            if len(words) < 9:
                raise InputError(f"{words[0]} has no ninth column", file=str(table))
            energy = number(words[8], table) * UNITS["kJ/mol"] / UNITS["kcal/mol"]
            reactant, top = (folder / "structures" / f"{words[0]}-{end}.xyz" for end in ("reac", "TS"))
            _add(inputs, words[0], energy, _singlet(top), [_singlet(reactant)])
    return _finished(inputs, 22)


def _singlet(place: Place, charge: int = 0) -> Item:
    with located(place):
        return molecule(place.name, structure(place, "xyz"), charge=charge)


def bh2o36(sources: Sources) -> Inputs:
    """Energies of "SYSTEM_STATE_vacuum...", states rct, ts, pro; files `SYSTEM_STATE_..._CHARGE.xyz`."""
    folder = sources.open("bh2o36")
    table = folder / "mp2_super.json"
    listed = json_of(table)
    try:
        energies = {tuple(key.split("_")[:2]): float(v) for key, v in listed.items() if "vacuum" in key}
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError("has no energies by name", file=str(table)) from error
    files = children(folder / "molecules" / "for_sp")
    inputs = Inputs(context=[])
    for system in sorted({key[0] for key in energies}):
        with inputs.reading(system), located(table):
            items = {state: _bh2o36(system, state, files, folder) for state in ("rct", "ts", "pro")}
            for state, item in items.items():
                _check_total_energy(energies[system, state], item, table)
            for state, direction in (("rct", "forward"), ("pro", "reverse")):
                height = (energies[system, "ts"] - energies[system, state]) / UNITS["kcal/mol"]
                _add(inputs, f"{system} {direction}", height, items["ts"], [items[state]])
    return _finished(inputs, 18, directions=2)


def _bh2o36(system: str, state: str, files: Sequence[Place], folder: Place) -> Item:
    start = f"{RENAMED.get(system, system)}_{state}_"
    own = [place for place in files if place.name.startswith(start)]
    if len(own) != 1 or (match := re.search(r"_(-?\d+)\.xyz$", own[0].name)) is None:
        raise InputError(f"has {len(own)} files {start}..._CHARGE.xyz, and one is expected", file=str(folder))
    return _singlet(own[0], int(match[1]))


def _check_total_energy(energy: float, item: Item, place: Place) -> None:
    """Total energies in eV are near those of the atoms; the set does not state its unit.

    Energies of atoms by their expansion in Z (Schwinger, Phys. Rev. A 24, 2353 (1981)), hartree.
    """
    (atoms,) = item.structures.values()
    Z = atoms.numbers.astype(float)
    estimate = float((-0.7687 * Z ** (7 / 3) + 0.5 * Z**2 - 0.2699 * Z ** (5 / 3)).sum()) * units.Hartree
    if not 0.9 < energy / estimate < 1.1:
        raise InputError(f"the energy of {item.name}, {energy:g}, is no total energy in eV", file=str(place))


def _comment(place: Place) -> str:
    lines = text(place).splitlines()
    return lines[1].strip() if len(lines) > 1 else ""


def _add(found: Inputs, label: str, reference: float, top: Item, minima: Sequence[Item]) -> None:
    """Add a barrier, kcal/mol, and those of its molecules that are not there yet."""
    if any(reaction.name == label for reaction in found.context):
        raise InputError(f"{label} occurs twice in the set")
    reaction = barrier(label, reference, top, minima)
    known = {item.name for item in found.items}
    found.items += [item for item in (top, *minima) if item.name not in known]
    found.context.append(reaction)


def _finished(found: Inputs, reactions: int, *, directions: int = 1) -> Inputs:
    """With a quick part, and what is missing of so many reactions, each with barriers in some directions."""
    expect(found, reactions, len(found.context) // directions)
    found.items = with_quick(found.items, found.context, QUICK)
    return found


BENCHMARKS = (
    barrier_benchmark(
        "barriers_bh9",
        "Barriers: BH9",
        "Single points of reactants and transition states of 449 organic reactions of nine types, up to 71 "
        "atoms; forward barriers. References are DLPNO-CCSD(T)/CBS energies (doi:10.1021/acs.jctc.1c00694).",
        bh9,
        source="bh9",
        reference=Reference("DLPNO-CCSD(T)/CBS"),
        good=0.0,
        bad=50.0,
    ),
    barrier_benchmark(
        "barriers_cyclo70",
        "Barriers: CYCLO70",
        "Single points of reactants, products and transition states of 70 cycloadditions and other "
        "pericyclic reactions; forward and reverse barriers. References are DLPNO-CCSD(T)/CBS energies "
        "(doi:10.1021/acs.jctc.5c00925).",
        cyclo70,
        source="cyclo70",
        reference=Reference("DLPNO-CCSD(T)/CBS"),
        good=0.0,
        bad=20.0,
    ),
    barrier_benchmark(
        "barriers_criegee22",
        "Barriers: Criegee22",
        "Single points of reactants and transition states of 22 reactions of carbonyl oxides. References are "
        "CCSDT(Q)/CBS energies (doi:10.1002/jcc.26106).",
        criegee22,
        source="criegee22",
        reference=Reference("CCSDT(Q)/CBS"),
        good=0.0,
        bad=20.0,
    ),
    barrier_benchmark(
        "barriers_bh2o36",
        "Barriers: BH2O-36",
        "Single points of reactants, products and transition states of 18 hydrolyses in vacuum; 36 barriers, "
        "forward and reverse. References are the composite MP2 energies of the set "
        "(doi:10.1021/acs.jctc.3c00176).",
        bh2o36,
        source="bh2o36",
        reference=Reference("composite MP2"),
        good=0.0,
        bad=2.0 * UNITS["eV"] / UNITS["kcal/mol"],  # ML-PEG scores this set in eV
    ),
)
