"""Locality: forces on a molecule must not feel atoms that are 15 Å and more away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.results import Entry
from crossfield.bench.domain.sets.differences import UNITS
from crossfield.bench.domain.sets.series import evaluate
from crossfield.bench.domain.sources import Sources

CUBE = 60.0  # Å
SEED = 42
GHOSTS, GHOSTS_FROM = 20, 40.0  # Å from the centre of mass: in the corners of the cube
TRIALS, H_FROM, H_TO = 30, 20.0, 50.0  # Å
GHOST_NAME = "20 Ne"


def inputs(sources: Sources) -> Inputs:
    """Acetone alone, and with 20 Ne, or with one H at each of 30 places."""
    alone = molecule("CH3COCH3", cell=[CUBE] * 3, pbc=True)
    alone.center()
    far = {GHOST_NAME: Atoms(["Ne"] * GHOSTS, [*_ghosts(alone.get_center_of_mass())])}
    places = _shell(alone.get_center_of_mass())
    far |= {f"H {i + 1:02d}": Atoms("H", [next(places)]) for i in range(TRIALS)}
    return Inputs(
        items=[
            Item(name, {"alone": alone.copy(), "with far atoms": alone + atoms}, quick=True)
            for name, atoms in far.items()
        ]
    )


def calculate(item: Item, calculator: Calculator) -> Values:
    """By how much the force on each atom of the molecule changes, eV/Å."""
    pair = [item.structures["alone"], item.structures["with far atoms"]]
    alone, both = evaluate(pair, calculator, tables=False)
    changes = both.forces[: len(alone.forces)] - alone.forces
    return {"changes": np.linalg.norm(changes, axis=1).tolist()}


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """The largest change by ghosts, and means over the molecule by trials with H."""
    milli = {name: np.array(found["changes"]) / UNITS["meV"] for name, found in values.items()}
    trials = [milli[item.name].mean() for item in inputs.items[1:] if item.name in milli]
    entries = []
    for item in inputs.items:
        ghosts = item.name == GHOST_NAME
        found = milli.get(item.name)
        taken = None if found is None else float(found.max() if ghosts else found.mean())
        entries.append(
            Entry(
                name=f"acetone and {item.name}",
                group="ghost atoms" if ghosts else "random H",
                quantity="largest change of force" if ghosts else "mean change of force",
                unit="meV/Å",
                reference=0.0,
                predicted=taken,
                items=(item.name,),
            )
        )
    return Findings(
        metrics={
            "Ghost atoms max ΔF": float(milli[GHOST_NAME].max()) if GHOST_NAME in milli else None,
            "Random H mean ΔF": float(np.mean(trials)) if trials else None,
            "Random H std ΔF": float(np.std(trials)) if trials else None,
        },
        entries=entries,
    )


def _ghosts(centre: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    random = np.random.default_rng(SEED)
    left = GHOSTS
    while left:
        place = random.uniform(0.0, CUBE, size=3)
        if np.linalg.norm(place - centre) >= GHOSTS_FROM:
            left -= 1
            yield place


def _shell(centre: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Places with uniform distance and angles; through the boundary of the cube some are nearer."""
    random = np.random.default_rng(SEED)
    while True:
        r = random.uniform(H_FROM, H_TO)
        azimuth, polar = random.uniform(0.0, 2.0 * np.pi), random.uniform(0.0, np.pi)
        direction = [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)]
        yield centre + r * np.array(direction)


BENCHMARK = Benchmark(
    name="locality",
    title="Locality",
    domain="physicality",
    description=(
        "Changes of the forces on acetone in a periodic cube of 60 Å when 20 Ne atoms are added 40 Å and "
        "more from its centre, or one H atom at 30 random places 20 to 50 Å from it, as in ML-PEG (with the "
        "G2 geometry). Through the boundary of the cube five of these are less than 20 Å from an atom, and "
        "the nearest 15.5 Å; a model without interactions of this range changes nothing. Radial functions "
        "of potentials of ours are evaluated, not taken from tables."
    ),
    reference=Reference(""),
    metrics=(
        Metric("Ghost atoms max ΔF", "meV/Å", 0.0, 5.0, description="largest over the atoms of the molecule"),
        Metric("Random H mean ΔF", "meV/Å", 0.0, 5.0, description="mean over atoms, then over places of H"),
        Metric("Random H std ΔF", "meV/Å", 0.0, 5.0, description="standard deviation over places of H"),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
)
