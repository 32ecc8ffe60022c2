from __future__ import annotations

import numpy as np
import pytest

from crossfield.bench.domain.scores import score
from crossfield.bench.domain.sets.locality import BENCHMARK, GHOST_NAME, calculate
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.pairs import Pairs, random_weights


@pytest.fixture(scope="module")
def inputs():
    return BENCHMARK.inputs(Sources())


def test_where_the_far_atoms_are(inputs):
    assert len(inputs.items) == 31
    for item in inputs.items:
        alone, both = item.structures["alone"], item.structures["with far atoms"]
        assert both[: len(alone)] == alone
        added = both[len(alone) :]
        r = np.linalg.norm(added.positions - alone.get_center_of_mass(), axis=1)
        if item.name == GHOST_NAME:
            assert len(added) == 20
            assert r.min() >= 40.0
            assert both.get_all_distances(mic=True)[: len(alone), len(alone) :].min() > 35.0
        else:
            assert added.get_chemical_formula() == "H"
            assert 20.0 <= r[0] <= 50.0
            assert both.get_all_distances(mic=True)[:-1, -1].min() > 8.0
    assert len({item.structures["with far atoms"].positions[-1, 0] for item in inputs.items[1:]}) == 30


def test_some_are_nearer_through_the_boundary_as_the_description_says(inputs):
    nearest = [
        item.structures["with far atoms"].get_all_distances(mic=True)[:-1, -1].min()
        for item in inputs.items[1:]
    ]
    assert sum(r < 20.0 for r in nearest) == 5
    assert min(nearest) == pytest.approx(15.5, abs=0.05)


def test_places_are_those_of_the_published_benchmark(inputs):
    """The first draws of the generator that is seeded with 42: 0.7739560, 0.4388784 and 0.8585979."""
    placed = inputs.items[1].structures["with far atoms"]
    offset = placed.positions[-1] - placed[:-1].get_center_of_mass()
    r = 20.0 + 30.0 * 0.7739560485559633
    assert np.linalg.norm(offset) == pytest.approx(r, rel=1e-12)
    assert offset[2] == pytest.approx(r * np.cos(np.pi * 0.8585979199113825), rel=1e-9)


def test_a_long_range_force_is_found(inputs):
    """Every far atom pushes with 0.4 meV/Å."""
    calculator = Pairs(pushed=4e-4)
    found = BENCHMARK.analyse(inputs, {item.name: calculate(item, calculator) for item in inputs.items})
    assert found.metrics["Ghost atoms max ΔF"] == pytest.approx(20 * 0.4, rel=1e-9)
    assert found.metrics["Random H mean ΔF"] == pytest.approx(0.4, rel=1e-9)
    assert found.metrics["Random H std ΔF"] == pytest.approx(0.0, abs=1e-9)
    assert score(BENCHMARK.metrics[0], found.metrics["Ghost atoms max ΔF"]) == 0.0
    assert score(BENCHMARK.metrics[1], found.metrics["Random H mean ΔF"]) == pytest.approx(1.0 - 0.4 / 5.0)


def test_spread_over_places(inputs):
    values = {inputs.items[k].name: {"changes": [1e-3 * k] * 10} for k in (1, 3)}
    found = BENCHMARK.analyse(inputs, values)
    assert found.metrics == {
        "Ghost atoms max ΔF": None,
        "Random H mean ΔF": pytest.approx(2.0),
        "Random H std ΔF": pytest.approx(1.0),
    }
    assert len(found.entries) == 31
    assert sum(entry.predicted is None for entry in found.entries) == 29


def test_a_message_passing_potential_is_local(inputs):
    calculator = random_weights()
    for item in inputs.items[1:2]:
        assert np.max(calculate(item, calculator)["changes"]) < 1e-13
    atoms = inputs.items[1].structures["alone"].copy()
    atoms.calc = calculator
    assert np.abs(atoms.get_forces()).max() > 1e-3  # it does push its own atoms
