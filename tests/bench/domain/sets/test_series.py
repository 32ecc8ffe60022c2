from __future__ import annotations

import numpy as np
from ase.build import bulk, molecule

from crossfield.bench.domain.sets.series import evaluate
from tests.bench.domain.sets.pairs import Pairs, random_weights


def test_batches_give_what_single_evaluations_give():
    cu = bulk("Cu", cubic=True)
    cu.rattle(0.1, seed=1)
    structures = [molecule("CH3OH"), cu, molecule("OH", info={"charge": -1, "spin": 1})]
    calculator = random_weights()
    together = evaluate(structures, calculator)
    for atoms, point in zip(structures, together):
        atoms.calc = calculator
        np.testing.assert_allclose(point.energy, atoms.get_potential_energy(), rtol=1e-12)
        np.testing.assert_allclose(point.forces, atoms.get_forces(), atol=1e-11)


def test_any_calculator_is_asked_one_by_one():
    structures = [bulk("Cu", a=a) for a in (3.5, 3.7)]
    calculator = Pairs()
    found = evaluate(structures, calculator)
    assert calculator.evaluations == 2
    assert all(atoms.calc is None for atoms in structures)
    assert found[0].energy != found[1].energy
