from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from crossfield.bench.domain.benchmark import Item
from crossfield.bench.domain.desk import Desk, Job
from crossfield.bench.domain.scores import benchmark_score, scored
from crossfield.bench.domain.sets.nve import BENCHMARK, calculate
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.pairs import Pairs, damaged, smooth_well

SHORT = {"temperature": 300.0, "timestep": 2.0, "relaxation": 5, "warm_up": 0.1, "length": 0.4, "seed": 1}


@pytest.fixture(scope="module")
def inputs():
    return BENCHMARK.inputs(Sources())


def copper(**changes: float) -> Item:
    return Item("Cu 32", {"start": bulk("Cu", a=3.61, cubic=True)}, SHORT | changes)


def test_systems(inputs):
    sizes = {item.name: len(item.structures["start"]) for item in inputs.items}
    assert sizes == {"Cu 32": 32, "ethanol": 9, "Si 64": 64, "NaCl 64": 64, "water 16": 48}
    water = inputs.items[-1].structures["start"]
    assert water.get_masses().sum() / water.get_volume() / 0.60221 == pytest.approx(1.0, abs=0.01)
    near = water.get_all_distances(mic=True)
    oxygen = water.numbers == 8
    assert near[np.ix_(oxygen, oxygen)][near[np.ix_(oxygen, oxygen)] > 0].min() > 3.0
    assert [item.settings["timestep"] for item in inputs.items] == [2.0, 0.5, 2.0, 2.0, 0.5]


def test_a_conserved_energy_hardly_drifts(inputs):
    values = calculate(copper(), EMT())
    assert not values["apart"]
    assert abs(values["drift"]) < 5e-4
    assert 100.0 < values["temperature"] < 600.0
    assert values["time"][-1] == pytest.approx(0.4, abs=0.01)
    assert np.ptp(values["total"]) > 0.0


def test_the_size_of_a_drift_is_right(inputs):
    """10⁻⁵ eV/atom in every step of 2 fs is 5 meV/atom/ps."""

    def still(r):
        return np.zeros(r.shape), np.zeros(r.shape)

    found = BENCHMARK.analyse(
        inputs, {"Cu 32": calculate(copper(relaxation=0, length=0.1), Pairs(still, rising=1e-5))}
    )
    assert found.metrics["Largest drift"] == pytest.approx(5.0, rel=1e-6)
    assert found.metrics["Mean drift"] == pytest.approx(5.0, rel=1e-6)
    assert len(found.entries) == 5
    assert sum(entry.predicted is None for entry in found.entries) == 4


def test_forces_without_an_energy_are_found():
    """A dimer in a plane of a swirl gains energy; on a spring alone it does not."""
    dimer = Item("Cu2", {"start": Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]])}, SHORT | {"relaxation": 0})

    def spring(r):
        return 2.0 * (r - 2.5) ** 2, 4.0 * (r - 2.5)

    drifts = [abs(calculate(dimer, Pairs(spring, 20.0, swirling=s))["drift"]) for s in (0.0, 0.1)]
    assert drifts[1] > max(10.0 * drifts[0], 1e-3)


def test_a_run_that_explodes_ends_and_is_told(inputs):
    values = calculate(copper(relaxation=0), Pairs(smooth_well, swirling=50.0))
    assert values["apart"]
    assert values["time"][-1] < 0.4
    found = BENCHMARK.analyse(inputs, {"Cu 32": values})
    assert found.metrics["Largest drift"] > 1000.0
    assert "ran away" in found.notes[0]


def test_numbers_that_are_not_finite_fail(inputs, tmp_path):
    job = Job("x", BENCHMARK.calculate, copper(), None)
    found = Desk(lambda: Pairs(damaged), None).outcome(job)
    assert found.status == "failed"


def test_runs_are_the_same_again():
    a, b = (calculate(copper(length=0.1), EMT()) for _ in range(2))
    assert a == b
    assert a["drift"] != calculate(copper(length=0.1, seed=2), EMT())["drift"]


def test_it_is_shown_and_does_not_count(inputs):
    found = BENCHMARK.analyse(inputs, {"Cu 32": calculate(copper(length=0.1), EMT())})
    metrics = scored(BENCHMARK.metrics, found.metrics)
    assert all(metric.score is not None for metric in metrics)
    assert benchmark_score(metrics) is None
    assert all(dataclasses.replace(m, weight=1.0).good == 0.0 for m in BENCHMARK.metrics)
