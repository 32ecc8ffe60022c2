"""Forces and stress are the derivatives of the energy; the energy is smooth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from crossfield.model import evaluate
from tests.structures import CUTOFF, batch_of, small_model, structures

STEP = 1e-3


@pytest.fixture(scope="module")
def model():
    return small_model()


def central(energy, step: float = STEP) -> float:
    """Fourth-order central difference of energy(x) at 0."""
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


@pytest.mark.parametrize("name", ["skewed crystal", "one-atom cell", "rocksalt"])
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


def test_second_derivatives(model):
    """Gradients of a loss on forces and stress, by double backward, against differences in the weights."""
    graph = batch_of(structures()["skewed crystal"], structures()["radical"])

    def loss() -> torch.Tensor:
        p = evaluate(model, graph, training=True)
        return (p.forces**2).sum() + (p.stress[0] ** 2).sum() + (p.energies**2).sum() * 1e-3

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


def test_hessian_is_symmetric_and_right(model):
    graph = batch_of(structures()["dimer"])

    def forces(positions: torch.Tensor) -> torch.Tensor:
        return evaluate(model, replace(graph, positions=positions), stress=False, training=True).forces

    H = -torch.autograd.functional.jacobian(forces, graph.positions).reshape(6, 6)
    torch.testing.assert_close(H, H.T, rtol=1e-9, atol=1e-9)
    for k in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[k] = 1e-4
        up, down = forces(graph.positions + step.view(2, 3)), forces(graph.positions - step.view(2, 3))
        torch.testing.assert_close(H[k], -(up - down).flatten().detach() / 2e-4, rtol=1e-5, atol=1e-5)


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
