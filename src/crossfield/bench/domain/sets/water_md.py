"""Dynamics of a liquid in a cubic box: distances at constant volume, density at constant pressure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.nptberendsen import NPTBerendsen
from ase.md.velocitydistribution import Stationary
from numpy.typing import NDArray

from crossfield.bench.domain.benchmark import Item, NotConverged, Values
from crossfield.bench.domain.calculations import attached, density
from crossfield.simulate.relax import relax

PAIRS = (("O", "O"), ("O", "H"), ("H", "H"))
COMPRESSIBILITY = 4.5e-5  # 1/bar, of water; it only sets how fast the volume follows
HOTTEST, LARGEST = 10.0, 3.0  # times the temperature, and the volume, at which the liquid is lost


def calculate(item: Item, calculator: Calculator) -> Values:
    """g(r) by pair ("O-H"); or times (ps) and densities (g/cm³), equilibration included.

    Raises:
        NotConverged: the liquid did not stay together.
    """
    s = item.settings
    atoms = attached(item.structures["start"], calculator)
    if s["relaxation"]:
        atoms = relax(atoms, fmax=0.1, steps=s["relaxation"]).atoms
    random = np.random.default_rng(s["seed"])
    spread = np.sqrt(units.kB * s["temperature"] * atoms.get_masses())  # of each component of a momentum
    atoms.set_momenta(random.normal(size=(len(atoms), 3)) * spread[:, None])
    Stationary(atoms)
    return _distances(atoms, s, random) if s["ensemble"] == "NVT" else _density(atoms, s)


def radii(settings: Mapping[str, Any]) -> NDArray[np.float64]:
    """(B,) Å, middles of the bins of g(r)."""
    edges = np.linspace(0.0, settings["longest"], settings["bins"] + 1)
    return (edges[1:] + edges[:-1]) / 2.0


def _distances(atoms: Atoms, s: Mapping[str, Any], random: np.random.Generator) -> Values:
    """Langevin dynamics."""
    atoms.set_constraint(FixCom())
    runner = Langevin(
        atoms,
        s["timestep"] * units.fs,
        temperature_K=s["temperature"],
        friction=s["friction"] / units.fs,
        rng=random,
        fixcm=False,
    )
    watch = _Watch(atoms, s["temperature"])
    records: list[Mapping[str, NDArray[np.float64]]] = []
    for _ in range(_blocks(s["equilibration"], s)):
        runner.run(s["record"])
        watch.check()
    for _ in range(_blocks(s["length"], s)):
        runner.run(s["record"])
        watch.check()
        records.append(distribution(atoms, s["longest"], s["bins"]))
    return {
        "rdf": {pair: np.mean([g[pair] for g in records], axis=0).round(6).tolist() for pair in records[0]}
    }


def _density(atoms: Atoms, s: Mapping[str, Any]) -> Values:
    """Berendsen's thermostat and barostat at 1 bar: the mean is right, the fluctuations are not used."""
    runner = NPTBerendsen(
        atoms,
        s["timestep"] * units.fs,
        temperature_K=s["temperature"],
        pressure_au=1.0 * units.bar,
        taut=s["taut"] * units.fs,
        taup=s["taup"] * units.fs,
        compressibility_au=COMPRESSIBILITY / units.bar,
    )
    watch = _Watch(atoms, s["temperature"])
    densities = []
    for _ in range(_blocks(s["equilibration"] + s["length"], s)):
        runner.run(s["record"])
        watch.check()
        densities.append(density(atoms))
    time = s["record"] * s["timestep"] * 1e-3 * np.arange(1, len(densities) + 1)
    return {"time": time.round(4).tolist(), "density": np.round(densities, 6).tolist()}


def _blocks(picoseconds: float, s: Mapping[str, Any]) -> int:
    return round(picoseconds * 1e3 / (s["timestep"] * s["record"]))


class _Watch:
    """Ends a run that no longer is one of a liquid."""

    def __init__(self, atoms: Atoms, temperature: float) -> None:
        self._atoms, self._temperature, self._volume = atoms, temperature, atoms.get_volume()

    def check(self) -> None:
        temperature, volume = self._atoms.get_temperature(), self._atoms.get_volume()
        # comparisons with nan are false
        if temperature <= HOTTEST * self._temperature and volume <= LARGEST * self._volume:
            return
        raise NotConverged(f"the liquid did not stay together: {temperature:.0f} K, {volume:.0f} Å³")


def distribution(atoms: Atoms, longest: float, bins: int) -> dict[str, NDArray[np.float64]]:
    """g(r) of one state, by pair of elements ("O-H") of which there is one; 1 where there is no order.

    Args:
        atoms: in a cubic periodic cell.
        longest: Å, at most half of the cell's edge.
        bins: of equal width, from 0.
    """
    edge = float(atoms.cell.array[0, 0])
    offsets = atoms.positions[:, None] - atoms.positions
    r = np.linalg.norm(offsets - edge * np.round(offsets / edge), axis=2)
    upper = np.triu(np.ones(r.shape, dtype=bool), k=1)
    edges = np.linspace(0.0, longest, bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    symbols = np.array(atoms.get_chemical_symbols())
    found = {}
    for a, b in PAIRS:
        if not {a, b} <= set(symbols.tolist()) or (a == b and np.count_nonzero(symbols == a) < 2):
            continue
        either = (symbols[:, None] == a) & (symbols == b)
        chosen = upper & (either | either.T)
        counts, _ = np.histogram(r[chosen], edges)
        found[f"{a}-{b}"] = counts * edge**3 / (np.count_nonzero(chosen) * shells)
    return found
