"""Descriptors are the features of the layers, in a stated order, and follow the symmetries of space."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from tests.algebra.rotation import random_rotation, wigner
from tests.structures import CUTOFF, batch_of, small_model, structures

NAMES = list(structures())
C = 6  # channels
MODELS = {
    "nonlinear": {},
    "three layers": {"max_L": 2, "l_max": 3, "correlation": 2, "layers": 3},
    "residual": {"interaction": "residual", "average_neighbours": 7.0},
}


@pytest.fixture(scope="module", params=list(MODELS))
def potential(request):
    return Potential(small_model(**MODELS[request.param]), "head0")


def ls_of(potential: Potential, layer: int) -> range:
    return range(potential.model.config.hidden_L(layer) + 1)


def everything(potential: Potential, atoms: Atoms) -> np.ndarray:
    return potential.descriptors(atoms, invariants_only=False)


def blocks(potential: Potential, atoms: Atoms) -> list[tuple[int, np.ndarray]]:
    """Each l and its part (N, C, 2l+1), layer after layer."""
    descriptors = everything(potential, atoms)
    found, start = [], 0
    for layer in range(potential.model.config.layers):
        for l in ls_of(potential, layer):
            stop = start + C * (2 * l + 1)
            found.append((l, descriptors[:, start:stop].reshape(len(atoms), C, 2 * l + 1)))
            start = stop
    assert start == descriptors.shape[1]
    return found


@pytest.mark.parametrize("name", ["skewed crystal", "slab", "molecule", "isolated atom"])
def test_features_of_the_model_channels_slow_and_components_fast(potential, name):
    atoms = structures()[name]
    graph = batch_of(atoms)
    with torch.no_grad():
        features = [x for layer in potential.model(graph, graph.vectors()).features for x in layer]
    found = blocks(potential, atoms)
    assert [2 * l + 1 for l, _ in found] == [x.shape[1] for x in features]
    for (_, block), feature in zip(found, features, strict=True):
        np.testing.assert_allclose(block, feature.numpy().swapaxes(1, 2), atol=1e-13)


def test_sizes_and_choice_of_layers(potential):
    water, count = molecule("H2O"), potential.model.config.layers
    parts = [potential.descriptors(water, layers=i) for i in range(count)]
    full = [potential.descriptors(water, layers=i, invariants_only=False) for i in range(count)]
    for i in range(count):
        assert parts[i].shape == (3, C)
        assert full[i].shape == (3, C * len(ls_of(potential, i)) ** 2)
        np.testing.assert_array_equal(full[i][:, :C], parts[i])
    for given in (None, range(count), list(range(count)), np.arange(count)):
        np.testing.assert_array_equal(potential.descriptors(water, layers=given), np.hstack(parts))
    np.testing.assert_array_equal(everything(potential, water), np.hstack(full))
    np.testing.assert_array_equal(potential.descriptors(water, layers=[1, 0]), np.hstack(parts[1::-1]))
    np.testing.assert_array_equal(potential.descriptors(water, layers=np.int64(1)), parts[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("improper", [False, True])
def test_turn_with_the_structure(potential, name, improper):
    atoms = structures()[name]
    R = random_rotation(6, improper=improper)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ R.T)
    turned.positions = atoms.positions @ R.T
    for (l, before), (_, after) in zip(blocks(potential, atoms), blocks(potential, turned), strict=True):
        np.testing.assert_allclose(after, before @ wigner(l, R).T, atol=1e-10)
    np.testing.assert_allclose(potential.descriptors(turned), potential.descriptors(atoms), atol=1e-11)


def test_every_block_tells_atoms_apart(potential):
    """The test above would pass for zeros."""
    for l, block in blocks(potential, structures()["skewed crystal"]):
        for i in range(1, len(block)):
            assert np.abs(block[i] - block[0]).max() > 1e-4, l


@pytest.mark.parametrize("name", NAMES)
def test_permutation_and_translation(potential, name):
    atoms = structures()[name]
    order = np.random.default_rng(5).permutation(len(atoms))
    shuffled = atoms[order]
    shuffled.info = atoms.info
    shuffled.positions += [3.1, -8.0, 0.7]
    shuffled.wrap()
    expected = everything(potential, atoms)[order]
    np.testing.assert_allclose(everything(potential, shuffled), expected, atol=1e-11)


@pytest.mark.parametrize("name", ["skewed crystal", "one-atom cell", "rocksalt", "slab", "wire"])
def test_a_supercell_repeats_them(potential, name):
    atoms = structures()[name]
    repeat = [2 if periodic else 1 for periodic in atoms.pbc]
    expected = np.tile(everything(potential, atoms), (int(np.prod(repeat)), 1))
    np.testing.assert_allclose(everything(potential, atoms.repeat(repeat)), expected, atol=1e-11)


def test_each_layer_sees_one_cutoff_further(potential):
    """An atom beyond the cutoff is felt by way of another, from the second layer on."""
    chain = Atoms("OHH", [[0, 0, 0], [0.6 * CUTOFF, 0, 0], [1.2 * CUTOFF, 0, 0]])
    bent = chain.copy()
    bent.positions[2, 1] += 0.5

    def felt_by_the_first_atom(layer: int) -> float:
        a, b = (potential.descriptors(atoms, layers=layer)[0] for atoms in (chain, bent))
        return np.abs(a - b).max()

    assert felt_by_the_first_atom(0) == 0.0
    assert felt_by_the_first_atom(1) > 1e-9


def test_heads_and_charges():
    """Features are of the backbone: heads share them, structures of another charge do not."""
    potential = Potential(small_model())
    water = molecule("H2O")
    found = potential.descriptors(water, head="head1")
    np.testing.assert_array_equal(found, potential.descriptors(water, head="head0"))
    water.info.update(charge=1, spin=2)
    assert np.abs(potential.descriptors(water, head="head1") - found).max() > 1e-4
    with pytest.raises(InputError, match="choose one of: head0, head1"):
        potential.descriptors(water)


@pytest.mark.parametrize("kind", list(MODELS))
def test_precision_is_that_of_the_model(kind):
    single = Potential(small_model(**MODELS[kind], dtype=torch.float32), "head0")
    double = Potential(small_model(**MODELS[kind]), "head0")
    for atoms in structures().values():
        a, b = everything(single, atoms), everything(double, atoms)
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(a, b, atol=2e-5 * (1 + np.abs(b).max()))


def test_no_atoms(potential):
    assert potential.descriptors(Atoms(), layers=0).shape == (0, C)


@pytest.mark.parametrize("layers", [-1, 3, [0, 3], [], "0", "all", 0.0, [0.0], True, [None]])
def test_layers_that_are_not_there(potential, layers):
    with pytest.raises(InputError, match=r"layers = .*: this model has 0, 1"):
        potential.descriptors(molecule("H2O"), layers=layers)


def test_structures_that_cannot_be_read(potential):
    with pytest.raises(InputError, match=r"of one structure, an ase\.Atoms, not a list"):
        potential.descriptors([molecule("H2O")])
    with pytest.raises(InputError, match="head 'head0' does not cover Au"):
        potential.descriptors(Atoms("Au"))
    with pytest.raises(InputError, match="unknown head 'head2'"):
        potential.descriptors(molecule("H2O"), head="head2")
