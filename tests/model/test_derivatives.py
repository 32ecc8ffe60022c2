"""Forces, stress and Hessian are the derivatives of the energy; the energy is smooth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms

from crossfield.errors import InputError
from crossfield.graph import collate
from crossfield.model import evaluate, hessian
from tests.algebra.rotation import random_rotation
from tests.structures import CUTOFF, batch_of, graph_of, small_model, structures

STEP = 1e-3
MODELS = {"nonlinear": {}, "residual": {"interaction": "residual", "average_neighbours": 7.0}}
PERIODIC = ["skewed crystal", "one-atom cell", "rocksalt"]


@pytest.fixture(scope="module", params=list(MODELS))
def model(request):
    return small_model(**MODELS[request.param])


def central(energy, step: float = STEP):
    """Fourth-order central difference of energy(x) at 0, or of an array of such functions."""
    return (8 * (energy(step) - energy(-step)) - (energy(2 * step) - energy(-2 * step))) / (12 * step)


def energy_of(model, atoms: Atoms) -> float:
    return float(evaluate(model, batch_of(atoms), forces=False, stress=False).energy)


@pytest.mark.parametrize("name", list(structures()))
def test_forces_are_central_differences(model, name):
    atoms = structures()[name]
    forces = evaluate(model, batch_of(atoms)).forces.numpy()
    rng = np.random.default_rng(0)
    for i in rng.permutation(len(atoms))[:3]:
        for axis in range(3):

            def energy(x: float, i: int = i, axis: int = axis) -> float:
                moved = atoms.copy()
                moved.positions[i, axis] += x
                return energy_of(model, moved)

            assert forces[i, axis] == pytest.approx(-central(energy), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("name", PERIODIC)
def test_stress_is_a_central_difference(model, name):
    atoms = structures()[name]
    stress = evaluate(model, batch_of(atoms)).stress[0].numpy()
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)):

        def energy(x: float, a: int = a, b: int = b) -> float:
            strain = np.eye(3)
            strain[a, b] += x / 2
            strain[b, a] += x / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            return energy_of(model, strained)

        assert stress[a, b] == pytest.approx(central(energy) / atoms.get_volume(), rel=1e-7, abs=1e-7)


def test_gradients_of_a_loss():
    """On forces, stress and their parts, by double backward, against differences in the weights."""
    model = small_model()
    graph = batch_of(structures()["skewed crystal"], structures()["radical"])

    def loss() -> torch.Tensor:
        p = evaluate(model, graph, edge_forces=True, atomic_stress=True, training=True)
        parts = (p.edge_forces**2).sum() + (p.atomic_stress[:4] ** 2).sum()  # the crystal has four atoms
        return (p.forces**2).sum() + (p.stress[0] ** 2).sum() + (p.energies**2).sum() * 1e-3 + parts

    names = [
        "interactions.0.radial.linears.0.weight",
        "interactions.1.linear_1.weights.1",
        "products.1.weights.0",
    ]
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(loss(), [parameters[name] for name in names])
    for name, gradient in zip(names, gradients, strict=True):
        weight = parameters[name]
        direction = torch.randn(weight.shape, dtype=weight.dtype, generator=torch.Generator().manual_seed(1))

        def along(x: float, weight=weight, direction=direction) -> float:
            with torch.no_grad():
                weight.add_(direction, alpha=x)
            value = float(loss().detach())
            with torch.no_grad():
                weight.add_(direction, alpha=-x)
            return value

        assert float((gradient * direction).sum().detach()) == pytest.approx(central(along, 1e-4), rel=1e-6)


@pytest.mark.parametrize("name", ["skewed crystal", "molecule", "dimer"])
def test_edge_forces_are_central_differences(model, name):
    """One directed edge vector is changed and all others stay."""
    graph = batch_of(structures()[name])
    r = graph.vectors()
    found = evaluate(model, graph, forces=False, stress=False, edge_forces=True).edge_forces
    assert found.shape == r.shape
    assert found.dtype == torch.float64
    assert not found.requires_grad
    rng = np.random.default_rng(1)
    for e in rng.permutation(graph.num_edges)[:4]:
        for axis in range(3):

            def energy(x: float, e: int = e, axis: int = axis) -> float:
                moved = r.clone()
                moved[e, axis] += x
                with torch.no_grad():
                    return float(model(graph, moved).energies.sum())

            assert float(found[e, axis]) == pytest.approx(central(energy), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", list(structures()))
def test_parts_sum_to_forces_and_stress(model, name):
    graph = batch_of(structures()[name])
    p = evaluate(model, graph, edge_forces=True, atomic_stress=True)
    forces = torch.zeros_like(p.forces)
    for s, t, g in zip(graph.sender.tolist(), graph.receiver.tolist(), p.edge_forces, strict=True):
        forces[s] += g
        forces[t] -= g
    torch.testing.assert_close(forces, p.forces, rtol=1e-12, atol=1e-12)
    assert p.atomic_stress.shape == (graph.num_atoms, 3, 3)
    if name in PERIODIC:
        assert torch.equal(p.atomic_stress, p.atomic_stress.transpose(1, 2))
        torch.testing.assert_close(p.atomic_stress.sum(0), p.stress[0], rtol=1e-12, atol=1e-14)
    else:
        assert torch.isnan(p.atomic_stress).all()


@pytest.mark.parametrize("name", PERIODIC)
def test_atomic_stress_is_a_derivative_by_local_strain(model, name):
    """Edges at an atom are strained: in full from the atom to its image, by half to another atom."""
    atoms = structures()[name]
    graph = batch_of(atoms)
    r = graph.vectors()
    found = evaluate(model, graph, atomic_stress=True).atomic_stress.numpy()
    for i in range(min(len(atoms), 2)):
        weight = 0.5 * ((graph.sender == i).double() + (graph.receiver == i).double())  # (E,)
        for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)):

            def energy(x: float, a: int = a, b: int = b, weight: torch.Tensor = weight) -> float:
                strain = torch.zeros(3, 3, dtype=torch.float64)
                strain[a, b] += x / 2
                strain[b, a] += x / 2
                with torch.no_grad():
                    return float(model(graph, r + weight[:, None] * (r @ strain)).energies.sum())

            assert found[i, a, b] == pytest.approx(central(energy) / atoms.get_volume(), rel=1e-7, abs=1e-8)


def test_stress_stays_with_the_atoms_that_make_it(model):
    """Two molecules out of reach of each other have the stress that each has alone in the box."""
    one, other = structures()["molecule"], structures()["dimer"]
    other.positions += [15, 0, 0]

    def stress(atoms: Atoms) -> torch.Tensor:
        boxed = Atoms(atoms.numbers, atoms.positions, cell=[30, 20, 20], pbc=True)
        return evaluate(model, batch_of(boxed), atomic_stress=True).atomic_stress

    apart = torch.cat([stress(one), stress(other)])
    torch.testing.assert_close(stress(one + other), apart, rtol=1e-9, atol=1e-13)


def test_parts_turn_and_repeat_with_the_structure(model):
    crystal = structures()["skewed crystal"]
    R = random_rotation(2, improper=True)
    turned = Atoms(crystal.numbers, crystal.positions @ R.T, cell=crystal.cell.array @ R.T, pbc=True)

    def stress(atoms: Atoms) -> torch.Tensor:
        return evaluate(model, batch_of(atoms), atomic_stress=True).atomic_stress

    expected, turn = stress(crystal), torch.from_numpy(R)
    torch.testing.assert_close(stress(turned), turn @ expected @ turn.T, rtol=1e-9, atol=1e-12)
    twice = stress(crystal.repeat((1, 2, 1)))
    torch.testing.assert_close(twice, expected.repeat(2, 1, 1) / 2, rtol=1e-9, atol=1e-12)


def test_parts_in_a_mixed_batch(model):
    given = [structures()[name] for name in ("molecule", "skewed crystal", "isolated atom", "rocksalt")]
    together = evaluate(model, batch_of(*given), edge_forces=True, atomic_stress=True)
    apart = [evaluate(model, batch_of(a), edge_forces=True, atomic_stress=True) for a in given]
    for field in ("edge_forces", "atomic_stress"):
        expected = torch.cat([getattr(p, field) for p in apart])
        torch.testing.assert_close(getattr(together, field), expected, rtol=1e-12, atol=1e-12, equal_nan=True)
    empty = evaluate(model, collate([]), edge_forces=True, atomic_stress=True)
    assert (empty.edge_forces.shape, empty.atomic_stress.shape) == ((0, 3), (0, 3, 3))


def test_only_the_derivatives_asked_for(model):
    graph = batch_of(structures()["rocksalt"])
    names = ("forces", "stress", "edge_forces", "atomic_stress")
    everything = evaluate(model, graph, **dict.fromkeys(names, True))
    for name in names:
        alone = evaluate(model, graph, **{other: other == name for other in names})
        assert [other for other in names if getattr(alone, other) is not None] == [name]
        assert torch.equal(getattr(alone, name), getattr(everything, name))


@pytest.mark.parametrize("name", ["skewed crystal", "slab", "wire", "molecule", "ion", "dimer"])
def test_hessian_is_central_differences_of_forces(model, name):
    """Images move with their atoms: the differences are between structures built anew."""
    atoms = structures()[name]
    H = hessian(model, batch_of(atoms)).numpy()
    assert H.shape == (3 * len(atoms), 3 * len(atoms))
    for i in np.random.default_rng(2).permutation(len(atoms))[:2]:
        for axis in range(3):

            def forces(x: float, i: int = i, axis: int = axis) -> np.ndarray:
                moved = atoms.copy()
                moved.positions[i, axis] += x
                return evaluate(model, batch_of(moved), stress=False).forces.numpy().ravel()

            np.testing.assert_allclose(H[3 * i + axis], -central(forces), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", list(structures()))
def test_hessian_is_symmetric_and_translations_cost_nothing(model, name):
    H = hessian(model, batch_of(structures()[name]))
    assert H.dtype == torch.float64
    assert not H.requires_grad
    size = float(H.abs().max())
    torch.testing.assert_close(H, H.T, rtol=0, atol=1e-12 * (1 + size))
    sums = H.unflatten(1, (-1, 3)).sum(1)  # over the atoms that move
    torch.testing.assert_close(sums, torch.zeros_like(sums), rtol=0, atol=1e-12 * (1 + size))
    # without neighbours, or when all of them are images of the one atom, it is zero, and else not
    assert (size < 1e-12) == (name in ("isolated atom", "far apart", "one-atom cell"))


def test_hessian_turns_with_the_structure(model):
    atoms = structures()["radical"]
    R = random_rotation(4)
    turned = atoms.copy()
    turned.positions = atoms.positions @ R.T
    turn = torch.block_diag(*[torch.from_numpy(R)] * len(atoms))
    a, b = hessian(model, batch_of(atoms)), hessian(model, batch_of(turned))
    torch.testing.assert_close(b, turn @ a @ turn.T, rtol=1e-10, atol=1e-10)


def test_hessian_of_a_supercell_sums_to_that_of_the_cell(model):
    """To move all copies of an atom is to move the atom of the small cell."""
    cell = structures()["skewed crystal"]
    small, large = hessian(model, batch_of(cell)), hessian(model, batch_of(cell.repeat((2, 1, 1))))
    summed = large.reshape(2, len(small), 2, len(small)).sum(2)
    torch.testing.assert_close(summed, small.expand(2, -1, -1), rtol=1e-9, atol=1e-10)


def test_hessian_wants_one_structure_and_leaves_all_as_it_was(model):
    atoms = structures()["dimer"]
    for count in (0, 2):
        with pytest.raises(InputError, match=f"of one structure, not of {count}"):
            hessian(model, batch_of(*[atoms] * count))
    assert hessian(model, graph_of(Atoms())).shape == (0, 0)
    graph = batch_of(atoms)
    with torch.no_grad():
        within = hessian(model, graph)
    assert torch.equal(within, hessian(model, graph))
    assert not graph.positions.requires_grad
    assert all(p.grad is None for p in model.parameters())


def test_smooth_where_an_atom_crosses_the_cutoff(model):
    """Energy, force and their slope go to those of separate atoms without a step."""
    apart = energy_of(model, Atoms("CO", positions=[[0, 0, 0], [CUTOFF + 1, 0, 0]]))

    def at(d: float) -> tuple[float, float]:
        p = evaluate(model, batch_of(Atoms("CO", positions=[[0, 0, 0], [d, 0, 0]])))
        return float(p.energy) - apart, float(p.forces[1, 0])

    assert abs(at(CUTOFF - 0.5)[0]) > 1e-6  # the bond is felt inside
    for gap in (1e-2, 1e-3):
        energy, force = at(CUTOFF - gap)
        # the cutoff vanishes as the p-2 = third power, p = 5
        assert abs(energy) < 1e3 * gap**3
        assert abs(force) < 1e4 * gap**2
    assert at(CUTOFF + 1e-9) == (0.0, 0.0)
    inside, outside = at(CUTOFF - 1e-6), at(CUTOFF + 1e-6)
    assert inside == pytest.approx(outside, abs=1e-9)


def test_precision_of_float32():
    exact, single = small_model(), small_model(dtype=torch.float32)
    for name, atoms in structures().items():
        a, b = evaluate(exact, batch_of(atoms)), evaluate(single, batch_of(atoms))
        size = float(a.forces.abs().max()) + 1.0
        assert float((a.forces - b.forces).abs().max()) < 2e-5 * size, name
        assert float((a.energies - b.energies).abs().max()) < 2e-5 * (1 + float((a.energies).abs().max())), (
            name
        )


@pytest.mark.parametrize("kind", list(MODELS))
def test_precision_of_float32_in_parts_and_hessian(kind):
    models = [small_model(**MODELS[kind], dtype=dtype) for dtype in (torch.float64, torch.float32)]
    for name, atoms in structures().items():
        graph = batch_of(atoms)
        a, b = (evaluate(model, graph, edge_forces=True, atomic_stress=True) for model in models)
        pairs = {field: (getattr(a, field), getattr(b, field)) for field in ("edge_forces", "atomic_stress")}
        pairs["hessian"] = (hessian(models[0], graph), hessian(models[1], graph))
        for what, (exact, single) in pairs.items():
            size = float(exact.nan_to_num().abs().sum()) + 1.0
            torch.testing.assert_close(
                single, exact, rtol=0, atol=2e-5 * size, equal_nan=True, msg=f"{what} of {name}"
            )
