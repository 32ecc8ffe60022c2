from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from crossfield.bench.domain.benchmark import Item
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.extensivity import BENCHMARK, MOLECULES, SLABS
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.pairs import Pairs, random_weights


@pytest.fixture(scope="module")
def inputs():
    return BENCHMARK.inputs(Sources())


def test_slabs_are_far_apart_in_one_cell(inputs):
    slabs = inputs.items[0].structures
    assert [len(atoms) for atoms in slabs.values()] == [128, 128, 256]
    assert slabs["both"].get_chemical_formula() == "Al128Ni128"
    cells = [atoms.cell.array for atoms in slabs.values()]
    np.testing.assert_array_equal(cells[0], cells[1])
    np.testing.assert_array_equal(cells[0], cells[2])
    height = {name: np.sort(atoms.positions[:, 2]) for name, atoms in slabs.items()}
    assert np.ptp(height["first"]) == pytest.approx(7 * 4.05 / np.sqrt(3), rel=1e-6)
    assert height["second"][0] - height["first"][-1] == pytest.approx(83.6, abs=0.05)  # as described
    molecules = inputs.items[1].structures["both"].get_all_distances(mic=True)
    assert molecules[:9, 9:].min() == pytest.approx(95.7, abs=0.05)
    assert [item.scored for item in inputs.items] == [True, False]
    assert cells[0][2, 2] - height["second"][-1] + height["first"][0] > 100.0


def test_energy_that_does_not_add_up_is_found(inputs):
    """(2 N)² - N² - N² = 2 N² for slabs of N atoms; 2 N M for molecules of N and M."""
    calculator = Pairs(crowded=1e-7)
    found = BENCHMARK.analyse(inputs, {item.name: energies(item, calculator) for item in inputs.items})
    assert found.metrics["ΔE"] == pytest.approx(1e-4 * 2 * 128**2, rel=1e-6)
    assert found.metrics["ΔE, molecules"] == pytest.approx(1e-4 * 2 * 9 * 12, rel=1e-6)


def test_a_pair_potential_adds_up(inputs):
    found = BENCHMARK.analyse(inputs, {item.name: energies(item, Pairs()) for item in inputs.items})
    assert found.metrics["ΔE"] == pytest.approx(0.0, abs=1e-7)
    assert found.metrics["ΔE, molecules"] == pytest.approx(0.0, abs=1e-9)


def test_a_random_potential_adds_up(inputs):
    first, second = bulk("Al", cubic=True), bulk("Cu", cubic=True)
    second.positions[:, 2] += 40.0
    structures = {"first": first, "second": second, "both": first + second}
    for atoms in structures.values():
        atoms.set_cell([4.05, 4.05, 80.0], scale_atoms=False)
    calculator = random_weights()
    slabs = energies(Item(SLABS, structures), calculator)
    found = BENCHMARK.analyse(inputs, {SLABS: slabs, MOLECULES: energies(inputs.items[1], calculator)})
    assert found.metrics["ΔE"] == pytest.approx(0.0, abs=1e-8)
    assert found.metrics["ΔE, molecules"] == pytest.approx(0.0, abs=1e-8)


def test_missing_slabs_are_no_zero(inputs):
    found = BENCHMARK.analyse(inputs, {MOLECULES: {"first": -1.0, "second": -2.0, "both": -3.0025}})
    assert found.metrics == {"ΔE": None, "ΔE, molecules": pytest.approx(2.5)}
    assert [entry.predicted for entry in found.entries] == [None, pytest.approx(2.5)]
