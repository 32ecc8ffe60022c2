"""X23: lattice energies of molecular crystals."""

from __future__ import annotations

from collections.abc import Mapping

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import (
    Difference,
    add,
    compare,
    entries,
    mean_absolute_error,
    mean_error,
)
from crossfield.bench.domain.sets.reading import expect, numbers, same_atoms, structure, text
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

SYSTEMS = 23


def inputs(sources: Sources) -> Inputs:
    """A folder per crystal, named in a list: crystal, molecule in a box, how many, and the reference."""
    folder = sources.open("x23")
    found = Inputs(context={})
    names = text(folder / "list").split()
    for name in names:
        with found.reading(name):
            add(found, *_crystal(folder / name, name))
    expect(found, SYSTEMS)
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Errors of lattice energies, kJ/mol."""
    compared = compare(inputs, values, "kJ/mol")
    metrics = {"MAE": mean_absolute_error(compared), "Mean error": mean_error(compared)}
    return Findings(metrics, entries(compared, "lattice energy", "kJ/mol"))


def _crystal(folder: Place, name: str) -> tuple[Item, Difference]:
    crystal, molecule = (structure(folder / f"POSCAR_{kind}", "vasp") for kind in ("solid", "molecule"))
    (count,) = numbers(folder / "nmol", 1)
    reference, uncertainty = numbers(folder / "lattice_energy_DMC", 2)
    if count != round(count) or count < 1 or not same_atoms(crystal, [molecule] * round(count)):
        raise InputError(
            f"{crystal.get_chemical_formula()} is not {count:g} times {molecule.get_chemical_formula()}",
            file=str(folder),
        )
    item = Item(name, {"crystal": crystal, "molecule": molecule}, quick=True)
    note = f"reference ± {uncertainty:.2g} kJ/mol"
    return item, Difference({"crystal": 1 / count, "molecule": -1.0}, reference, note=note)


BENCHMARK = Benchmark(
    name="x23",
    title="X23 lattice energies",
    domain="molecular_crystals",
    description=(
        "Lattice energies of 23 molecular crystals: energy of the crystal per molecule less that of the "
        "molecule in the periodic box in which it is published (about 20 Å), from single points. Reference: "
        "diffusion Monte Carlo, with its statistical uncertainty (source x23)."
    ),
    reference=Reference("DMC"),
    metrics=(
        Metric("MAE", "kJ/mol", 0.0, 100.0, description="mean absolute error of lattice energies"),
        Metric("Mean error", "kJ/mol", None, None, description="negative: the model binds too strongly"),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("x23",),
    dispersion=True,
)
