from __future__ import annotations

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from crossfield.bench.domain.benchmark import Item
from crossfield.bench.domain.desk import Desk, Job
from crossfield.bench.domain.sets.slab_rotation import BENCHMARK, calculate, views
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.pairs import Pairs, damaged, random_weights

FEW = {"seed": 1, "angles": [2.0, 30.0], "random": 2}


@pytest.fixture(scope="module")
def inputs():
    return BENCHMARK.inputs(Sources())


def slab(inputs, name):
    return next(item for item in inputs.items if item.name == name)


def test_views_are_the_same_crystal(inputs):
    """Distances to neighbours, and how many of each there are, per atom, are the same in all views."""
    atoms = slab(inputs, "LiF (001)").structures["slab"]
    expected = _neighbours(atoms)
    kinds = []
    for view in views(atoms, **FEW):
        kinds.append(view.kind)
        found = _neighbours(view.atoms)
        for own, where in enumerate(view.where):
            np.testing.assert_allclose(found[where], expected[own], atol=1e-9)
        assert view.atoms.numbers[view.where].tolist() == atoms.numbers.tolist()
        np.testing.assert_allclose(view.turn @ view.turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(view.turn) == pytest.approx(1.0)
    assert kinds == ["turned"] * 4 + ["rewritten"] * 9


def _neighbours(atoms):
    i, r = neighbor_list("id", atoms, 4.9)
    return [np.sort(r[i == k]) for k in range(len(atoms))]


def test_angles_are_as_asked(inputs):
    turned = [v for v in views(slab(inputs, "graphene").structures["slab"], **FEW) if v.kind == "turned"]
    angles = [np.degrees(np.arccos((np.trace(view.turn) - 1.0) / 2.0)) for view in turned]
    assert angles[:2] == [pytest.approx(2.0), pytest.approx(30.0)]


def test_no_force_vanishes(inputs):
    for item in inputs.items:
        atoms = item.structures["slab"].copy()
        atoms.calc = Pairs()
        assert np.linalg.norm(atoms.get_forces(), axis=1).min() > 1e-3


def test_a_pair_potential_passes(inputs):
    for item in inputs.items:
        values = calculate(Item(item.name, item.structures, FEW), Pairs())
        assert max(v for kind in values.values() for v in kind.values()) < 1e-11


def test_a_random_potential_passes(inputs):
    values = calculate(Item("graphene", slab(inputs, "graphene").structures, FEW), random_weights())
    assert max(v for kind in values.values() for v in kind.values()) < 1e-9


def test_an_energy_that_leans_is_found_by_rotation_alone(inputs):
    item = slab(inputs, "Cu (100)")
    values = {item.name: calculate(Item(item.name, item.structures, FEW), Pairs(leaning=1e-4))}
    found = BENCHMARK.analyse(inputs, values)
    assert found.metrics["Rotation max ΔE"] > 1.0
    assert found.metrics["Rotation max ΔF"] > 1.0
    assert found.metrics["Equivalent cells max ΔE"] == pytest.approx(0.0, abs=1e-8)
    assert found.metrics["Equivalent cells max ΔF"] == pytest.approx(0.0, abs=1e-8)


def test_an_energy_per_number_of_atoms_is_found_by_cells_alone(inputs):
    """ε N² / N: a cell of 4 times as many atoms costs 3 ε N more per atom."""
    item = slab(inputs, "Cu (100)")
    values = {item.name: calculate(Item(item.name, item.structures, FEW), Pairs(crowded=1e-5))}
    found = BENCHMARK.analyse(inputs, values)
    assert found.metrics["Rotation max ΔE"] == pytest.approx(0.0, abs=1e-8)
    assert found.metrics["Equivalent cells max ΔE"] == pytest.approx(3.0 * 16 * 1e-2, rel=1e-6)


def test_numbers_that_are_not_finite_reach_the_runner(inputs, tmp_path):
    item = Item("x", inputs.items[0].structures, FEW)
    job = Job("x", BENCHMARK.calculate, item, None)
    found = Desk(lambda: Pairs(damaged), None).outcome(job)
    assert found.status == "failed"


def test_nothing_calculated_gives_no_numbers(inputs):
    found = BENCHMARK.analyse(inputs, {})
    assert set(found.metrics.values()) == {None}
    assert {entry.predicted for entry in found.entries} == {None}
