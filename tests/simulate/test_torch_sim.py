"""A potential in torch-sim: the results of `predict`, for many structures at once, as they move."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from crossfield.errors import InputError
from crossfield.inference import Potential
from tests.structures import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch-sim uses what torch is about to drop
    torch_sim = pytest.importorskip("torch_sim")
    from crossfield.simulate.torch_sim import TorchSimModel


def crystals() -> list:
    found = [bulk("Cu", "fcc", a=3.7), bulk("CuO", "rocksalt", a=4.2) * (2, 1, 1)]
    for k, atoms in enumerate(found):
        atoms.rattle(0.1, seed=k)
    return found


def state_of(structures: list):
    return torch_sim.io.atoms_to_state(structures, torch.device("cpu"), torch.float64)


@pytest.mark.parametrize("backend", ["numba", "reference", "triton"])
def test_equal_to_predict_as_atoms_and_cells_move(backend):
    potential = Potential(small_model(), "head0", backend=backend)
    exact = Potential(small_model(), "head0", backend="numba" if backend == "triton" else backend)
    model, state = TorchSimModel(potential, skin=0.4), state_of(crystals())
    searched = []
    for size in (0.0, 0.05, 0.5):
        noise = np.random.default_rng(7).normal(size=state.positions.shape)
        state.positions = state.positions + size * torch.from_numpy(noise)
        state.cell = state.cell * (1.0 + 0.02 * size)
        found = model(state)
        searched.append(model.rebuilds)
        expected = exact.predict(torch_sim.io.state_to_atoms(state))
        sizes = [len(r.forces) for r in expected]
        np.testing.assert_allclose(found["energy"].numpy(), [r.energy for r in expected], rtol=1e-10)
        for a, b in zip(found["forces"].split(sizes), expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b.forces, rtol=0, atol=1e-9)
        for a, b in zip(found["stress"], expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b.stress, rtol=0, atol=1e-9)
    assert searched == [1, 1, 2]


def test_other_structures_are_searched_anew():
    model = TorchSimModel(Potential(small_model(), "head0"))
    model(state_of(crystals()))
    found = model(state_of(crystals()[:1]))
    assert found["energy"].shape == (1,)
    assert model.rebuilds == 2


def test_molecules_have_no_stress():
    state = state_of([molecule("H2O"), molecule("NH3")])
    found = TorchSimModel(Potential(small_model(), "head0"))(state)
    assert bool(found["stress"].isnan().all())
    only = TorchSimModel(Potential(small_model(), "head0"), compute_stress=False, compute_forces=False)
    assert set(only(state)) == {"energy"}


def test_it_relaxes_many_at_once():
    model = TorchSimModel(Potential(small_model(), "head0"))
    before = model(state_of(crystals()))["energy"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        after = torch_sim.optimize(
            system=state_of(crystals()), model=model, optimizer=torch_sim.optimizers.fire, max_steps=5
        )
    assert bool((after.energy <= before + 1e-9).all())


def test_wrong_arguments():
    with pytest.raises(InputError, match="head"):
        TorchSimModel(Potential(small_model(), "head0"), "nonsense")
    with pytest.raises(InputError, match="skin"):
        TorchSimModel(Potential(small_model(), "head0"), skin=-1.0)
