"""Energy, forces and stress follow the symmetries of space, to round-off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from crossfield.graph import collate
from crossfield.model import Prediction, evaluate
from tests.structures import batch_of, graph_of, small_model, structures

NAMES = list(structures())
MODELS = {
    "L1": {},
    "L2": {"max_L": 2, "l_max": 3, "correlation": 2},
    "L0": {"max_L": 0, "layers": 3},
    "per element": {"product_per_element": True, "transform": "none", "pair": "none"},
    "last only": {"last_readout_only": True, "edge_channels": None, "layers": 2},
    "one layer": {"layers": 1, "correlation": 4, "l_max": 1},
    "cutoff on basis": {"cutoff_on": "basis"},
    "residual": {"interaction": "residual", "average_neighbours": 7.0, "product_per_element": True},
    "density": {"interaction": "density_residual", "first_interaction": "density", "max_L": 2},
    "plain": {"interaction": "plain", "average_neighbours": 9.0, "transform": "soft", "readout": "bias"},
    "gaussians": {"radial_functions": "gaussian", "readout_activation": "tanh"},
    "chebyshev": {"radial_functions": "chebyshev", "readout_activation": "abs"},
}


@pytest.fixture(scope="module", params=list(MODELS))
def model(request):
    return small_model(**MODELS[request.param])


def check(a: Prediction, b: Prediction, R: np.ndarray | None = None, repeat: int = 1) -> None:
    """A is the prediction for the original, b that for the transformed structure."""
    R = torch.eye(3, dtype=torch.float64) if R is None else torch.from_numpy(R)
    scale = float(a.energies.abs().max())
    torch.testing.assert_close(b.energy, repeat * a.energy, rtol=1e-10, atol=0)
    torch.testing.assert_close(b.energies, a.energies.repeat(repeat), rtol=1e-10, atol=1e-10 * scale)
    size = float(a.forces.abs().max()) + 1e-3
    torch.testing.assert_close(b.forces, (a.forces @ R.T).repeat(repeat, 1), rtol=0, atol=1e-10 * size)
    if not torch.isnan(a.stress).all():
        expected = R @ a.stress @ R.T
        torch.testing.assert_close(
            b.stress, expected, rtol=0, atol=1e-10 * (float(expected.abs().max()) + 1e-3)
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["rotation", "inversion", "mirror and rotation"])
def test_rotation_and_inversion(model, name, kind):
    atoms = structures()[name]
    R = Rotation.random(rng=np.random.default_rng(3)).as_matrix()
    R = {"rotation": R, "inversion": -np.eye(3), "mirror and rotation": -R}[kind]
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ R.T)
    turned.positions = atoms.positions @ R.T
    check(evaluate(model, batch_of(atoms)), evaluate(model, batch_of(turned)), R)


@pytest.mark.parametrize("name", NAMES)
def test_translation(model, name):
    atoms = structures()[name]
    moved = atoms.copy()
    moved.positions += [11.3, -7.1, 2.9]
    check(evaluate(model, batch_of(atoms)), evaluate(model, batch_of(moved)))
    moved.wrap()
    check(evaluate(model, batch_of(atoms)), evaluate(model, batch_of(moved)))


@pytest.mark.parametrize("name", NAMES)
def test_permutation(model, name):
    atoms = structures()[name]
    order = np.random.default_rng(5).permutation(len(atoms))
    shuffled = atoms[order]
    shuffled.info = atoms.info
    a, b = evaluate(model, batch_of(atoms)), evaluate(model, batch_of(shuffled))
    check(a._replace(energies=a.energies[order], forces=a.forces[order]), b)


@pytest.mark.parametrize("name", ["skewed crystal", "one-atom cell", "rocksalt", "slab", "wire"])
def test_supercell(model, name):
    atoms = structures()[name]
    repeat = [2 if periodic else 1 for periodic in atoms.pbc]
    a, b = evaluate(model, batch_of(atoms)), evaluate(model, batch_of(atoms.repeat(repeat)))
    check(a, b, repeat=int(np.prod(repeat)))


def test_another_description_of_the_same_lattice(model):
    atoms = structures()["skewed crystal"]
    sheared = atoms.copy()
    sheared.set_cell(np.array([[1, 2, 0], [0, 1, -1], [0, 0, 1]]) @ atoms.cell.array)
    check(evaluate(model, batch_of(atoms)), evaluate(model, batch_of(sheared)))


def test_mixed_batch_equals_one_by_one(model):
    graphs = [graph_of(atoms, head=i % 2) for i, atoms in enumerate(structures().values())]
    together = evaluate(model, collate(graphs))
    apart = [evaluate(model, graph) for graph in graphs]
    for field in ("energy", "energies", "forces", "stress"):
        expected = torch.cat([getattr(p, field) for p in apart])
        torch.testing.assert_close(getattr(together, field), expected, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_no_net_force_and_symmetric_stress(model):
    for atoms in structures().values():
        prediction = evaluate(model, batch_of(atoms))
        assert float(prediction.forces.sum(0).abs().max()) < 1e-10 * (
            1 + float(prediction.forces.abs().max())
        )
        if atoms.pbc.all():
            assert torch.equal(prediction.stress, prediction.stress.transpose(1, 2))
        else:
            assert torch.isnan(prediction.stress).all()


def test_empty_batch(model):
    prediction = evaluate(model, collate([]))
    assert prediction.energy.shape == (0,)
    assert prediction.forces.shape == (0, 3)
    assert prediction.stress.shape == (0, 3, 3)


def test_structure_without_atoms(model):
    empty = graph_of(Atoms())
    prediction = evaluate(model, collate([empty, graph_of(structures()["molecule"]), empty]))
    assert prediction.energy[0] == 0.0
    assert prediction.energy[2] == 0.0
    assert prediction.energy[1] != 0.0


@pytest.mark.parametrize("name", ["L1", "residual", "density", "plain", "gaussians", "chebyshev"])
def test_every_part_contributes(name):
    """The tests above would pass for a model that ignores its inputs; this one does not."""
    model = small_model(**MODELS[name])
    graph = batch_of(structures()["skewed crystal"])
    base = evaluate(model, graph)
    # with weights as they are initialised, the older interactions feel little of the geometry
    size = 1.0 if name == "L1" else 0.1
    assert float(base.forces.abs().max()) > 1e-2 * size
    assert float(base.stress.abs().max()) > 1e-3 * size
    for change in ({"charge": graph.charge + 1}, {"spin": graph.spin + 1}, {"head": graph.head + 1}):
        assert abs(float(evaluate(model, replace(graph, **change)).energy - base.energy)) > 1e-3
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            kept = parameter.clone()
            parameter.mul_(1.1).add_(0.01)
            changed = evaluate(model, graph).energy
            parameter.copy_(kept)
        assert changed != base.energy, name


def test_one_atom_cell_with_hundreds_of_images():
    """The cutoff reaches over several cells, so that an atom is its own neighbour many times."""
    model = small_model(cutoff=9.5, correlation=2)
    atom = structures()["one-atom cell"]
    one, many = graph_of(atom, cutoff=9.5), graph_of(atom.repeat((2, 1, 2)), cutoff=9.5)
    assert one.num_edges >= 200
    a, b = evaluate(model, one), evaluate(model, many)
    check(a, b, repeat=4)
    assert float(a.forces.abs().max()) < 1e-10
    assert float(a.stress.abs().max()) > 1e-4  # the images are felt
