"""OC157: which of three adsorption structures is most stable, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import Compared, entries, mean_absolute_error
from crossfield.bench.domain.sets.reading import children, expect, number, same_atoms, structure, text
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

SYSTEMS = 157
MEMBERS = ("1", "2", "3")
PAIRS = (("2", "1"), ("3", "1"), ("3", "2"))  # differences, first less second
ENERGY = "energy  without entropy="  # of OUTCAR; the last word of the line is the energy at sigma -> 0
EVERY = 4  # of which one is quick


def inputs(sources: Sources) -> Inputs:
    """A folder per system with three folders of VASP files; systems with a Hubbard U are left out."""
    folder = sources.open("oc157")
    found = Inputs(context={})
    for place in children(folder):
        with found.reading(place.name):
            if not place.name.isdigit() or _has_u(place):
                continue
            item, references = _system(place, quick=len(found.items) % EVERY == 0)
            found.context[item.name] = references
            found.items.append(item)
    expect(found, SYSTEMS)
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Errors of the three differences within each triplet, eV, and of their order."""
    compared: list[Compared] = []
    extremes, stable = [], []
    for item in inputs.items:
        reference = _differences(inputs.context[item.name])
        known = values.get(item.name)
        predicted = None if known is None else _differences(known)
        for index, (first, second) in enumerate(PAIRS):
            name = f"{item.name}, {first} less {second}"
            value = None if predicted is None else predicted[index]
            compared.append(Compared(name, reference[index], value, items=(item.name,)))
        if known is not None and predicted is not None:
            extremes.append(np.argmin(predicted) == np.argmin(reference))
            extremes.append(np.argmax(predicted) == np.argmax(reference))
            stable.append(_lowest(known) == _lowest(inputs.context[item.name]))
    metrics = {
        "MAE": mean_absolute_error(compared),
        "Ranking error": float(1 - np.mean(extremes)) if extremes else None,
        "Most stable found": float(100 * np.mean(stable)) if stable else None,
    }
    return Findings(metrics, entries(compared, "relative energy", "eV"))


def _differences(energies: Mapping[str, float]) -> list[float]:
    return [energies[first] - energies[second] for first, second in PAIRS]


def _lowest(energies: Mapping[str, float]) -> str:
    return min(MEMBERS, key=lambda member: energies[member])


def _has_u(folder: Place) -> bool:
    """Whether the reference was calculated with a Hubbard U."""
    return "LDAU" in text(folder / "1" / "INCAR")


def _system(folder: Place, *, quick: bool) -> tuple[Item, dict[str, float]]:
    structures, references = {}, {}
    for member in MEMBERS:
        place = folder / member
        relaxed = place / "CONTCAR"
        structures[member] = structure(relaxed if relaxed.exists() else place / "POSCAR", "vasp")
        references[member] = _energy(place / "OUTCAR")
    first = structures[MEMBERS[0]]
    if not all(same_atoms(first, [other]) for other in structures.values()):
        raise InputError("the three structures do not have the same atoms", file=str(folder))
    return Item(f"{folder.name} {first.get_chemical_formula()}", structures, quick=quick), references


def _energy(place: Place) -> float:
    """The last energy in an output file, eV."""
    lines: Sequence[str] = [line for line in text(place, "latin-1").splitlines() if ENERGY in line]
    if not lines:
        raise InputError(f"has no line with {' '.join(ENERGY.split())!r}", file=str(place))
    return number(lines[-1].split()[-1], place)


BENCHMARK = Benchmark(
    name="oc157",
    title="OC157 relative stabilities",
    domain="surfaces",
    description=(
        "Energy differences within 157 triplets of structures of a molecule on an alloy surface, from single "
        "points at the relaxed geometries of the reference, and whether the largest and the smallest of the "
        "three differences are the same as in the reference. Reference: PBE-D3(BJ) with the settings of "
        "MPRelaxSet, systems with a Hubbard U left out (source oc157)."
    ),
    reference=Reference("PBE-D3(BJ)", functional=True),
    metrics=(
        Metric("MAE", "eV", 0.0, 1.0, description="mean absolute error of relative energies"),
        Metric(
            "Ranking error",
            "",
            0.0,
            1.0,
            description="triplets whose smallest (largest) difference is another one; mean share",
        ),
        Metric(
            "Most stable found", "%", None, None, description="triplets with the right most stable structure"
        ),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("oc157",),
    dispersion=True,
)
