from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from crossfield.errors import InputError
from crossfield.simulate import Calculator
from crossfield.simulate.md import nve
from crossfield.simulate.relax import relax
from crossfield.zoo import checkpoint
from tests.inference.test_potential import with_theory
from tests.structures import structures


class Counted(Calculator):
    """Counts its evaluations."""

    evaluations = 0

    def calculate(self, *args, **kwargs) -> None:
        self.evaluations += 1
        super().calculate(*args, **kwargs)


@pytest.mark.parametrize("name", list(structures()))
@pytest.mark.parametrize("head", ["head0", "head1"])
def test_equal_to_predict(potential, name, head):
    atoms = structures()[name]
    (expected,) = potential.predict(atoms, head=head)
    atoms.calc = Calculator(potential, head)
    assert atoms.get_potential_energy() == expected.energy
    assert atoms.get_potential_energy(force_consistent=True) == expected.energy
    assert atoms.get_potential_energies().sum() == pytest.approx(expected.energy, rel=1e-12)
    np.testing.assert_array_equal(atoms.get_forces(), expected.forces)
    if atoms.pbc.all():
        np.testing.assert_array_equal(atoms.get_stress(), full_3x3_to_voigt_6_stress(expected.stress))
        np.testing.assert_allclose(atoms.get_stress(voigt=False), expected.stress, atol=1e-15)


def test_stress_sign_and_voigt_order(potential):
    """Component by component against differences of the energy under strain; tensile positive."""
    atoms = structures()["skewed crystal"]
    atoms.calc = Calculator(potential, "head0")
    stress, volume, cell = atoms.get_stress(), atoms.get_volume(), atoms.cell.array.copy()
    assert len(np.unique(np.abs(stress))) == 6  # so that an exchange would be seen
    for k in range(6):
        energies = []
        for step in (-2e-4, -1e-4, 1e-4, 2e-4):
            strain = np.zeros(6)
            strain[k] = step if k < 3 else step / 2  # both off-diagonal elements share a shear
            strained = atoms.copy()
            strained.calc = atoms.calc
            strained.set_cell(cell @ (np.eye(3) + voigt_6_to_full_3x3_stress(strain)), scale_atoms=True)
            energies.append(strained.get_potential_energy())
        slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / 12e-4
        assert stress[k] == pytest.approx(slope / volume, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", ["skewed crystal", "one-atom cell", "rocksalt"])
def test_stresses_are_parts_of_the_stress(potential, name):
    """ASE's convention: per atom in Voigt order, the volume divided out, so that they sum to the stress."""
    atoms = structures()[name]
    calc = atoms.calc = Counted(potential, "head1")
    stress = atoms.get_stress()
    assert "stresses" not in calc.results  # only when asked for
    stresses = atoms.get_stresses()
    assert calc.evaluations == 2
    assert stresses.shape == (len(atoms), 6)
    np.testing.assert_allclose(stresses.sum(axis=0), stress, rtol=1e-12, atol=1e-14)
    (expected,) = potential.predict(atoms, head="head1", atomic_stress=True)
    np.testing.assert_array_equal(atoms.get_stresses(voigt=False), expected.atomic_stress)
    atoms.get_forces(), atoms.get_stress(), atoms.get_potential_energy()
    assert calc.evaluations == 2
    atoms.rattle(0.01, seed=1)
    atoms.get_forces()
    assert "stresses" not in calc.results  # nor are those of the structure before


@pytest.mark.parametrize("name", ["slab", "wire", "molecule", "isolated atom"])
def test_no_stress_without_three_periodic_axes(potential, name):
    atoms = structures()[name]
    atoms.calc = Calculator(potential, "head0")
    with pytest.raises(PropertyNotImplementedError, match="three periodic axes"):
        atoms.get_stress()
    with pytest.raises(PropertyNotImplementedError, match="three periodic axes"):
        atoms.get_stresses()
    assert np.isfinite(atoms.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()


def test_evaluates_once_and_again_after_each_change(potential):
    atoms = structures()["skewed crystal"]
    calc = atoms.calc = Counted(potential, "head0")
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(), atoms.get_potential_energies()
    assert calc.evaluations == 1

    def numbers() -> None:
        atoms.numbers[0] = 47

    def pbc() -> None:
        atoms.pbc = (True, True, False)

    changes = {
        "positions": lambda: atoms.rattle(0.01, seed=0),
        "cell": lambda: atoms.set_cell(atoms.cell.array * 1.01),
        "numbers": numbers,
        "charge stated": lambda: atoms.info.update(charge=1),
        "charge": lambda: atoms.info.update(charge=-1),
        "spin": lambda: atoms.info.update(spin=3),
        "charge no longer stated": lambda: atoms.info.pop("charge"),
        "pbc": pbc,
    }
    energies = [atoms.get_potential_energy()]
    for count, (name, change) in enumerate(changes.items(), start=2):
        change()
        energies.append(atoms.get_potential_energy())
        atoms.get_forces()
        assert calc.evaluations == count, name
        assert energies[-1] != energies[-2], name
        assert energies[-1] == potential.predict(atoms, head="head0")[0].energy, name
    atoms.info["note"] = "of no consequence"
    atoms.get_potential_energy()
    assert calc.evaluations == 1 + len(changes)


def test_two_structures_share_a_calculator(potential):
    a, b = structures()["radical"], structures()["radical"]
    b.info.update(charge=1, spin=1)
    a.calc = b.calc = Calculator(potential, "head0")
    expected = [r.energy for r in potential.predict([a, b], head="head0")]
    for _ in range(2):
        assert [a.get_potential_energy(), b.get_potential_energy()] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", ["skewed crystal", "slab", "molecule"])
def test_trajectories_are_the_same_with_and_without_a_skin(potential, name):
    runs, searches = [], []
    for skin in (0.0, 0.5):
        atoms = structures()[name]
        calc = atoms.calc = Counted(potential, "head0", skin=skin)
        runs.append(nve(atoms, temperature=300, picoseconds=0.06, timestep=1.0))
        searches.append(calc.neighbours.rebuilds)
        assert calc.evaluations == 61
    expected, run = runs
    np.testing.assert_array_equal(run.total, expected.total)
    for ours, theirs in zip(run.frames, expected.frames):
        np.testing.assert_array_equal(ours.positions, theirs.positions)
        np.testing.assert_array_equal(ours.get_momenta(), theirs.get_momenta())
    assert searches[0] == 61
    assert 1 < searches[1] < 30


def test_relaxations_of_the_cell_are_the_same_with_and_without_a_skin(potential):
    results, searches = [], []
    for skin in (0.0, 0.5):
        atoms = structures()["skewed crystal"]
        calc = atoms.calc = Counted(potential, "head0", skin=skin)
        results.append(relax(atoms, steps=15, cell=True, optimiser="fire").atoms)
        searches.append(calc.neighbours.rebuilds)
        assert calc.neighbours.rebuilds == calc.evaluations or skin > 0
    expected, ours = results
    np.testing.assert_array_equal(ours.positions, expected.positions)
    np.testing.assert_array_equal(ours.cell.array, expected.cell.array)
    np.testing.assert_array_equal(ours.get_stress(), expected.get_stress())
    assert searches[1] < searches[0] / 2


def pickled(calc: Calculator) -> Calculator:
    return pickle.loads(pickle.dumps(calc))  # noqa: S301 (of our own making)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_copies_of_a_calculator(potential, duplicate):
    atoms = structures()["slab"]
    atoms.calc = Calculator(potential, "head0")
    atoms.get_forces()
    atoms.calc = duplicate(atoms.calc)
    for seed in range(3):
        atoms.rattle(0.2, seed=seed)
        (expected,) = potential.predict(atoms, head="head0")
        np.testing.assert_allclose(atoms.get_forces(), expected.forces, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "given",
    [{"backend": "reference"}, {"device": "cpu"}, {"dtype": "float32"}, {"table_accuracy": None}],
    ids=str,
)
def test_what_belongs_to_a_path_is_refused_beside_a_potential(potential, given):
    with pytest.raises(InputError, match="the potential is loaded"):
        Calculator(potential, "head0", **given)


def test_a_skin_is_a_length(potential):
    with pytest.raises(InputError, match=r"skin = -1\.0"):
        Calculator(potential, "head0", skin=-1.0)


def test_nan_is_refused(potential):
    atoms = structures()["slab"]
    atoms.calc = Calculator(potential, "head0")
    atoms.get_forces()
    atoms.positions[1, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        atoms.get_forces()


def test_charge_that_must_be_stated(model):
    atoms = molecule("H2O")
    atoms.calc = Calculator(with_theory(model, default_charge=None))
    with pytest.raises(InputError, match="needs the charge of every structure"):
        atoms.get_potential_energy()
    atoms.info["charge"] = 0
    assert np.isfinite(atoms.get_potential_energy())
    del atoms.info["charge"]
    with pytest.raises(InputError, match="needs the charge"):  # not the result of before
        atoms.get_potential_energy()


def test_unknown_heads_and_elements(potential):
    with pytest.raises(InputError, match="unknown head 'haed0'; did you mean 'head0'"):
        Calculator(potential, "haed0")
    with pytest.raises(InputError, match="choose one of: head0, head1"):
        Calculator(potential)
    gold = Atoms("Au", calculator=Calculator(potential, "head1"))
    with pytest.raises(InputError, match="head 'head1' does not cover Au"):
        gold.get_potential_energy()


def test_from_a_file(tmp_path, model, potential):
    path = tmp_path / "m.safetensors"
    checkpoint.save(path, model, {})
    atoms = structures()["slab"]
    atoms.calc = Calculator(potential, "head1")
    expected = atoms.get_forces()
    for given in (path, str(path)):
        atoms.calc = Calculator(given, "head1", device="cpu", table_accuracy=None)
        np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-12)
    atoms.calc = Calculator(path, "head1", dtype="float32", device="cpu")
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(InputError, match="no such file"):
        Calculator(tmp_path / "nothing", "head1")
