from __future__ import annotations

import numpy as np
import pytest

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.desk import Desk, Job
from crossfield.bench.domain.scores import score
from crossfield.bench.domain.sets.diatomics import BENCHMARK, ELEMENTS, calculate, distances, shape
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.pairs import Pairs, damaged, morse

GRID = np.linspace(0.18, 6.0, 100)


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return BENCHMARK.inputs(Sources())


def pick(inputs, *names):
    return [item for item in inputs.items if item.name in names]


def analysed(inputs, calculator, *names):
    return BENCHMARK.analyse(inputs, {i.name: calculate(i, calculator) for i in pick(inputs, *names)})


def test_every_pair_of_elements_once(inputs):
    assert len(inputs.items) == len({item.name for item in inputs.items}) == 89 * 90 // 2
    assert len(ELEMENTS) == 89
    assert {"H-H", "H-C", "C-O", "Na-Cl", "Bi-Bi", "Pu-Pu"} <= {item.name for item in inputs.items}
    assert not {"Po-Po", "C-H"} & {item.name for item in inputs.items}
    assert all(len(item.structures["pair"]) == 2 for item in inputs.items)


def test_quick_part(inputs):
    quick = [item.name for item in inputs.items if item.quick]
    assert len(quick) == 40
    assert {"H-H", "Ca-Ca", "C-O", "Na-Cl", "S-Zn", "Al-Ni"} <= set(quick)


def test_grid(inputs):
    np.testing.assert_allclose(distances(inputs.items[0]), GRID, rtol=1e-15)


def test_a_morse_curve_is_perfect(inputs):
    found = analysed(inputs, Pairs(morse, 20.0), "H-H", "C-O")
    assert found.metrics == {
        "Force flips": 1.0,
        "Energy minima": 1.0,
        "Energy inflections": 1.0,
        "ρ(E, repulsion)": pytest.approx(-1.0),
        "ρ(E, attraction)": pytest.approx(1.0),
    }
    assert all(
        score(metric, found.metrics[metric.name]) in (None, pytest.approx(1.0))
        for metric in BENCHMARK.metrics
    )


def test_force_is_that_on_the_second_atom_and_energy_ends_at_zero(inputs):
    values = calculate(pick(inputs, "C-O")[0], Pairs(morse, 20.0))
    energy, slope = morse(GRID)
    np.testing.assert_allclose(values["forces"], -slope, atol=1e-6)
    np.testing.assert_allclose(values["energies"], energy - energy[-1], atol=1e-6)


def test_a_second_well_is_counted():
    """cos: minima at π and 3π, within 0.18 to 12 Å; the force changes its sign at π, 2π, 3π."""
    r = np.linspace(0.18, 12.0, 300)
    s = shape(r, 3.0 * np.cos(r), 3.0 * np.sin(r))
    assert (s.flips, s.minima) == (3, 2)
    assert s.inflections == 4  # π/2, 3π/2, 5π/2, 7π/2
    assert s.repulsion == pytest.approx(-1.0)
    assert s.attraction is not None
    assert abs(s.attraction) < 0.9


def test_small_wiggles_do_not_count():
    """Amplitudes of 0.04 eV (no minimum of prominence 0.1 eV) and forces under 0.01 eV/Å."""
    E, F = morse(GRID)
    assert shape(GRID, E + 0.004 * np.cos(GRID), -F + 0.004 * np.sin(GRID))[:3] == (1, 1, 1)


def test_a_hole_at_short_distance_is_seen():
    """Energy falls again below 0.8 Å, as where a model was never trained."""
    wall, hole = GRID > 0.8, GRID <= 0.8
    E, slope = morse(GRID)
    E[hole] = morse(np.array([0.8]))[0] - 50.0 * (0.8 - GRID[hole])
    slope[hole] = 50.0
    s = shape(GRID, E, -slope)
    assert s.flips == 2
    assert s.minima == 1
    assert s.repulsion == 1.0  # there is no wall
    assert s.attraction is not None
    assert s.attraction < 0.9
    assert shape(GRID[wall], E[wall], -slope[wall]).flips == 1


def test_correlations_that_do_not_exist():
    flat = shape(GRID, np.zeros(100), np.zeros(100))
    assert flat == (0, 0, 0, None, None)
    wall = shape(GRID, 1.0 / GRID, 1.0 / GRID**2)
    assert wall[:2] == (0, 0)
    assert wall.attraction is None
    assert wall.repulsion == pytest.approx(-1.0)


def test_means_over_pairs_and_the_worst_curves_shown(inputs):
    good, bad = pick(inputs, "H-H", "C-O")

    def ripple(r):
        return 3.0 * np.cos(3.0 * r), -9.0 * np.sin(3.0 * r)

    values = {good.name: calculate(good, Pairs(morse, 20.0)), bad.name: calculate(bad, Pairs(ripple, 20.0))}
    found = BENCHMARK.analyse(inputs, values)
    flips = {entry.name: entry.predicted for entry in found.entries}
    assert flips["H-H"] == 1.0
    assert flips["C-O"] == 5.0  # π/3, 2π/3, ... 5π/3
    assert found.metrics["Force flips"] == 3.0
    assert [curve.name for curve in found.curves] == ["H-H", "C-O"]
    assert found.curves[0].y[0] is None  # 40 eV and more is left out
    assert "2 pairs" in found.notes[0]


def test_without_values_there_are_no_numbers(inputs):
    found = BENCHMARK.analyse(inputs, {})
    assert set(found.metrics.values()) == {None}
    assert not found.entries


def test_a_curve_that_is_not_finite_fails(inputs, tmp_path):
    item = inputs.items[0]
    job = Job("x", BENCHMARK.calculate, item, None)
    found = Desk(lambda: Pairs(damaged, 20.0), None).outcome(job)
    assert found.status == "failed"
    assert "finite" in found.reason
