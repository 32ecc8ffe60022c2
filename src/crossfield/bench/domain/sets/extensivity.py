"""Extensivity: the energy of two bodies far apart is the sum of their energies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule, surface

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.results import Entry
from crossfield.bench.domain.sets.differences import UNITS
from crossfield.bench.domain.sources import Sources

SHIFT = 100.0  # Å, of the second body against the first; what is left between them is less
LAYERS, REPEAT = 8, 4
SLABS = "Al slab and Ni slab"
MOLECULES = "ethanol and benzene"


def inputs(sources: Sources) -> Inputs:
    """Slabs of Al and Ni in one tall periodic cell, and two molecules."""
    return Inputs(
        items=[Item(SLABS, _slabs(), quick=True), Item(MOLECULES, _molecules(), quick=True, scored=False)]
    )


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """By how much the energies do not add up, meV."""
    found = {n: abs(v["both"] - v["first"] - v["second"]) / UNITS["meV"] for n, v in values.items()}
    return Findings(
        metrics={"ΔE": found.get(SLABS), "ΔE, molecules": found.get(MOLECULES)},
        entries=[
            Entry(
                name=item.name,
                quantity="|E(both) − E(first) − E(second)|",
                unit="meV",
                reference=0.0,
                predicted=found.get(item.name),
                items=(item.name,),
            )
            for item in inputs.items
        ],
    )


def _slabs() -> dict[str, Atoms]:
    """128 atoms each. The second is strained in the in-plane cell of the first, alone as well."""
    first, second = _slab("Al"), _slab("Ni")
    second.positions[:, 2] += SHIFT
    cell = first.cell.array.copy()
    cell[2, 2] += SHIFT
    return _together(first, second, cell)


def _slab(symbol: str) -> Atoms:
    made = surface(bulk(symbol, "fcc"), (1, 1, 1), LAYERS, vacuum=SHIFT) * (REPEAT, REPEAT, 1)
    made.pbc = True
    return made


def _molecules() -> dict[str, Atoms]:
    """In a periodic box in which images are as far away as the other molecule."""
    first, second = molecule("CH3CH2OH"), molecule("C6H6")
    second.positions[:, 0] += SHIFT
    return _together(first, second, np.diag([2.0 * SHIFT, SHIFT, SHIFT]))


def _together(first: Atoms, second: Atoms, cell: np.ndarray) -> dict[str, Atoms]:
    found = {"first": first, "second": second, "both": first + second}
    for atoms in found.values():
        atoms.set_cell(cell, scale_atoms=False)
        atoms.pbc = True
    return found


BENCHMARK = Benchmark(
    name="extensivity",
    title="Extensivity",
    domain="physicality",
    description=(
        "Energy of slabs of Al and Ni (fcc 111, 8 layers, 128 atoms each) with 83.6 Å between them in one "
        "cell, less those of each alone in the same cell, as in ML-PEG. Two molecules 95.7 Å apart are shown "
        "besides, for models that cover no metals."
    ),
    reference=Reference(""),
    metrics=(
        Metric("ΔE", "meV", 0.0, 10.0, description="of the slabs"),
        Metric("ΔE, molecules", "meV", None, None, description="of ethanol and benzene"),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
)
