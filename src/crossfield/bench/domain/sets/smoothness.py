"""Smoothness: forces change without jumps while atoms go apart through the cutoff of a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.results import Curve, Entry
from crossfield.bench.domain.sets.differences import UNITS
from crossfield.bench.domain.sets.series import evaluate
from crossfield.bench.domain.sources import Sources

STEP, END = 0.01, 12.0  # Å
BOX = 40.0  # Å; not periodic, for calculators that want a cell in any case
DIMERS = (("C", "C"), ("Na", "Cl"), ("Si", "Si"), ("Cu", "Cu"))
QUICK = ("C-C", "Na-Cl", "Cu3 and Cu")
EVERY = 5  # points of the curves that are shown


def inputs(sources: Sources) -> Inputs:
    """Dimers, a Cu atom that leaves a cluster, and a water molecule that leaves another."""
    items = [_item(f"{a}-{b}", Atoms(a), Atoms(b), 2.0) for a, b in DIMERS]
    bond = 2.55
    triangle = Atoms("Cu3", [[bond, 0, 0], [-bond / 2, 0, 0], [bond / 2, bond * np.sqrt(0.75), 0]])
    water = molecule("H2O")
    return Inputs(
        items=[*items, _item("Cu3 and Cu", triangle, Atoms("Cu"), 2.0), _item("2 H2O", water, water, 3.0)]
    )


def _item(name: str, stays: Atoms, leaves: Atoms, start: float) -> Item:
    """Both at the origin but for the distance that the second one starts at, along z."""
    leaves = leaves.copy()
    leaves.positions[:, 2] += start
    both = stays + leaves
    both.set_cell([BOX] * 3)
    settings = {"leaves": len(leaves), "start": start, "end": END, "step": STEP}
    return Item(name, {"start": both}, settings, quick=name in QUICK)


def path(item: Item) -> NDArray[np.float64]:
    """(P,) Å along z, evenly spaced."""
    s = item.settings
    return s["start"] + s["step"] * np.arange(round((s["end"] - s["start"]) / s["step"]) + 1)


def calculate(item: Item, calculator: Calculator) -> Values:
    """Energies (eV) and forces on what leaves (eV/Å), and the largest jump of the force on any atom."""
    leaves = slice(-item.settings["leaves"], None)
    z = path(item)
    structures = []
    for offset in z - z[0]:
        atoms = item.structures["start"].copy()
        atoms.positions[leaves, 2] += offset
        structures.append(atoms)
    points = evaluate(structures, calculator)
    energies = np.array([point.energy for point in points])
    forces = np.stack([point.forces for point in points])
    jumps = np.linalg.norm(beyond_slope(forces), axis=2).max(axis=1)
    worst = int(jumps.argmax())
    return {
        "energies": np.round(energies - energies[-1], 8).tolist(),
        "forces": np.round(forces[:, leaves, 2].sum(axis=1), 8).tolist(),
        "jump": float(jumps[worst]),
        "at": float(z[worst + 1]),
    }


def beyond_slope(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps between neighbouring points, less the mean of the step before and the one after.

    Of a smooth function this is -h³f'''/2, of one that jumps by J it is J, and at a kink where the slope
    changes by s it is hs/2.

    Args:
        values: (P, ...) at evenly spaced points.

    Returns:
        (P-3, ...), for the steps from points 1, 2, ...
    """
    steps = np.diff(values, axis=0)
    return steps[1:-1] - (steps[:-2] + steps[2:]) / 2.0


def energy_jump(energies: NDArray[np.float64], forces: NDArray[np.float64], step: float) -> float:
    """Largest change of the energy between neighbouring points beyond the work of the forces, eV.

    The work is the trapezium of the forces; what it leaves out, and a force that is not quite the gradient of
    the energy, is alike on neighbouring steps and taken off.
    """
    left = np.diff(energies) + step * (forces[:-1] + forces[1:]) / 2.0
    return float(np.abs(left[1:-1] - (left[:-2] + left[2:]) / 2.0).max())


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """The worst over all paths."""
    forces = {name: v["jump"] / UNITS["meV"] for name, v in values.items()}
    energies = {
        item.name: energy_jump(np.array(v["energies"]), np.array(v["forces"]), item.settings["step"])
        / UNITS["meV"]
        for item in inputs.items
        if (v := values.get(item.name)) is not None
    }
    return Findings(
        metrics={
            "Largest jump of force": max(forces.values(), default=None),
            "Largest jump of energy": max(energies.values(), default=None),
        },
        entries=[
            Entry(
                name=item.name,
                group=what,
                quantity=f"largest jump of {what}",
                unit=unit,
                reference=0.0,
                predicted=found.get(item.name),
                items=(item.name,),
                note=f"at {values[item.name]['at']:.2f} Å" if what == "force" and item.name in found else "",
            )
            for item in inputs.items
            for what, unit, found in (("force", "meV/Å", forces), ("energy", "meV", energies))
        ],
        curves=[
            Curve(
                name=item.name,
                x_label="distance / Å",
                y_label="force / eV/Å",
                x=tuple(path(item)[::EVERY].round(4).tolist()),
                y=tuple(values[item.name]["forces"][::EVERY]),
            )
            for item in inputs.items
            if item.name in values
        ],
    )


BENCHMARK = Benchmark(
    name="smoothness",
    title="Smoothness at the cutoff",
    domain="physicality",
    description=(
        "Four dimers, a Cu atom leaving Cu3 and a water molecule leaving another, drawn apart to 12 Å in "
        "steps of 0.01 Å: the largest change of a force between neighbouring points beyond the mean of the "
        "changes before and after, and the same of the energy less the work of the forces. Smooth curves "
        "show less than 1 meV/Å, a force with a kink half its change of slope times the step; no threshold "
        "is published, and it does not count in the score."
    ),
    reference=Reference(""),
    metrics=(
        Metric("Largest jump of force", "meV/Å", None, None, description="on any atom, over all paths"),
        Metric("Largest jump of energy", "meV", None, None, description="beyond the work of the forces"),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
)
