from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from crossfield.bench.timing import STEPS, Job, molecular_dynamics, times


def test_a_job_is_called_at_least_as_often_as_asked() -> None:
    calls: list[int] = []
    found = times(Job(lambda: calls.append(1)), 0.0, at_least=3)
    assert len(calls) == len(found) == 3
    assert all(time >= 0.0 for time in found)


def test_a_job_is_called_until_the_time_is_over() -> None:
    found = times(Job(lambda: sum(range(1000))), 0.01)
    assert sum(found) >= 0.01
    assert sum(found[:-1]) < 0.01


def test_a_job_begins_anew_after_its_calls() -> None:
    log: list[str] = []
    times(Job(lambda: log.append("run"), lambda: log.append("begin"), 2), 0.0, at_least=5)
    assert log == ["begin", "run", "run", "begin", "run", "run", "begin", "run"]


def test_molecular_dynamics_moves_a_copy_and_starts_where_it_did() -> None:
    atoms = bulk("Cu", cubic=True)
    seen: list[Atoms] = []

    class Watched(EMT):
        def calculate(self, atoms: Atoms, *arguments: object) -> None:
            seen.append(atoms.copy())
            super().calculate(atoms, *arguments)

    before = atoms.positions.copy()
    job = molecular_dynamics(atoms, Watched())
    times(job, 0.0, at_least=STEPS + 1)
    assert np.array_equal(atoms.positions, before)
    assert atoms.calc is None
    assert len(seen) == STEPS + 3  # two beginnings
    assert np.array_equal(seen[0].positions, seen[STEPS + 1].positions)
    assert np.array_equal(seen[1].positions, seen[STEPS + 2].positions)
    moved = np.linalg.norm(seen[STEPS].positions - before, axis=1)
    assert 0.0 < moved.max() < 2.0


def test_a_single_atom_stays_where_it_is() -> None:
    job = molecular_dynamics(Atoms("Cu"), EMT())
    assert len(times(job, 0.0, at_least=2)) == 2
