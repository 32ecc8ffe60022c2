"""S24: adsorption of small molecules on surfaces, layers, frameworks and zeolites."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ase import Atoms

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import Difference, add, compare, entries, mean_absolute_error
from crossfield.bench.domain.sets.reading import bare, expect, frames, same_atoms
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError

SYSTEMS = 24
QUICK = 120  # atoms at most


def inputs(sources: Sources) -> Inputs:
    """Frames come as triplets: surface, surface with molecules, one molecule; with energies as labels."""
    place = sources.open("s24") / "s24_data.extxyz"
    found = Inputs(context={})
    with found.reading(place.name):
        structures = frames(place, "extxyz")
        for first in range(0, len(structures), 3):
            number = first // 3 + 1
            with found.reading(f"{place.name}, system {number}"):
                add(found, *_system(number, structures[first : first + 3]))
    expect(found, SYSTEMS)
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Mean absolute error of adsorption energies, eV."""
    compared = compare(inputs, values, "eV")
    return Findings({"MAE": mean_absolute_error(compared)}, entries(compared, "adsorption energy", "eV"))


def _system(number: int, triplet: Sequence[Atoms]) -> tuple[Item, Difference]:
    if len(triplet) != 3:
        raise InputError(f"has {len(triplet)} structures instead of surface, both, and molecule")
    surface, both, molecule = triplet
    copies, rest = divmod(len(both) - len(surface), len(molecule))
    if rest or copies < 1 or not same_atoms(both, [surface, *[molecule] * copies]):
        formulas = ", ".join(atoms.get_chemical_formula() for atoms in triplet)
        raise InputError(f"is no surface, surface with molecules, and molecule: {formulas}")
    terms = {"surface with molecules": 1.0, "surface": -1.0, "molecule": -float(copies)}
    structures = dict(zip(terms, (both, surface, molecule), strict=True))
    reference = Difference(terms, 0.0).energy({role: _label(atoms) for role, atoms in structures.items()})
    adsorbate = molecule.get_chemical_formula()
    name = f"{number:02d} {f'{copies} ' if copies > 1 else ''}{adsorbate} on {surface.get_chemical_formula()}"
    bare_structures = {role: bare(atoms) for role, atoms in structures.items()}
    item = Item(name, bare_structures, quick=len(both) <= QUICK)
    note = f"of all {copies} molecules" if copies > 1 else ""
    return item, Difference(terms, reference, group=adsorbate, note=note)


def _label(atoms: Atoms) -> float:
    """The reference energy, eV."""
    if atoms.calc is None or "energy" not in atoms.calc.results:
        raise InputError(f"{atoms.get_chemical_formula()} has no energy")
    energy = float(atoms.calc.results["energy"])
    if not math.isfinite(energy):
        raise InputError(f"the energy of {atoms.get_chemical_formula()} is not finite")
    return energy


BENCHMARK = Benchmark(
    name="s24",
    title="S24 adsorption energies",
    domain="surfaces",
    description=(
        "Adsorption energies of molecules on 24 metals, oxides, layered materials, frameworks and zeolites, "
        "from single points of the surface with the molecules, the surface and one molecule at the published "
        "geometries. Reference: PBE-D3(BJ) with the settings of MPRelaxSet (source s24)."
    ),
    reference=Reference("PBE-D3(BJ)", functional=True),
    metrics=(Metric("MAE", "eV", 0.05, 0.5, description="mean absolute error of adsorption energies"),),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("s24",),
    dispersion=True,
)
