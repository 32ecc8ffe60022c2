"""Equations of state of 71 elements, by the Delta value (Lejaeghere et al., Science 351, aad3000 (2016)).

Delta is the root mean square difference of two Birch-Murnaghan curves E(V) with a common minimum, over 6 % of
volume on either side of the mean of their minima. Two converged DFT codes differ by about 1 meV/atom: the
score is 1 there. PBE itself differs from experiment by 22 meV/atom in the mean over the 58 elements of the
collection that were measured; a model as far from PBE as that predicts as little as if it knew none, and the
score is 0 at 20 meV/atom. (ML-PEG gives 0 at 200 meV/atom, for volume ranges several times as wide.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.collections import dcdft
from ase.eos import EquationOfState, birchmurnaghan
from ase.utils.deltacodesdft import delta

from crossfield.bench.domain.benchmark import (
    Benchmark,
    Findings,
    Inputs,
    Item,
    Metric,
    NotConverged,
    Reference,
    Values,
)
from crossfield.bench.domain.calculations import attached
from crossfield.bench.domain.results import Curve, Entry
from crossfield.bench.domain.sources import Sources

VOLUMES = (0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06)  # relative to the centre
ROUNDS = 8  # the centre moves at most this often
CURVE_POINTS = 25
MEV = 1000.0  # per eV
GROUPS: Mapping[str, tuple[str, ...]] = {
    "molecular": ("H", "N", "O", "F", "Cl", "Br", "I"),
    "noble gas": ("He", "Ne", "Ar", "Kr", "Xe", "Rn"),
    "magnetic": ("Cr", "Mn", "Fe", "Co", "Ni"),
}


def inputs(sources: Sources) -> Inputs:
    """The crystals of the collection, which comes with ASE, at the volumes of the reference."""
    found = Inputs(context={})
    for name in dcdft.names:
        with found.reading(name):
            reference = dcdft.data[name]
            numbers = tuple(float(reference[f"wien2k_{key}"]) for key in ("volume", "B", "Bp"))
            given = dcdft[name]
            crystal = Atoms(
                given.numbers, cell=given.cell, scaled_positions=given.get_scaled_positions(), pbc=True
            )
            _scale(crystal, numbers[0])
            settings = {"volumes": VOLUMES, "rounds": ROUNDS}
            found.items.append(Item(name, {"crystal": crystal}, settings, quick=True))
            found.context[name] = numbers
    return found


def calculate(item: Item, calculator: Calculator) -> Values:
    """Energies at seven volumes around the minimum, and the curve through them, per atom.

    Shape and fractional coordinates stay as in the reference. The first centre is the reference's volume;
    while the lowest energy is at an end of the range, the centre moves there.

    Raises:
        NotConverged: the energy still falls at an end of the range after all rounds.
    """
    crystal = attached(item.structures["crystal"], calculator)
    relative = np.asarray(item.settings["volumes"])
    centre = crystal.get_volume() / len(crystal)
    for _ in range(item.settings["rounds"]):
        volumes = centre * relative
        energies = np.array([_energy(crystal, volume) for volume in volumes])
        lowest = int(energies.argmin())
        if 0 < lowest < len(volumes) - 1:
            break
        centre = volumes[lowest]
    else:
        raise NotConverged(f"the energy has no minimum: it still falls at {centre:.4g} Å³/atom")
    equation = EquationOfState(volumes, energies, eos="birchmurnaghan")
    equation.fit(warn=False)
    e0, b0, b1, v0 = (float(x) for x in equation.eos_parameters)
    return {
        "volumes": volumes.tolist(),  # Å³
        "energies": (energies - e0).tolist(),  # eV, above the minimum
        "volume": v0,
        "B": b0 / units.GPa,
        "Bp": b1,
    }


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Delta, and errors of the volume and the bulk modulus at the minimum."""
    entries, curves, rows = [], [], []
    deltas: dict[str, float] = {}
    for name, reference in inputs.context.items():
        own = values.get(name)
        predicted = None if own is None else (own["volume"], own["B"], own["Bp"])
        if own is not None and predicted is not None:
            deltas[name] = MEV * float(delta(*_parameters(predicted), *_parameters(reference)))
            rows.append([abs(predicted[i] / reference[i] - 1) for i in range(2)])
            curves.append(_curve(name, own, reference))
        entries += _entries(name, deltas.get(name), predicted, reference)
    if not deltas:
        return Findings({}, entries)
    volume, bulk = 100 * np.median(rows, axis=0)
    metrics = {
        "Delta": float(np.mean([*deltas.values()])),
        "Delta (median)": float(np.median([*deltas.values()])),
        "Volume": float(volume),
        "Bulk modulus": float(bulk),
    }
    worst = sorted(deltas, key=lambda name: -deltas[name])[:5]
    note = "Largest Delta: " + ", ".join(f"{name} {deltas[name]:.3g} meV/atom" for name in worst) + "."
    return Findings(metrics, entries, curves, (note,))


def _scale(crystal: Atoms, volume: float) -> None:
    """To a volume per atom, Å³."""
    factor = (volume * len(crystal) / crystal.get_volume()) ** (1 / 3)
    crystal.set_cell(crystal.cell * factor, scale_atoms=True)


def _energy(crystal: Atoms, volume: float) -> float:
    _scale(crystal, volume)
    return float(crystal.get_potential_energy()) / len(crystal)


def _parameters(curve: tuple[float, float, float]) -> tuple[float, float, float]:
    """Volume (Å³), bulk modulus (GPa to eV/Å³) and its derivative, as ASE takes them."""
    volume, b, bp = curve
    return volume, b * units.GPa, bp


def _group(name: str) -> str:
    return next((group for group, names in GROUPS.items() if name in names), "other")


def _entries(
    name: str,
    difference: float | None,
    predicted: tuple[float, float, float] | None,
    reference: tuple[float, float, float],
) -> list[Entry]:
    common: dict[str, Any] = {"name": name, "group": _group(name), "items": (name,)}
    volume, b = (None, None) if predicted is None else predicted[:2]
    return [
        Entry(quantity="Delta", unit="meV/atom", reference=0.0, predicted=difference, **common),
        Entry(quantity="volume", unit="Å³/atom", reference=reference[0], predicted=volume, **common),
        Entry(quantity="bulk modulus", unit="GPa", reference=reference[1], predicted=b, **common),
    ]


def _curve(name: str, own: Values, reference: tuple[float, float, float]) -> Curve:
    volume, b, bp = _parameters(reference)
    grid = volume * np.linspace(VOLUMES[0], VOLUMES[-1], CURVE_POINTS)
    return Curve(
        name=name,
        group=_group(name),
        x_label="volume / Å³ per atom",
        y_label="energy above the minimum / meV per atom",
        x=_rounded(own["volumes"]),
        y=_rounded([MEV * energy for energy in own["energies"]]),
        reference_x=_rounded(grid),
        reference_y=_rounded(MEV * np.asarray(birchmurnaghan(grid, 0.0, b, bp, volume))),
    )


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


BENCHMARK = Benchmark(
    name="eos",
    title="Equations of state",
    domain="materials",
    description=(
        "Energy at seven volumes within 6 % of the minimum for 71 elemental crystals, with a Birch-Murnaghan "
        "fit; shape and fractional coordinates are fixed. Compared with all-electron PBE (WIEN2k) by the "
        "Delta value: Lejaeghere et al., Science 351, aad3000 (2016); the collection comes with ASE."
    ),
    reference=Reference("PBE", functional=True),
    metrics=(
        Metric("Delta", "meV/atom", 1.0, 20.0, description="mean of the Delta values"),
        Metric("Delta (median)", "meV/atom", None, None, description="median of the Delta values"),
        Metric("Volume", "%", None, None, description="median relative error of the volume at the minimum"),
        Metric("Bulk modulus", "%", None, None, description="median relative error of the bulk modulus"),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
)
