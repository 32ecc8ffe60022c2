from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes

from crossfield.bench.domain.benchmark import Item
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.dispersion import with_dispersion
from crossfield.bench.domain.sets import diatomics, locality, series, slab_rotation, smoothness
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


def test_only_curves_and_locality_are_evaluated_without_tables(monkeypatch):
    """Tables take longer to make than they save there; elsewhere models are used as users do."""
    made = []
    monkeypatch.setattr(series, "_without_tables", lambda potential: made.append(potential) or potential)
    calculator = random_weights()
    without = {}
    for module in (diatomics, locality, smoothness, slab_rotation):
        made.clear()
        settings = {"shortest": 1.0, "longest": 2.0, "points": 3, "start": 2.0, "end": 2.05, "step": 0.01}
        settings |= {"leaves": 1, "seed": 1, "angles": [], "random": 1}
        if module is slab_rotation:
            settings = {name: settings[name] for name in ("seed", "angles", "random")}
        structures = dict.fromkeys(
            ("pair", "start", "alone", "with far atoms", "slab"), bulk("Cu", cubic=True)
        )
        module.calculate(Item("Cu", structures, settings), calculator)
        without[module] = bool(made)
    assert [*without.values()] == [True, True, False, False]


def test_an_ion_is_not_taken_for_its_atom():
    """They differ in nothing that ASE compares."""
    atom = Atoms("O", cell=[9.0] * 3)
    ion = Atoms("O", cell=[9.0] * 3, info={"charge": -1})
    for calculator in (Charges(), with_dispersion(Charges(), "pbe")):
        first, second = evaluate([atom, ion], calculator)
        assert second.energy - first.energy == pytest.approx(-1.0)
        found = energies(Item("O", {"atom": atom, "ion": ion, "atom again": atom}), calculator)
        assert found["ion"] - found["atom"] == pytest.approx(-1.0)
        assert found["atom again"] == found["atom"]


class Charges(Calculator):
    """The charge, eV."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        charge = float(self.atoms.info.get("charge", 0))
        self.results = {"energy": charge, "forces": np.zeros((len(self.atoms), 3))}


def test_any_calculator_is_asked_one_by_one():
    structures = [bulk("Cu", a=a) for a in (3.5, 3.7)]
    calculator = Pairs()
    found = evaluate(structures, calculator)
    assert calculator.evaluations == 2
    assert all(atoms.calc is None for atoms in structures)
    assert found[0].energy != found[1].energy
