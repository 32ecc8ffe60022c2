"""Cohesive energies of 23 crystals: crystal against free atoms, which many models get wrong.

The published table names no method. Less the D3(BJ) energies of the crystals, its values for elements are
those of all-electron PBE (Zhang et al., New J. Phys. 20, 063020 (2018)) within 0.04 eV per atom in the mean,
so they are PBE-D3(BJ), without zero-point energy. Its compounds are not consistent with that: SiC is given
0.7 eV per atom less than the mean of C and Si, though it forms from them with a gain. The score therefore
follows from elements; compounds are shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase.symbols import string2symbols

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Metric, Reference, Values
from crossfield.bench.domain.results import Entry
from crossfield.bench.domain.sets.crystals import (
    atom_item,
    calculate,
    constants_of,
    crystal_item,
    read_numbers,
    read_types,
)
from crossfield.bench.domain.sets.reading import expect
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError

CRYSTALS = 23
ELEMENTS, COMPOUNDS = "elements", "compounds"
NOTES = (
    "Free atoms are rare or absent in the training sets of many models, whose error here is mostly that of "
    "the atoms and says little about crystals.",
    "Free atoms are given with the multiplicity of their ground state, which few models read.",
    "The references of compounds are too low (SiC lies 0.7 eV per atom below the mean of C and Si, though it "
    "is stable), so that only elements are scored.",
)


def inputs(sources: Sources) -> Inputs:
    """One relaxation per crystal, begun at the experimental constants, and one energy per element."""
    references = read_numbers(sources.open("cohesive") / "atomisation_ref.json")
    place = sources.open("lattice_constants")
    types = read_types(place)
    starts = read_numbers(place / "lattice_constants_ref_exp.json")
    energies: dict[str, float] = {}
    found = Inputs(context=energies)
    elements: set[str] = set()
    for name, reference in references.items():
        with found.reading(name):
            if name not in types:
                raise InputError(f"the set of lattice constants has no lattice type of {name}")
            kind = types[name]
            found.items.append(crystal_item(name, kind, constants_of(name, kind, starts)))
            elements.update(string2symbols(name))
            energies[name] = reference
    expect(found, CRYSTALS, len(energies))
    found.items += [atom_item(symbol) for symbol in sorted(elements)]
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Cohesive energy: mean energy of the free atoms less that of the crystal, eV per atom."""
    entries = []
    errors: dict[str, list[float]] = {ELEMENTS: [], COMPOUNDS: []}
    for name, reference in inputs.context.items():
        group = ELEMENTS if len(set(string2symbols(name))) == 1 else COMPOUNDS
        atoms = [f"{symbol} atom" for symbol in string2symbols(name)]
        predicted = None
        if all(item in values for item in (name, *atoms)):
            free = float(np.mean([values[atom]["energy"] for atom in atoms]))
            predicted = free - values[name]["energy"]
            errors[group].append(abs(predicted - reference))
        entries.append(
            Entry(
                name=name,
                group=group,
                quantity="cohesive energy",
                unit="eV/atom",
                reference=reference,
                predicted=predicted,
                items=(name, *dict.fromkeys(atoms)),
            )
        )
    metrics = {"MAE (elements)": errors[ELEMENTS], "MAE (all)": errors[ELEMENTS] + errors[COMPOUNDS]}
    return Findings(
        metrics={name: float(np.mean(found)) if found else None for name, found in metrics.items()},
        entries=entries,
        notes=NOTES,
    )


BENCHMARK = Benchmark(
    name="cohesive",
    title="Cohesive energies",
    domain="materials",
    description=(
        "Energies of 23 relaxed crystals against those of their free atoms in a periodic cube of 30 Å, "
        "without zero-point energy. Compared with PBE-D3(BJ), published with the lattice constants of ML-PEG."
    ),
    reference=Reference("PBE-D3(BJ)", functional=True),
    metrics=(
        Metric("MAE (elements)", "eV/atom", 0.0, 1.0, description="mean absolute error over elements"),
        Metric("MAE (all)", "eV/atom", None, None, description="mean absolute error over all crystals"),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
    sources=("cohesive", "lattice_constants"),
    dispersion=True,
)
