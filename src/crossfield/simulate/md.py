"""Molecular dynamics at constant energy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trajectory:
    """T recorded states of an NVE run, the first one at the start."""

    time: NDArray[np.float64]  # (T,) fs
    potential: NDArray[np.float64]  # (T,) eV
    kinetic: NDArray[np.float64]  # (T,) eV
    frames: list[Atoms]

    @property
    def total(self) -> NDArray[np.float64]:
        """(T,) eV; constant but for the integration error."""
        return self.potential + self.kinetic

    @property
    def drift(self) -> float:
        """Slope of the total energy, eV/atom/ps."""
        slope = np.polyfit(self.time, self.total, 1)[0]
        return float(slope * 1000.0 / len(self.frames[0]))

    @property
    def largest_jump(self) -> float:
        """Largest change of the total energy between records, eV/atom."""
        return float(np.abs(np.diff(self.total)).max() / len(self.frames[0]))


def nve(
    atoms: Atoms,
    *,
    temperature: float,
    picoseconds: float,
    timestep: float = 0.5,
    record: int = 1,
    seed: int = 0,
    on_record: Callable[[Atoms], None] | None = None,
) -> Trajectory:
    """Velocity Verlet from Maxwell-Boltzmann velocities, without net momentum (nor rotation, if isolated).

    Args:
        atoms: structure with a calculator; a copy is propagated.
        temperature: of the initial velocities, K.
        picoseconds: length.
        timestep: fs.
        record: steps between records.
        seed: of the velocities.
        on_record: called with the state at each record.
    """
    state = atoms.copy()
    state.calc = atoms.calc
    spread = np.sqrt(units.kB * temperature * state.get_masses())  # of each component of a momentum
    state.set_momenta(np.random.default_rng(seed).normal(size=(len(state), 3)) * spread[:, None])
    if len(state) == 1:
        state.set_momenta(np.zeros((1, 3)))  # ASE would rescale what remains of it, and that is nothing
    else:
        Stationary(state)
        if not state.pbc.any():
            with np.errstate(invalid="ignore"):  # 0/0 for a linear molecule about its axis, which ASE drops
                ZeroRotation(state)
    time: list[float] = []
    potential: list[float] = []
    kinetic: list[float] = []
    frames: list[Atoms] = []

    def keep() -> None:
        time.append(runner.get_time() / units.fs)
        potential.append(state.get_potential_energy())
        kinetic.append(state.get_kinetic_energy())
        frames.append(state.copy())
        if on_record is not None:
            on_record(state)

    runner = VelocityVerlet(state, timestep=timestep * units.fs)
    runner.attach(keep, interval=record)
    runner.run(round(picoseconds * 1000.0 / timestep))
    return Trajectory(np.array(time), np.array(potential), np.array(kinetic), frames)
