from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from crossfield.bench.domain.benchmark import Inputs, Item
from crossfield.bench.domain.sets.smoothness import BENCHMARK, beyond_slope, calculate, energy_jump, path
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.pairs import Pairs, random_weights


@pytest.fixture(scope="module")
def inputs():
    return BENCHMARK.inputs(Sources())


def dimer(start: float, end: float, symbols: str = "Cu2") -> Item:
    atoms = Atoms(symbols, [[0, 0, 0], [0, 0, start]], cell=[40] * 3)
    return Item("Cu-Cu", {"start": atoms}, {"leaves": 1, "start": start, "end": end, "step": 0.01})


def metrics(calculator, start=3.6, end=4.4):
    item = dimer(start, end)
    return BENCHMARK.analyse(Inputs(items=[item]), {"Cu-Cu": calculate(item, calculator)}).metrics


def test_paths_lead_through_all_cutoffs(inputs):
    assert len(inputs.items) == 6
    for item in inputs.items:
        z = path(item)
        assert z[-1] == pytest.approx(12.0)
        np.testing.assert_allclose(np.diff(z), 0.01, atol=1e-12)
        leaves = item.settings["leaves"]
        atoms = item.structures["start"]
        between = atoms.get_all_distances()[:-leaves, -leaves:]
        assert 1.6 < between.min() < 3.1


def test_smooth_functions_have_no_jumps():
    x = 0.01 * np.arange(200)
    np.testing.assert_allclose(beyond_slope(3.0 * x**2 - x), 0.0, atol=1e-14)  # exact up to second order
    np.testing.assert_allclose(beyond_slope(x**3), -3e-6, atol=1e-14)  # -h³ f'''/2
    np.testing.assert_allclose(np.abs(beyond_slope(np.maximum(x, 1.0))).max(), 0.005)  # a kink of slope 1
    assert energy_jump(np.cos(x), np.sin(x), 0.01) < 1e-9


def test_a_smooth_pair_potential_passes():
    found = metrics(Pairs(), 4.6, 5.2)
    assert found["Largest jump of force"] < 0.1
    assert found["Largest jump of energy"] < 1e-3


def test_a_force_that_ends_at_the_cutoff_is_found():
    """Slope 7 meV/Å up to 4.005 Å, where energy, not force, has come to zero."""

    def ramp(r):
        return 7e-3 * (r - 4.005), np.full(r.shape, 7e-3)

    found = metrics(Pairs(ramp, 4.005))
    assert found["Largest jump of force"] == pytest.approx(7.0, rel=1e-5)
    assert found["Largest jump of energy"] < 0.05
    values = calculate(dimer(3.6, 4.4), Pairs(ramp, 4.005))
    assert values["at"] == pytest.approx(4.0)
    assert values["forces"][0] == pytest.approx(-7e-3)


def test_an_energy_that_ends_at_the_cutoff_is_found():
    def plateau(r):
        return np.full(r.shape, -2e-3), np.zeros(r.shape)

    found = metrics(Pairs(plateau, 4.005))
    assert found["Largest jump of force"] == 0.0
    assert found["Largest jump of energy"] == pytest.approx(2.0, rel=1e-5)


def test_a_random_potential_is_smooth_through_its_cutoff():
    """The force falls to zero at 4.5 Å, by steps of which none stands out."""
    values = calculate(dimer(4.35, 4.55), random_weights())
    largest_step = np.abs(np.diff(values["forces"])).max()
    assert values["jump"] < 0.1 * largest_step
    assert abs(values["forces"][0]) > 1e-5
    assert values["forces"][-1] == 0.0
    assert values["energies"][-1] == 0.0


def test_only_what_was_calculated_counts(inputs):
    found = BENCHMARK.analyse(inputs, {})
    assert set(found.metrics.values()) == {None}
    assert not found.curves
    assert len(found.entries) == 12
