from __future__ import annotations

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.mixing import SumCalculator

from crossfield.bench.domain.sets.tabulated import tabulated
from crossfield.inference.prepared import ACCURACY
from tests.bench.domain.sets.pairs import Pairs, random_weights


def test_ours_is_the_same_potential_with_tables():
    exact = random_weights()
    fast = tabulated(exact)
    assert exact.potential.table_accuracy is None
    assert fast.potential.table_accuracy == ACCURACY
    assert fast.head == exact.head
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    found = []
    for calculator in (exact, fast):
        atoms.calc = calculator
        found.append((atoms.get_potential_energy() / len(atoms), atoms.get_forces()))
    assert abs(found[0][0] - found[1][0]) < 2.0 * ACCURACY
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-4)


def test_others_are_left_alone_and_sums_are_taken_apart():
    emt, pairs = EMT(), Pairs()
    assert tabulated(emt) is emt
    both = tabulated(SumCalculator([random_weights(), pairs]))
    ours, same = both.mixer.calcs
    assert ours.potential.table_accuracy == ACCURACY
    assert same is pairs
