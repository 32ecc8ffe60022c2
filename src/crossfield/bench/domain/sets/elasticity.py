"""Bulk and shear moduli of the crystals of the Materials Project whose elasticity was calculated."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from crossfield.bench.domain.benchmark import (
    Benchmark,
    Findings,
    Inputs,
    Item,
    Metric,
    Reference,
    Values,
)
from crossfield.bench.domain.calculations import density, relaxed
from crossfield.bench.domain.results import Entry
from crossfield.bench.domain.sets.elastic_constants import Moduli, elastic_constants, moduli
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

FILE = "mp-pbe-elasticity-2025.3.json.gz"
SETTINGS: Mapping[str, Any] = {
    "normal": [-0.01, -0.005, 0.005, 0.01],
    "shear": [-0.06, -0.03, 0.03, 0.06],
    "fmax": 0.05,  # eV/Å
    "steps": 500,
}
LARGEST = 500.0  # GPa; references beyond it, or not positive, are not used
PLAUSIBLE = (-50.0, 600.0)  # GPa; predictions outside are counted, and left out of the means
LIGHTEST = 0.5  # g/cm³; less dense structures are not used
MOLECULAR = {"H2", "N2", "O2", "F2", "Cl2", "He", "Xe", "Ne", "Kr", "Ar"}
SAMPLE, SEED = 500, 0  # crystals that are calculated, drawn from all; 12,000 would take days
QUICK, QUICK_ATOMS = 20, 4  # number of crystals, and the largest cell


@dataclass
class _References:
    moduli: dict[str, Moduli] = field(default_factory=dict)  # by id
    formulas: dict[str, str] = field(default_factory=dict)
    unused: int = 0  # records that the protocol leaves out
    used: int = 0  # the others, of which some are drawn


def inputs(sources: Sources) -> Inputs:
    """One item per crystal that is drawn."""
    references = _References()
    found = Inputs(context=references)
    for index, record in enumerate(_records(sources.open("elasticity"))):
        name = str(record.get("mp_id", f"record {index}")) if isinstance(record, dict) else f"record {index}"
        with found.reading(name):
            if name in references.moduli:
                raise InputError(f"{name} occurs twice", file=FILE)
            known = Moduli(_modulus(record, "bulk_modulus_vrh"), _modulus(record, "shear_modulus_vrh"))
            crystal = _crystal(record["structure"])
            formula = str(record.get("formula", crystal.get_chemical_formula()))
            if not _used(known, crystal, formula):
                references.unused += 1
                continue
            references.moduli[name], references.formulas[name] = known, formula
            found.items.append(Item(name, {"crystal": crystal}, SETTINGS))
    _draw(found)
    return _with_quick(found)


def calculate(item: Item, calculator: Calculator) -> Values:
    """Elastic constants, (6, 6) GPa, of the relaxed crystal; atoms relax in every strained cell.

    Raises:
        NotConverged: a relaxation did not end.
    """
    fmax, steps = item.settings["fmax"], item.settings["steps"]

    def stress(atoms: Atoms) -> NDArray[np.float64]:
        strained = relaxed(
            atoms, calculator, fmax=fmax, steps=steps, name="a strained cell", optimiser="fire"
        )
        return np.asarray(strained.atoms.get_stress())

    start = item.structures["crystal"]
    crystal = relaxed(
        start, calculator, fmax=fmax, steps=steps, name="the crystal", cell=True, optimiser="fire"
    ).atoms
    constants = elastic_constants(crystal, stress, item.settings["normal"], item.settings["shear"])
    return {"constants": constants.tolist(), "volume": crystal.get_volume() / len(crystal)}


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Mean absolute errors of the averages of Voigt, Reuss and Hill, GPa."""
    references: _References = inputs.context
    entries: list[Entry] = []
    errors: list[tuple[float, float]] = []
    implausible = 0
    for name, known in references.moduli.items():
        predicted = _averages(values.get(name))
        note = ""
        if predicted is not None and all(PLAUSIBLE[0] <= m <= PLAUSIBLE[1] for m in predicted):
            errors.append((abs(predicted.bulk - known.bulk), abs(predicted.shear - known.shear)))
        elif name in values:
            implausible += 1
            note = "left out of the mean: no elastic solid" if predicted is None else "left out of the mean"
        entries += _entries(f"{references.formulas[name]} ({name})", name, known, predicted, note)
    means = np.mean(errors, axis=0) if errors else (None, None)
    notes = []
    if references.used > len(references.moduli):
        notes.append(f"{len(references.moduli)} crystals, drawn from {references.used}.")
    if references.unused:
        notes.append(
            f"{references.unused} records are not used: moduli of the reference outside 0 to {LARGEST:g} "
            f"GPa, gases, or a density below {LIGHTEST:g} g/cm³."
        )
    if implausible:
        notes.append(
            f"{implausible} predictions outside {PLAUSIBLE[0]:g} to {PLAUSIBLE[1]:g} GPa are left out of the "
            "means, as in ML-PEG."
        )
    bulk, shear = (None if m is None else float(m) for m in means)
    return Findings({"Bulk modulus MAE": bulk, "Shear modulus MAE": shear}, entries, notes=notes)


def _records(path: Place) -> list[Any]:
    try:
        records = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise InputError(f"is damaged, or no gzip of JSON ({error})", file=path.name) from error
    if not isinstance(records, list):
        raise InputError("holds no list of records", file=path.name)
    return records


def _modulus(record: Mapping[str, Any], key: str) -> float:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(f"{key} is {value!r}, which is no number", file=FILE)
    return float(value)


def _crystal(structure: Mapping[str, Any]) -> Atoms:
    """A structure as pymatgen writes it; every site is to have one element."""
    symbols, positions = [], []
    for site in structure["sites"]:
        (species,) = site["species"]
        if abs(species.get("occu", 1) - 1) > 1e-6:
            raise InputError(f"a site is occupied by {species['occu']} {species['element']}", file=FILE)
        symbols.append(species["element"])
        positions.append(site["abc"])
    cell, places = (np.asarray(x, dtype=float) for x in (structure["lattice"]["matrix"], positions))
    if not np.isfinite(places).all() or not abs(np.linalg.det(cell)) > 1e-3:
        raise InputError("the cell has no volume, or positions are not finite", file=FILE)
    return Atoms(symbols, scaled_positions=places, cell=cell, pbc=True)


def _used(known: Moduli, crystal: Atoms, formula: str) -> bool:
    usual = all(0 < m <= LARGEST for m in known) and formula not in MOLECULAR
    return usual and density(crystal) >= LIGHTEST


def _draw(found: Inputs) -> None:
    """Keep a sample, in the order of the set; it is the same for every model."""
    references: _References = found.context
    references.used = len(found.items)
    if references.used <= SAMPLE:
        return
    chosen = np.random.default_rng(SEED).permutation(references.used)[:SAMPLE]
    found.items = [found.items[i] for i in sorted(chosen.tolist())]
    references.moduli = {item.name: references.moduli[item.name] for item in found.items}


def _with_quick(found: Inputs) -> Inputs:
    """Mark crystals with small cells, evenly spaced in the order of the set."""
    small = [i for i, item in enumerate(found.items) if len(item.structures["crystal"]) <= QUICK_ATOMS]
    chosen = {small[k * len(small) // QUICK] for k in range(QUICK)} if small else set()
    found.items = [
        Item(item.name, item.structures, item.settings, quick=i in chosen)
        for i, item in enumerate(found.items)
    ]
    return found


def _averages(values: Values | None) -> Moduli | None:
    """None as well where the constants have no inverse, or averages that are not finite."""
    if values is None:
        return None
    try:
        found = moduli(np.array(values["constants"]))
    except np.linalg.LinAlgError:
        return None
    return found if np.isfinite(found).all() else None


def _entries(label: str, item: str, known: Moduli, predicted: Moduli | None, note: str) -> list[Entry]:
    return [
        Entry(
            name=label,
            group=f"{quantity} modulus",
            quantity=f"{quantity} modulus",
            unit="GPa",
            reference=getattr(known, quantity),
            predicted=None if predicted is None else getattr(predicted, quantity),
            items=(item,),
            note=note,
        )
        for quantity in ("bulk", "shear")
    ]


BENCHMARK = Benchmark(
    name="elasticity",
    title="Elasticity",
    domain="materials",
    description=(
        "Bulk and shear moduli (Voigt-Reuss-Hill) of 500 of about 12,000 crystals from the stress of cells "
        "strained by ±0.5 and ±1 % (normal) and ±3 and ±6 % (shear), with atoms relaxed to 0.05 eV/Å. "
        "Reference: PBE of the Materials Project, de Jong et al., Sci. Data 2, 150009 (2015); set of MatCalc."
    ),
    reference=Reference("PBE", functional=True),
    metrics=(
        Metric("Bulk modulus MAE", "GPa", 2.0, 30.0, description="mean absolute error of the bulk modulus"),
        Metric("Shear modulus MAE", "GPa", 2.0, 30.0, description="mean absolute error of the shear modulus"),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
    sources=("elasticity",),
)
