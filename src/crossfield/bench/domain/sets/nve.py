"""Conservation of energy in molecular dynamics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.calculations import attached
from crossfield.bench.domain.results import Curve, Entry
from crossfield.bench.domain.sets.differences import UNITS
from crossfield.bench.domain.sources import Sources
from crossfield.simulate.md import nve
from crossfield.simulate.relax import relax

TEMPERATURE = 300.0  # K
BOX = 30.0  # Å; not periodic, for calculators that want a cell in any case
APART = 1.0  # eV/atom of change of the total energy, where a run is given up
RECORDS = 200


class _Apart(Exception):
    """The total energy has left its value; the run so far says enough."""


def inputs(sources: Sources) -> Inputs:
    """A metal, a semiconductor, a salt, a molecule and a small periodic box of water."""
    ethanol = molecule("CH3CH2OH", cell=[BOX] * 3)
    systems = {
        "Cu 32": (bulk("Cu", a=3.61, cubic=True) * 2, 2.0, True),
        "ethanol": (ethanol, 0.5, False),
        "Si 64": (bulk("Si", a=5.43, cubic=True) * 2, 2.0, False),
        "NaCl 64": (bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 2, 2.0, False),
        "water 16": (_water(), 0.5, False),
    }
    return Inputs(
        items=[
            Item(name, {"start": start}, _settings(step), quick)
            for name, (start, step, quick) in systems.items()
        ]
    )


def _settings(timestep: float) -> dict[str, float]:
    return {
        "temperature": TEMPERATURE,  # K
        "timestep": timestep,  # fs
        "relaxation": 50,  # steps at most
        "warm_up": 0.2,  # ps
        "length": 2.0,  # ps
        "seed": 1,
    }


def _water() -> Atoms:
    """16 molecules on a body-centred grid, turned at random, at the density of the liquid."""
    edge = 7.82  # Å
    rng = np.random.default_rng(3)
    box = Atoms(cell=[edge] * 3, pbc=True)
    corners = np.array([*np.ndindex(2, 2, 2)], dtype=float)
    for corner in np.concatenate([corners, corners + 0.5]) * edge / 2:
        water = molecule("H2O")
        water.rotate(float(rng.uniform(0.0, 360.0)), rng.normal(size=3), center="COM")
        water.translate(corner - water.get_center_of_mass())
        box += water
    return box


def calculate(item: Item, calculator: Calculator) -> Values:
    """Slope of the total energy (eV/atom/ps), temperature (K), and total energy over time (ps, eV/atom).

    The structure is relaxed a little, warmed by velocities of twice the temperature, half of which goes into
    the potential energy, and given new velocities for the run that is measured. A run, that to warm up
    included, ends where its energy runs away.
    """
    s = item.settings
    start = attached(item.structures["start"], calculator)
    if s["relaxation"]:
        start = relax(start, fmax=0.05, steps=s["relaxation"]).atoms
    run = _run(start, 2.0 * s["temperature"], s["warm_up"], s["timestep"], s["seed"])
    if not run.apart:
        run.last.calc = calculator
        run = _run(run.last, s["temperature"], s["length"], s["timestep"], s["seed"] + 1)
    total = np.array(run.total)
    thinned = slice(None, None, max(len(total) // RECORDS, 1))
    return {
        "drift": float(np.polyfit(run.time, total, 1)[0]),
        "temperature": float(run.last.get_temperature()),
        "apart": run.apart,
        "time": np.round(run.time[thinned], 5).tolist(),
        "total": np.round((total - total[0])[thinned], 9).tolist(),
    }


class _Run(NamedTuple):
    time: list[float]  # (T,) ps
    total: list[float]  # (T,) eV/atom
    last: Atoms
    apart: bool  # whether energy ran away


def _run(start: Atoms, temperature: float, picoseconds: float, timestep: float, seed: int) -> _Run:
    time: list[float] = []
    total: list[float] = []
    last = start
    apart = False

    def watch(state: Atoms) -> None:
        nonlocal last
        time.append(len(time) * timestep / 1000.0)
        total.append(float(state.get_total_energy()) / len(state))
        last = state
        # a comparison with nan is false, and the runner must see it
        if not abs(total[-1] - total[0]) <= APART:
            raise _Apart

    try:
        nve(
            start,
            temperature=temperature,
            picoseconds=picoseconds,
            timestep=timestep,
            seed=seed,
            on_record=watch,
        )
    except _Apart:
        apart = True
    return _Run(time, total, last.copy(), apart)


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Absolute drifts, their mean and the largest."""
    drifts = {name: abs(v["drift"]) / UNITS["meV"] for name, v in values.items()}
    return Findings(
        metrics={
            "Largest drift": max(drifts.values(), default=None),
            "Mean drift": float(np.mean([*drifts.values()])) if drifts else None,
        },
        entries=[
            Entry(
                name=item.name,
                quantity="drift of the total energy",
                unit="meV/atom/ps",
                reference=0.0,
                predicted=drifts.get(item.name),
                items=(item.name,),
                note=f"{values[item.name]['temperature']:.0f} K at the end" if item.name in values else "",
            )
            for item in inputs.items
        ],
        curves=[
            Curve(
                name=item.name,
                x_label="time / ps",
                y_label="total energy − that at the start / meV/atom",
                x=tuple(values[item.name]["time"]),
                y=tuple(E / UNITS["meV"] for E in values[item.name]["total"]),
            )
            for item in inputs.items
            if item.name in values
        ],
        notes=[f"{name}: the energy ran away, and the run ended" for name, v in values.items() if v["apart"]],
    )


BENCHMARK = Benchmark(
    name="nve",
    title="Conservation of energy",
    domain="physicality",
    description=(
        "Slope of the total energy over 2 ps of velocity Verlet at about 300 K (0.5 fs with hydrogen, else "
        "2 fs) of Cu, Si, NaCl, ethanol and water, after a short relaxation and 0.2 ps to warm up; "
        "potentials of ours take radial functions from tables, as in production. Fluctuations of the "
        "integrator alone are worth 0.01 to 0.1 meV/atom/ps. The threshold is ML-PEG's for the drift, which "
        "has no weight there, nor has it in the global score of arXiv:2510.25380."
    ),
    reference=Reference(""),
    metrics=(
        Metric("Largest drift", "meV/atom/ps", 0.0, 1.0, weight=0.0),
        Metric("Mean drift", "meV/atom/ps", 0.0, 1.0, weight=0.0),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
)
