"""Formation energies of vacancies in elemental fcc and hcp metals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies, relaxed
from crossfield.bench.domain.results import Entry
from crossfield.bench.domain.sets.reading import expect, numbers, structure, text
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

SYSTEMS = 42
RELAXED = " relaxed"  # after the name of a system
RELAXATION: Mapping[str, float | int] = {"fmax": 0.02, "steps": 300}  # eV/Å


def inputs(sources: Sources) -> Inputs:
    """Two items per system: energies at the geometries of PBE, and after a relaxation in the same cells."""
    place = sources.open("tm_vacancies")
    references: dict[str, float] = {}
    found = Inputs(context=references)
    for name in text(place / "list").split():
        with found.reading(name):
            if name in references:
                raise InputError(f"{name} occurs twice", file=str(place / "list"))
            (reference,) = numbers(place / name / "vacancy_formation_energy_PBE", 1)
            structures = _structures(place / name)
            references[name] = reference
            found.items.append(Item(name, structures, quick=True))
            copies = {role: atoms.copy() for role, atoms in structures.items()}
            found.items.append(Item(name + RELAXED, copies, RELAXATION, scored=False))
    expect(found, SYSTEMS, len(references))
    return found


def calculate(item: Item, calculator: Calculator) -> Values:
    """Energies of the crystal and of the cell with the vacancy, eV; relaxed where the item says how far.

    Raises:
        NotConverged: forces were still larger after all steps.
    """
    if not item.settings:
        return energies(item, calculator)
    fmax, steps = item.settings["fmax"], item.settings["steps"]
    return {
        role: relaxed(atoms, calculator, fmax=fmax, steps=steps, name=role).energy
        for role, atoms in item.structures.items()
    }


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """E(vacancy) - (N - 1) / N E(crystal of N atoms), eV."""
    sizes = {item.name: len(item.structures["crystal"]) for item in inputs.items}
    entries = []
    errors: dict[str, list[float]] = {"": [], RELAXED: []}
    for suffix, found in errors.items():
        for name, reference in inputs.context.items():
            item = name + suffix
            predicted = None
            if item in values:
                n = sizes[item]
                predicted = values[item]["vacancy"] - (n - 1) / n * values[item]["crystal"]
                found.append(abs(predicted - reference))
            entries.append(
                Entry(
                    name=name,
                    group="relaxed by the model" if suffix else "at the geometry of PBE",
                    quantity="vacancy formation energy",
                    unit="eV",
                    reference=reference,
                    predicted=predicted,
                    items=(item,),
                )
            )
    return Findings(
        metrics={
            "MAE": float(np.mean(errors[""])) if errors[""] else None,
            "MAE (relaxed)": float(np.mean(errors[RELAXED])) if errors[RELAXED] else None,
        },
        entries=entries,
    )


def _structures(place: Place) -> dict[str, Atoms]:
    """The crystal, and the same with an atom less."""
    crystal, vacancy = (structure(place / f"CONTCAR_{role}", "vasp") for role in ("bulk", "vacancy"))
    if len(vacancy) != len(crystal) - 1:
        raise InputError(f"{place.name}: {len(vacancy)} atoms with a vacancy, and {len(crystal)} without one")
    if len({*crystal.numbers.tolist(), *vacancy.numbers.tolist()}) != 1:
        raise InputError(f"{place.name}: is no crystal of one element")
    return {"crystal": crystal, "vacancy": vacancy}


BENCHMARK = Benchmark(
    name="vacancy",
    title="Vacancies in metals",
    domain="materials",
    description=(
        "Formation energies of vacancies in 42 elemental fcc and hcp metals, scored at the geometries of "
        "PBE; relaxed in the same cells to 0.02 eV/Å they are shown besides. Compared with PBE: Angsten et "
        "al., New J. Phys. 16, 015018 (2014); set of ML-PEG."
    ),
    reference=Reference("PBE", functional=True),
    metrics=(
        Metric("MAE", "eV", 0.0, 2.0, description="mean absolute error at the geometries of PBE"),
        Metric("MAE (relaxed)", "eV", None, None, description="mean absolute error after relaxation"),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
    sources=("tm_vacancies",),
)
