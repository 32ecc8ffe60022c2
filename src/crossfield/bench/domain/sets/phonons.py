"""Phonons of crystals: frequencies along a path, stability, and thermal averages at 300 K."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.constraints import FixSymmetry
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
from crossfield.bench.domain.calculations import attached, relaxed
from crossfield.bench.domain.results import Curve, Entry
from crossfield.bench.domain.sets.alexandria import TEMPERATURE, Published, files, read
from crossfield.bench.domain.sets.harmonic import SYMMETRY, Cells, phonons, supercells
from crossfield.bench.domain.sets.reading import expect
from crossfield.bench.domain.sources import Sources

CRYSTALS = 100  # the first of the directory, as in ML-PEG
QUICK = 6
RELAXATION: Mapping[str, float | int] = {"fmax": 0.005, "steps": 1000}  # eV/Å
STABLE = -0.05  # THz; a crystal with a lower frequency is unstable
KELVIN = 1e12 * units._hplanck / units._k  # per THz
BINS = 60
ROLE = "crystal"


class _Kind(NamedTuple):
    """A quantity that is compared for every crystal."""

    metric: str
    quantity: str
    unit: str
    good: float
    bad: float
    weight: float


# thresholds and weights of ML-PEG, which gives those of frequencies in THz
KINDS: Mapping[str, _Kind] = {
    "max": _Kind("MAE of the maximum frequency", "maximum frequency", "K", 0.5 * KELVIN, 5 * KELVIN, 1.0),
    "mean": _Kind("MAE of the average frequency", "average frequency", "K", 0.3 * KELVIN, 3 * KELVIN, 1.0),
    "min": _Kind("MAE of the minimum frequency", "minimum frequency", "K", 0.1 * KELVIN, 2 * KELVIN, 1.0),
    "entropy": _Kind("MAE of the entropy", "entropy", "J/mol/K", 0.5, 5.0, 0.8),
    "free_energy": _Kind("MAE of the free energy", "free energy", "kJ/mol", 0.5, 4.0, 0.8),
    "heat_capacity": _Kind("MAE of the heat capacity", "heat capacity", "J/mol/K", 0.5, 4.0, 0.8),
    "bands": _Kind("MAE of all frequencies", "error along the path", "K", 0.05 * KELVIN, 0.5 * KELVIN, 1.2),
}
STABILITY = Metric(
    "F1 of stability", "", 1.0, 0.4, weight=1.2, description="F1 score of the class of stable crystals"
)


def inputs(sources: Sources) -> Inputs:
    """One item per crystal; the displacements are those of the reference."""
    published: dict[str, Published] = {}
    found = Inputs(context=published)
    for name, path in islice(files(sources.open("phonons")), CRYSTALS):
        with found.reading(name):
            published[name] = read(path)
    costs = {name: len(p.atoms) * p.forces.shape[1] for name, p in published.items()}
    quick = sorted(costs, key=lambda name: (costs[name], name))[:QUICK]
    for name, own in published.items():
        settings = {**_cells(own)._asdict(), **RELAXATION}
        found.items.append(Item(name, {ROLE: own.crystal}, settings, quick=name in quick))
    expect(found, CRYSTALS)
    return found


def calculate(item: Item, calculator: Calculator) -> Values:
    """Frequencies (THz) along the path and thermal averages at 300 K.

    Atoms are relaxed in the cell of the reference, in its space group. The forces that remain on the perfect
    supercell are subtracted: those of models that are not symmetric under inversion do not vanish.

    Raises:
        NotConverged: forces were still larger after all steps.
    """
    cells = Cells(*(item.settings[key] for key in Cells._fields))
    fmax, steps = item.settings["fmax"], item.settings["steps"]
    start = item.structures[ROLE].copy()
    start.set_constraint(FixSymmetry(start, symprec=SYMMETRY))
    crystal = relaxed(start, calculator, fmax=fmax, steps=steps, name="the crystal", optimiser="fire").atoms
    crystal.set_constraint()
    forces = np.array([_forces(atoms, calculator) for atoms in supercells(crystal, cells)])
    found = phonons(
        crystal, cells, forces[1:] - forces[0], path_of=item.structures[ROLE], temperature=TEMPERATURE
    )
    return {**found._asdict(), "frequencies": found.frequencies.round(4).tolist()}


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Mean absolute errors over crystals, and how well stability is told."""
    published: dict[str, Published] = inputs.context
    entries: list[Entry] = []
    curves: list[Curve] = []
    errors: dict[str, list[float]] = {key: [] for key in KINDS}
    stable: list[tuple[bool, bool]] = []  # reference, predicted
    for name, own in published.items():
        label = f"{own.crystal.get_chemical_formula(empirical=True)} ({name})"
        if name not in values:
            entries.append(Entry(name=label, quantity="phonons", items=(name,), note="not calculated"))
            continue
        reference = _summary(_reference(own))
        predicted = _summary(values[name])
        difference = np.abs(predicted.bands - reference.bands).mean() * KELVIN
        for key, kind in KINDS.items():
            pair = (
                (0.0, float(difference)) if key == "bands" else (reference.values[key], predicted.values[key])
            )
            errors[key].append(abs(pair[1] - pair[0]))
            entries.append(
                Entry(
                    name=label,
                    group=kind.quantity,
                    quantity=kind.quantity,
                    unit=kind.unit,
                    reference=pair[0],
                    predicted=pair[1],
                    items=(name,),
                )
            )
        stable.append((bool(reference.bands.min() > STABLE), bool(predicted.bands.min() > STABLE)))
        curves.append(_density(label, reference.bands, predicted.bands))
    metrics = {KINDS[key].metric: float(np.mean(found)) if found else None for key, found in errors.items()}
    return Findings({**metrics, STABILITY.name: _f1(stable)}, entries, curves, _notes(stable))


class _Summary(NamedTuple):
    bands: NDArray[np.float64]  # (points, branches) THz
    values: Mapping[str, float]  # in the units of the entries


def _summary(values: Values) -> _Summary:
    bands = np.array(values["frequencies"], dtype=float)
    found = {key: float(getattr(bands, key)()) * KELVIN for key in ("max", "mean", "min")}
    return _Summary(bands, found | {k: values[k] for k in ("entropy", "free_energy", "heat_capacity")})


def _reference(own: Published) -> Values:
    """Frequencies from the forces of DFT; thermal averages as they were published."""
    bands = phonons(
        own.crystal, _cells(own), own.forces, path_of=own.crystal, temperature=TEMPERATURE
    ).frequencies
    return {**own.thermal._asdict(), "frequencies": bands}


def _cells(own: Published) -> Cells:
    return Cells(own.supercell, own.primitive, own.atoms, own.displacements)


def _forces(atoms: Atoms, calculator: Calculator) -> NDArray[np.float64]:
    atoms.info |= {"charge": 0, "spin": 1}
    return np.asarray(attached(atoms, calculator).get_forces())


def _f1(stable: Sequence[tuple[bool, bool]]) -> float | None:
    """2 TP / (2 TP + FP + FN); None where no crystal is stable, in truth or by the model."""
    hits = sum(truth and guess for truth, guess in stable)
    wrong = sum(truth != guess for truth, guess in stable)
    return 2 * hits / (2 * hits + wrong) if hits + wrong else None


def _notes(stable: Sequence[tuple[bool, bool]]) -> list[str]:
    if not stable:
        return []
    counts = {
        pair: stable.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))
    }
    return [
        "Stable in DFT and by the model: {}; only in DFT: {}; only by the model: {}; in neither: {}.".format(
            *counts.values()
        ),
        f"Frequencies are given as temperatures: 1 THz is {KELVIN:.2f} K. Thermal averages are per mole of "
        "primitive cells.",
    ]


def _density(label: str, reference: NDArray[np.float64], predicted: NDArray[np.float64]) -> Curve:
    both = np.concatenate([reference.ravel(), predicted.ravel()])
    edges = np.linspace(both.min(), both.max() + 1e-6, BINS + 1)
    x = tuple((((edges[1:] + edges[:-1]) / 2).round(4)).tolist())
    y, known = (
        np.histogram(bands, edges, density=True)[0].round(5).tolist() for bands in (predicted, reference)
    )
    return Curve(
        name=label,
        x_label="frequency / THz",
        y_label="density of states along the path / THz⁻¹",
        x=x,
        y=tuple(y),
        reference_x=x,
        reference_y=tuple(known),
    )


def _metric(kind: _Kind) -> Metric:
    return Metric(kind.metric, kind.unit, kind.good, kind.bad, kind.weight, f"over crystals; {kind.quantity}")


BENCHMARK = Benchmark(
    name="phonons",
    title="Phonons",
    domain="materials",
    description=(
        "Harmonic phonons of 100 crystals by displacements of 0.01 Å in the supercells of the reference, "
        "with atoms relaxed at fixed cell and space group; frequencies along the path of seekpath, averages "
        "on a mesh of 20³ points. Compared with PBE of Alexandria: Loew et al., npj Comput. Mater. 11 "
        "(2025). The 100 are the first by name of those that --data holds; whether they are the first of the "
        "database, as in ML-PEG, cannot be checked."
    ),
    reference=Reference("PBE", functional=True),
    metrics=(*(_metric(kind) for kind in KINDS.values()), STABILITY),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
    sources=("phonons",),
    packages=("phonopy", "seekpath"),
)
