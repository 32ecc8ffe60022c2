"""How long something takes: called again and again, each call timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.verlet import VelocityVerlet

TEMPERATURE = 300.0  # K
TIMESTEP = 1.0  # fs
STEPS = 40  # before a trajectory starts anew: light atoms have moved by an Å, and nothing has fallen apart


def _nothing() -> None:
    """What most jobs do before they begin."""


class Job(NamedTuple):
    """Something to time."""

    run: Callable[[], object]
    begin: Callable[[], object] = _nothing  # not timed: before the first call, and after every `lasts` calls
    lasts: int | None = None


def times(job: Job, seconds: float, *, at_least: int = 1) -> list[float]:
    """Time call after call until they add up to `seconds`; the time of each, s."""
    found: list[float] = []
    total = 0.0
    while len(found) < at_least or total < seconds:
        if not found or (job.lasts and len(found) % job.lasts == 0):
            job.begin()
        start = time.perf_counter()
        job.run()
        found.append(time.perf_counter() - start)
        total += found[-1]
    return found


def molecular_dynamics(atoms: Atoms, calculator: Calculator) -> Job:
    """A step of velocity Verlet in ASE, from thermal velocities, so that neighbours change as they do in use.

    Args:
        atoms: where it starts; not changed.
        calculator: any of ASE's.
    """
    state = atoms.copy()
    state.calc = calculator
    masses = state.get_masses()[:, None]
    momenta = np.sqrt(units.kB * TEMPERATURE * masses) * np.random.default_rng(0).normal(size=(len(state), 3))
    momenta -= masses / masses.sum() * momenta.sum(axis=0)  # the whole stays where it is
    positions = state.positions.copy()
    runner = VelocityVerlet(state, timestep=TIMESTEP * units.fs)

    def begin() -> None:
        state.positions = positions
        state.set_momenta(momenta)
        state.get_forces()

    return Job(runner.step, begin, STEPS)
