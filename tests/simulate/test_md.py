from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

from crossfield.simulate import Calculator
from crossfield.simulate.md import Trajectory, nve


@pytest.fixture
def copper():
    atoms = bulk("Cu", cubic=True)
    atoms.calc = EMT()
    return atoms


@pytest.fixture
def cluster():
    """Four atoms at the minimum of a Morse potential."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(8)
    atoms = Atoms("Ar4", 3.0 * corners)
    atoms.calc = MorsePotential(epsilon=0.5, r0=3.0, rho0=5.0)
    return atoms


def test_energy_is_conserved(copper):
    run = nve(copper, temperature=300, picoseconds=0.2, timestep=2.0)
    assert np.ptp(run.potential) > 1e-2  # while energy does flow
    assert np.ptp(run.total) < 0.05 * np.ptp(run.potential)
    assert abs(run.drift) < 0.05
    np.testing.assert_array_equal(run.total, run.potential + run.kinetic)


def test_error_is_of_second_order(cluster):
    """Half the step, a quarter of the fluctuation: velocity Verlet with forces of the energy."""
    wobble = [np.ptp(nve(cluster, temperature=200, picoseconds=0.5, timestep=dt).total) for dt in (4.0, 2.0)]
    assert wobble[0] / wobble[1] == pytest.approx(4.0, rel=0.2)


def test_records(copper):
    seen: list[float] = []
    run = nve(
        copper,
        temperature=300,
        picoseconds=0.02,
        timestep=2.0,
        record=3,
        on_record=lambda state: seen.append(state.get_potential_energy()),
    )
    np.testing.assert_allclose(run.time, [0.0, 6.0, 12.0, 18.0], atol=1e-9)  # 10 steps
    assert len(run.potential) == len(run.kinetic) == len(run.frames) == 4
    assert seen == run.potential.tolist()
    for k in (0, 3):
        frame = run.frames[k]
        assert frame.get_kinetic_energy() == pytest.approx(run.kinetic[k], rel=1e-12)
        frame.calc = EMT()
        assert frame.get_potential_energy() == pytest.approx(run.potential[k], rel=1e-12)
    assert not np.allclose(run.frames[0].positions, run.frames[3].positions)
    assert len(nve(copper, temperature=300, picoseconds=0.02, timestep=1.0).time) == 21


def test_the_structure_is_left_alone(copper):
    before = copper.copy()
    run = nve(copper, temperature=300, picoseconds=0.01)
    assert copper == before
    assert not copper.has("momenta")
    np.testing.assert_array_equal(run.frames[0].positions, before.positions)


def test_no_net_momentum_nor_rotation(copper, cluster):
    for atoms in (copper, cluster):
        run = nve(atoms, temperature=300, picoseconds=0.02, timestep=2.0)
        for frame in (run.frames[0], run.frames[-1]):
            size = np.abs(frame.get_momenta()).max()
            np.testing.assert_allclose(frame.get_momenta().sum(axis=0), 0.0, atol=1e-10 * size)
            if not atoms.pbc.any():
                np.testing.assert_allclose(frame.get_angular_momentum(), 0.0, atol=1e-9 * size)


@pytest.mark.parametrize(
    "atoms",
    [
        Atoms("Cu"),
        Atoms("Cu", cell=[3, 3, 3], pbc=True),
        Atoms("Cu2", [[0, 0, 0], [2.3, 0, 0]]),
        Atoms("Cu3", [[0, 0, 0], [1.4, 1.4, 0], [2.8, 2.8, 0]]),
    ],
    ids=["atom", "one-atom cell", "dimer", "linear"],
)
def test_few_degrees_of_freedom(atoms):
    atoms.calc = EMT()
    run = nve(atoms, temperature=300, picoseconds=0.01)
    assert np.isfinite(run.total).all()
    assert (run.kinetic[0] > 1e-4) == (len(atoms) > 1)
    np.testing.assert_allclose(run.frames[-1].get_angular_momentum(), 0.0, atol=1e-9)


def test_velocities_are_of_the_temperature():
    atoms = bulk("Cu", cubic=True) * (3, 3, 3)
    atoms.calc = EMT()
    energies = [nve(atoms, temperature=400, picoseconds=0.0, seed=s).kinetic[0] for s in range(8)]
    expected = 1.5 * units.kB * 400 * (len(atoms) - 1)
    error = expected * np.sqrt(2 / (3 * len(atoms) * 8))
    assert np.mean(energies) == pytest.approx(expected, abs=4 * error)


def test_seed(copper):
    def run(seed: int) -> Trajectory:
        return nve(copper, temperature=300, picoseconds=0.01, seed=seed)

    a, b, c = run(5), run(5), run(6)
    np.testing.assert_array_equal(a.potential, b.potential)
    np.testing.assert_array_equal(a.frames[-1].positions, b.frames[-1].positions)
    assert not np.allclose(a.frames[0].get_momenta(), c.frames[0].get_momenta())


def test_drift_and_largest_jump():
    time = np.linspace(0.0, 500.0, 11)  # fs
    potential = -7.0 + 2e-4 * time  # 0.2 eV/ps
    kinetic = np.ones(11)
    run = Trajectory(time, potential, kinetic, [Atoms("H4")] * 11)
    assert run.drift == pytest.approx(0.2 / 4, rel=1e-9)
    assert run.largest_jump == pytest.approx(2e-4 * 50 / 4, rel=1e-9)
    kinetic[6:] -= 3.0  # a step of -3 eV, less one step of the slope
    assert Trajectory(time, potential, kinetic, run.frames).largest_jump == pytest.approx((3.0 - 0.01) / 4)


def test_with_a_model(potential):
    atoms = molecule("H2O")
    atoms.info.update(charge=1, spin=2)
    atoms.calc = Calculator(potential, "head0")
    run = nve(atoms, temperature=100, picoseconds=0.02, timestep=0.1)
    assert np.ptp(run.potential) > 1e-4
    assert np.ptp(run.total) < 0.02 * np.ptp(run.potential)
    assert run.frames[-1].info["charge"] == 1
