from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

from crossfield.errors import InputError
from crossfield.simulate import Calculator
from crossfield.simulate.relax import relax


@pytest.fixture
def copper():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=3)
    atoms.calc = EMT()
    return atoms


@pytest.mark.parametrize("optimiser", ["lbfgs", "fire"])
def test_positions(copper, optimiser):
    before = copper.copy()
    energy = copper.get_potential_energy()
    result = relax(copper, fmax=1e-3, optimiser=optimiser)
    assert result.converged
    assert result.steps > 1
    assert result.energy < energy - 0.01
    assert result.energy == result.atoms.get_potential_energy()
    assert result.max_force == np.linalg.norm(result.atoms.get_forces(), axis=1).max() < 1e-3
    assert result.volume_change == 0.0
    assert copper == before  # a copy was relaxed
    np.testing.assert_array_equal(result.atoms.cell.array, before.cell.array)


def test_cell(copper):
    copper.set_cell(copper.cell.array * 1.04, scale_atoms=True)
    result = relax(copper, fmax=1e-3, cell=True)
    assert result.converged
    assert np.abs(result.atoms.get_stress()).max() < 1e-3
    assert result.volume_change == pytest.approx(
        result.atoms.get_volume() / copper.get_volume() - 1, rel=1e-12
    )
    assert -0.2 < result.volume_change < -0.08  # back from 1.04^3 to the volume that EMT likes


def test_steps_run_out(copper):
    result = relax(copper, fmax=1e-6, steps=2)
    assert not result.converged
    assert result.steps == 2
    assert result.max_force > 1e-6


def test_what_cannot_be_relaxed(copper):
    with pytest.raises(InputError, match=r"unknown optimiser 'bfgs' \(there are: lbfgs, fire\)"):
        relax(copper, optimiser="bfgs")
    copper.pbc = (True, True, False)
    with pytest.raises(InputError, match="only with three periodic axes"):
        relax(copper, cell=True)


def test_bond_length():
    """The minimum of a Morse potential is known."""
    atoms = molecule("N2")
    atoms.calc = MorsePotential(epsilon=1.3, r0=1.25, rho0=3.0)
    result = relax(atoms, fmax=1e-5)
    assert result.atoms.get_distance(0, 1) == pytest.approx(1.25, abs=1e-4)
    assert result.energy == pytest.approx(-1.3, abs=1e-3)


def test_with_a_model(potential):
    atoms = molecule("CH3CONH2")
    atoms.info.update(charge=1, spin=2)
    atoms.calc = Calculator(potential, "head0")
    energy = atoms.get_potential_energy()
    result = relax(atoms, fmax=0.05, steps=200)
    assert result.converged
    assert result.energy < energy
    assert result.max_force < 0.05
    assert result.atoms.info["charge"] == 1  # still that ion
    (expected,) = potential.predict(result.atoms, head="head0")
    assert result.energy == pytest.approx(expected.energy, rel=1e-12)
