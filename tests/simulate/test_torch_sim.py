"""A potential in torch-sim: the results of `predict`, for many structures at once, as they move."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from crossfield.errors import InputError
from crossfield.inference import Potential
from tests.gpu import DEVICE
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
    device = DEVICE if backend == "triton" else "cpu"
    potential = Potential(small_model().to(device), "head0", backend=backend)
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


def test_neighbours_are_not_searched_on_the_host(monkeypatch):
    pytest.importorskip("nvalchemiops")
    monkeypatch.setattr("crossfield.graph.search.searcher", lambda device: "nvalchemi")
    model, state = TorchSimModel(Potential(small_model(), "head0")), state_of(crystals())
    expected = model.potential.predict(crystals())
    monkeypatch.delattr("crossfield.graph.neighbours.vesin")
    np.testing.assert_allclose(model(state)["energy"].numpy(), [r.energy for r in expected], rtol=1e-10)


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_what_is_refused(backend):
    """And nothing of it stays: what is right is evaluated then."""
    model = TorchSimModel(Potential(small_model(), "head0", backend=backend))
    energy = model(state_of(crystals()))["energy"]
    broken = {name: crystals() for name in ("same place", "NaN", "no volume", "does not cover U")}
    broken["same place"][1].positions[2] = broken["same place"][1].positions[1]
    broken["NaN"][0].positions[0, 1] = np.nan
    broken["no volume"][1].cell[2] = broken["no volume"][1].cell[1]
    broken["does not cover U"][0].numbers[:] = 92
    for message, structures in broken.items():
        with pytest.raises(InputError, match=message):
            model(state_of(structures))
        assert torch.equal(model(state_of(crystals()))["energy"], energy)


def test_results_of_a_step_stay():
    """They are not where the next step writes."""
    model, state = (
        TorchSimModel(Potential(small_model().to(DEVICE), "head0", backend="triton")),
        state_of([molecule("OH")]),
    )
    found = model(state)
    before = {name: value.clone() for name, value in found.items()}
    state.positions = state.positions * 0.95
    assert not torch.equal(model(state)["forces"], before["forces"])
    for name in ("energy", "forces"):
        assert torch.equal(found[name], before[name])


@pytest.mark.parametrize("backend", ["reference", "triton"])
def test_atoms_that_meet_between_searches(backend):
    model = TorchSimModel(Potential(small_model(), "head0", backend=backend), skin=3.0)
    apart, meeting = state_of([molecule("OH")] * 2), state_of([molecule("OH")] * 2)
    meeting.positions[3] = meeting.positions[2]
    energy = model(apart)["energy"]
    with pytest.raises(InputError, match="atoms 2 and 3 of the state are at the same place"):
        model(meeting)
    torch.testing.assert_close(model(apart)["energy"], energy)


def test_charges_where_states_have_them():
    ions = [molecule("OH"), molecule("OH")]
    model, state = TorchSimModel(Potential(small_model(), "head0")), state_of(ions)
    for charges in ((-1.0, 0.0), (1.0, 0.0)):
        state.charge, state.spin = torch.tensor(charges), torch.tensor([1.0, 2.0])
        for atoms, charge, spin in zip(ions, charges, (1, 2), strict=True):
            atoms.info.update(charge=charge, spin=spin)
        expected = [result.energy for result in model.potential.predict(ions)]
        np.testing.assert_allclose(model(state)["energy"].numpy(), expected, rtol=1e-10)
    alike = TorchSimModel(model.potential, charge=-1, spin=1)
    for atoms in ions:
        atoms.info.update(charge=-1, spin=1)
    expected = [result.energy for result in model.potential.predict(ions)]
    np.testing.assert_allclose(alike(state_of(ions))["energy"].numpy(), expected, rtol=1e-10)
    state.charge = torch.tensor([0.5, 0.0])
    with pytest.raises(InputError, match=r"charge = 0\.5 is not a whole number"):
        model(state)


def test_copies_search_for_themselves():
    model, state = TorchSimModel(Potential(small_model(), "head0")), state_of(crystals())
    energy = model(state)["energy"]
    again = copy.deepcopy(model)
    assert torch.equal(again(state)["energy"], energy)
    assert again.rebuilds == model.rebuilds + 1


def test_no_structures():
    state = state_of(crystals())
    empty = {
        "positions": state.positions[:0],
        "cell": state.cell[:0],
        "pbc": True,
        "atomic_numbers": state.atomic_numbers[:0],
        "system_idx": state.system_idx[:0],
    }
    found = TorchSimModel(Potential(small_model(), "head0", backend="reference"))(empty)
    assert {name: len(value) for name, value in found.items()} == {"energy": 0, "forces": 0, "stress": 0}


def test_wrong_arguments():
    with pytest.raises(InputError, match="head"):
        TorchSimModel(Potential(small_model(), "head0"), "nonsense")
    with pytest.raises(InputError, match="skin"):
        TorchSimModel(Potential(small_model(), "head0"), skin=-1.0)
