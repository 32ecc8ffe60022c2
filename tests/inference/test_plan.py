"""Prepared models: what they give does not depend on how they were prepared."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from crossfield.errors import InputError
from crossfield.graph import collate
from crossfield.inference import Potential, tables
from crossfield.inference.freeze import Frozen
from crossfield.inference.tables import Tables
from crossfield.model import Model, ModelConfig, evaluate
from crossfield.theory import Head, Theory
from tests.structures import small_model, structures

CONFIGURATIONS = {
    "nonlinear": {},
    "residual": {"interaction": "residual", "average_neighbours": 9.0, "product_per_element": True},
    "three layers": {"layers": 3},
}


def exact_of(model, atoms: Atoms, head: str):
    return Potential(model, head, backend="reference").predict(atoms)[0]


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
@pytest.mark.parametrize("threads", [1, 3])
def test_equal_to_the_reference(configuration, threads):
    potential = Potential(small_model(**configuration), "head0", backend="numba", table_accuracy=None)
    other = Potential(small_model(**configuration), "head0", backend="reference")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for atoms in structures().values():
            ours = potential.predict(atoms, edge_forces=True, atomic_stress=True)[0]
            exact = other.predict(atoms, edge_forces=True, atomic_stress=True)[0]
            assert ours.energy == pytest.approx(exact.energy, rel=1e-12)
            pairs = [(ours.forces, exact.forces), (ours.edges.force, exact.edges.force)]
            if exact.stress is not None:
                pairs += [(ours.stress, exact.stress), (ours.atomic_stress, exact.atomic_stress)]
            for a, b in pairs:
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(1.0, np.abs(b).max(initial=0.0)))
    finally:
        torch.set_num_threads(before)


def test_larger_than_a_block():
    """Several blocks and several threads, with atoms that have no neighbours among them."""
    model = small_model()
    atoms = bulk("Cu", cubic=True) * 4
    atoms += Atoms("H3", [[100, 0, 0], [120, 0, 0], [140, 0, 0]])
    atoms.pbc = False
    atoms.rattle(0.05, seed=2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        ours = Potential(model, "head0", table_accuracy=None).predict(atoms)[0]
    finally:
        torch.set_num_threads(before)
    exact = exact_of(small_model(), atoms, "head0")
    assert ours.energy == pytest.approx(exact.energy, rel=1e-12)
    np.testing.assert_allclose(ours.forces, exact.forces, rtol=0, atol=1e-10)


def test_what_came_before_does_not_matter():
    """New elements and shorter distances lead to more tables, not to others."""
    water, ammonia = molecule("H2O"), molecule("NH3")
    fresh = Potential(small_model(), "head0").predict(water)[0]
    used = Potential(small_model(), "head0")
    used.predict(ammonia)
    used.predict(structures()["slab"])
    again = used.predict(water)[0]
    assert again.energy == pytest.approx(fresh.energy, abs=1e-8)
    np.testing.assert_allclose(again.forces, fresh.forces, rtol=0, atol=1e-7)


@pytest.mark.parametrize("distance", [0.6, 0.3, 0.1, 0.02, 0.005])
def test_short_distances_are_not_extrapolated(distance):
    model = small_model(pair="none")
    atoms = Atoms("HO", [[0, 0, 0], [0.3 * distance, 0.4 * distance, np.sqrt(0.75) * distance]])
    potential = Potential(model, "head0")
    potential.predict(molecule("H2O"))
    ours, exact = potential.predict(atoms)[0], exact_of(small_model(pair="none"), atoms, "head0")
    assert ours.energy == pytest.approx(exact.energy, abs=2e-6)
    np.testing.assert_allclose(ours.forces, exact.forces, rtol=1e-5, atol=1e-5)


def test_tables_are_as_exact_as_asked_for():
    found = {}
    for accuracy in (1e-4, 1e-6, 1e-8):
        potential = Potential(small_model(), "head0", table_accuracy=accuracy)
        checks = [potential.check_tables(atoms) for atoms in structures().values()]
        found[accuracy] = max(check.energy for check in checks), max(check.force for check in checks)
        assert found[accuracy][0] <= accuracy
        assert found[accuracy][1] <= 10 * accuracy
    assert found[1e-8][1] < found[1e-4][1]  # and it is not all the same


def test_forces_are_the_derivative_of_the_energy_of_tables():
    """Also with coarse ones."""
    potential = Potential(small_model(), "head0", table_accuracy=1e-2)
    atoms = molecule("CH3OH")
    forces = potential.predict(atoms)[0].forces
    step = 1e-5
    for i, axis in ((0, 0), (1, 2), (3, 1)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, axis] += sign * step
            energies.append(potential.predict(moved)[0].energy)
        assert forces[i, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-7)


def test_check_of_the_reference():
    with pytest.raises(InputError, match="no tables"):
        Potential(small_model(), "head0", backend="reference").check_tables(molecule("H2O"))


@pytest.mark.parametrize("accuracy", [0.0, -1.0, float("nan")])
def test_accuracy_is_a_positive_number(accuracy):
    with pytest.raises(InputError, match="table_accuracy"):
        Potential(small_model(), "head0", table_accuracy=accuracy)


def test_too_many_elements_for_tables(monkeypatch):
    """Those seen before are given up first; what fitted before fits afterwards."""
    potential = Potential(small_model(), "head0")
    potential.predict(molecule("CH3OH"))
    potential.predict(molecule("NH3"))
    step = potential._prepared._step  # fine enough for all of them
    potential = Potential(small_model(), "head0")
    potential._prepared._step = step
    expected = potential.predict(molecule("H2O"))[0]
    made = potential._prepared._sets[0].tables
    size = sum(x.numel() * x.itemsize for x in made.weights)
    assert tables.size(potential.model, 2, made.start, made.step, made.form) == size
    monkeypatch.setattr(tables, "LARGEST", int(1.5 * size))
    potential.predict(molecule("NH3"))  # two other elements, of which three would be too many
    with pytest.raises(InputError, match="table_accuracy=None"):
        potential.predict(molecule("CH3OH"))
    assert potential.predict(molecule("H2O"))[0].energy == pytest.approx(expected.energy, rel=1e-13)


def test_a_changed_model_is_prepared_anew():
    potential = Potential(small_model(), "head0", table_accuracy=None)
    water = molecule("H2O")
    before = potential.predict(water)[0].energy
    with torch.no_grad():
        for p in potential.model.parameters():
            p.mul_(1.1)
    other = small_model()
    other.load_state_dict(potential.model.state_dict())
    after = potential.predict(water)[0].energy
    assert after == pytest.approx(exact_of(other, water, "head0").energy, rel=1e-12)
    assert after != pytest.approx(before, rel=1e-6)
    potential.model.float()
    single = potential.predict(water)[0].energy
    assert single == pytest.approx(after, rel=1e-5)
    assert potential.predict(water, head="head1")[0].energy == pytest.approx(
        exact_of(other, water, "head1").energy, rel=1e-5
    )


def test_what_is_announced_of_a_changed_model_is_kept():
    potential = Potential(small_model(), "head0")
    potential.predict(molecule("H2O"))
    with torch.no_grad():
        for p in potential.model.parameters():
            p.mul_(1.1)
    potential.expect(np.array([1, 6, 7, 8]))
    potential.predict(molecule("H2O"))
    (only,) = potential._prepared._sets
    assert len(only.elements) == 4


def test_potentials_may_share_a_model():
    model, water = small_model(), molecule("H2O")
    plain, fast = (Potential(model, "head0", backend=backend) for backend in ("reference", "numba"))
    plain.predict(water)
    assert model.interactions[0].convolution.backend == "reference"
    fast.hessian(water)
    assert model.interactions[0].convolution.backend == "numba"
    np.testing.assert_allclose(plain.hessian(water), fast.hessian(water), rtol=0, atol=1e-9)


def test_edges_that_are_none_are_refused():
    potential = Potential(small_model(), "head0")
    graph = potential.graph(molecule("H2O"))
    for changes in (
        {"sender": graph.sender.flip(0), "receiver": graph.receiver.flip(0)},
        {"sender": graph.sender + 1},
    ):
        with pytest.raises(InputError, match="edges must be between atoms"):
            potential.evaluate(replace(graph, **changes))
    with pytest.raises(InputError, match="outside the model"):
        potential.evaluate(replace(graph, Z=torch.full_like(graph.Z, 118)))
    potential.predict(molecule("H2O"))


def test_nan_stays_nan():
    """A model that has diverged must not give numbers."""
    model = small_model()
    with torch.no_grad():
        model.interactions[0].linear_1.weights[0].fill_(float("nan"))
    assert np.isnan(Potential(model, "head0").predict(molecule("H2O"))[0].energy)


def test_two_heads_at_once_are_refused():
    potential = Potential(small_model(), "head0")
    graphs = [potential.graph(molecule("H2O"), head) for head in ("head0", "head1")]
    with pytest.raises(InputError, match="one call for each head"):
        potential.evaluate(collate(graphs))


def test_nothing_to_evaluate():
    potential = Potential(small_model(), "head0")
    assert potential.predict(Atoms())[0].energy == 0.0
    assert potential.predict([]) == []
    assert potential.evaluate(collate([])).energy.shape == (0,)


def test_from_many_threads():
    potential = Potential(small_model(), "head0")
    atoms = structures()["slab"]
    (expected,) = potential.predict(atoms)
    found: list[np.ndarray] = []

    def work() -> None:
        for _ in range(5):
            found.append(potential.predict(atoms)[0].forces)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert all(np.array_equal(forces, expected.forces) for forces in found)


def test_two_runs_give_the_same_bits():
    atoms = bulk("Cu", cubic=True) * 3
    atoms.rattle(0.1, seed=1)
    a, b = (Potential(small_model(), "head0").predict(atoms)[0] for _ in range(2))
    assert a.energy == b.energy
    np.testing.assert_array_equal(a.forces, b.forces)


def test_a_step_takes_no_memory_anew():
    """Arrays are used again, for as many atoms or fewer."""
    potential = Potential(small_model(), "head0")
    graph = potential.graph(bulk("Cu", cubic=True) * 2, "head0")
    potential.evaluate(graph)
    memory = potential._prepared._memory
    before = {key: x.data_ptr() for key, x in memory._arrays.items()}
    assert len(before) > 10
    potential.evaluate(graph)
    potential.evaluate(potential.graph(molecule("H2O"), "head1"))
    potential.evaluate(graph)
    assert {key: x.data_ptr() for key, x in memory._arrays.items()} == before


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_training_gives_the_same_gradients(backend):
    """Of a loss on forces, by all parameters."""
    from crossfield.kernels.backend import use

    graph = Potential(small_model(), "head0").graph(molecule("CH3OH"), "head0")
    found = []
    for which in ("reference", backend):
        model = small_model().requires_grad_()
        use(model, which)
        evaluate(model, graph, training=True, stress=False).forces.square().sum().backward()
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-10, atol=1e-12)


def test_tables_are_made_once_for_all_structures_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    build = tables.build

    def counted(frozen: Frozen, **options: Any) -> Tables:
        made.append(len(frozen.elements))
        return build(frozen, **options)

    monkeypatch.setattr("crossfield.inference.prepared.tables.build", counted)
    atoms = [Atoms(f"H{symbol}", [[0, 0, 0], [0, 0, 1.1]]) for symbol in ("H", "O", "C")]
    potential = Potential(small_model(), "head0")
    together = potential.predict(atoms, batch_size=1)
    assert made
    assert set(made) == {3}
    for one, structure in zip(together, atoms, strict=True):
        (alone,) = Potential(small_model(), "head0").predict(structure)
        assert one.energy == pytest.approx(alone.energy, abs=1e-6)


def test_going_through_many_elements_does_not_make_tables_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As far as eight elements they share tables; a ninth begins anew, and what was used last is kept."""
    made: list[int] = []
    build = tables.build

    def counted(frozen: Frozen, **options: Any) -> Tables:
        made.append(len(frozen.elements))
        return build(frozen, **options)

    elements = tuple(range(1, 12))
    energies = dict.fromkeys(elements, -1.0)
    heads = [Head(name="only", theory=Theory(name="any"), E0=energies)]
    torch.manual_seed(0)
    config = ModelConfig(elements=elements, cutoff=3.0, channels=4, edge_channels=4, l_max=1, layers=1)
    potential = Potential(Model(config, heads))
    dimers = [Atoms([Z, Z], [[0, 0, 0], [0, 0, 1.1]]) for Z in elements]
    potential.predict(dimers[0])
    monkeypatch.setattr("crossfield.inference.prepared.tables.build", counted)
    found = [potential.predict(dimer)[0].energy for dimer in dimers]
    assert set(made) == {2, 3, 4, 5, 6, 7, 8, 1}
    made.clear()
    again = [potential.predict(dimer)[0].energy for dimer in reversed(dimers)]
    assert not made
    assert again[::-1] == pytest.approx(found, abs=1e-6)
