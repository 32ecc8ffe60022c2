from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from crossfield.errors import InputError
from crossfield.graph import Edges, neighbour_list
from crossfield.graph.neighbours import complete_cell

CUTOFF = 4.5
PBC = [np.array(p) for p in product([False, True], repeat=3)]


def brute_force(positions, cell, pbc, cutoff) -> list[tuple[int, ...]]:
    """(receiver, sender, shift) of every pair, from all images that could be near."""
    box = cell.copy()
    missing = [k for k in range(3) if not pbc[k]]
    # any vectors that complete the cell will do: they are never repeated
    box[missing] = np.linalg.qr(np.vstack([box[pbc], np.random.default_rng(0).normal(size=(3, 3))]).T)[0].T[
        pbc.sum() : 3
    ]
    height = 1.0 / np.linalg.norm(np.linalg.inv(box), axis=0)  # between the planes of each axis
    fractional = positions @ np.linalg.inv(box)
    spread = np.ptp(fractional, axis=0) if len(positions) else np.zeros(3)
    reach = np.where(pbc, np.ceil(cutoff / height + spread) + 1, 0).astype(int)
    shifts = np.array(list(product(*[range(-n, n + 1) for n in reach])))
    found = []
    for i, j in product(range(len(positions)), repeat=2):
        vectors = positions[j] - positions[i] + shifts @ box
        near = (np.linalg.norm(vectors, axis=1) < cutoff) & ((i != j) | shifts.any(axis=1))
        found += [(j, i, *map(int, shift)) for shift in shifts[near]]
    return sorted(found)


def listed(edges: Edges) -> list[tuple[int, ...]]:
    return [
        (r, s, *map(int, shift))
        for r, s, shift in zip(edges.receiver.tolist(), edges.sender.tolist(), edges.shift.tolist())
    ]


def skewed_cell(rng: np.random.Generator, *, smallest: float = 1.5) -> np.ndarray:
    while True:
        cell = rng.normal(size=(3, 3)) * rng.uniform(1.5, 5.0, size=(3, 1))
        heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        if heights.min() > smallest:
            return cell


@pytest.mark.parametrize("pbc", PBC, ids=lambda p: "".join("TF"[not x] for x in p))
@pytest.mark.parametrize("seed", range(6))
def test_skewed_cells(pbc, seed):
    """Right- and left-handed, atoms inside and outside."""
    rng = np.random.default_rng(seed)
    cell = skewed_cell(rng)
    if (np.linalg.det(cell) < 0) != (seed % 2):
        cell = cell[[1, 0, 2]]
    assert (np.linalg.det(cell) < 0) == (seed % 2)
    positions = rng.uniform(-0.6, 1.7, size=(5, 3)) @ cell
    expected = brute_force(positions, cell, pbc, CUTOFF)
    assert listed(neighbour_list(positions, cell, pbc, CUTOFF)) == expected  # and so sorted by receiver
    assert expected or not pbc.any()


def test_small_cell_with_hundreds_of_images():
    rng = np.random.default_rng(1)
    cell = 1.15 * np.eye(3) + 0.1 * rng.normal(size=(3, 3))
    pbc = np.array([True] * 3)
    edges = neighbour_list(np.zeros((1, 3)), cell, pbc, CUTOFF)
    assert len(edges.sender) > 200
    assert listed(edges) == brute_force(np.zeros((1, 3)), cell, pbc, CUTOFF)
    assert np.abs(edges.shift).max() > 2


def test_atoms_far_outside_the_cell():
    rng = np.random.default_rng(4)
    cell, pbc = skewed_cell(rng, smallest=2.0), np.array([True] * 3)
    inside = rng.random((4, 3)) @ cell
    whole = rng.integers(-40, 40, size=(4, 3))
    near, far = (neighbour_list(x, cell, pbc, CUTOFF) for x in (inside, inside + whole @ cell))
    # the same pairs, with shifts that make up for the displacement
    back = far.shift + whole[far.receiver] - whole[far.sender]
    moved = sorted(listed(Edges(far.sender, far.receiver, back)))
    assert moved == listed(near)
    assert len(near.sender) > 30


def test_open_axes_ignore_their_cell_vectors():
    positions = np.random.default_rng(0).uniform(0, 5, size=(6, 3))
    pbc = np.array([True, False, False])
    cell = np.diag([5.0, 0.0, 0.0])
    expected = listed(neighbour_list(positions, cell, pbc, CUTOFF))
    assert expected
    for other in (np.diag([5.0, 2.0, 2.0]), np.diag([5.0, 300.0, 1e-9])):
        assert listed(neighbour_list(positions, other, pbc, CUTOFF)) == expected


def test_isolated_atoms_and_no_atoms():
    pbc = np.zeros(3, dtype=bool)
    apart = np.array([[0.0, 0, 0], [100.0, 0, 0]])
    for positions in (np.zeros((0, 3)), np.zeros((1, 3)), apart):
        edges = neighbour_list(positions, np.zeros((3, 3)), pbc, CUTOFF)
        assert edges.sender.shape == edges.receiver.shape == (0,)
        assert edges.shift.shape == (0, 3)
    edges = neighbour_list(np.zeros((0, 3)), np.eye(3), ~pbc, CUTOFF)
    assert edges.shift.shape == (0, 3)


def test_every_edge_has_its_reverse():
    rng = np.random.default_rng(8)
    cell = skewed_cell(rng)
    edges = neighbour_list(rng.random((4, 3)) @ cell, cell, np.array([True, True, False]), CUTOFF)
    forth = listed(edges)
    assert sorted((s, r, -a, -b, -c) for r, s, a, b, c in forth) == forth
    assert edges.sender.dtype == edges.receiver.dtype == np.int64
    assert edges.shift.dtype == np.float64


def test_cutoff_is_exclusive():
    positions = np.array([[0.0, 0, 0], [2.0, 0, 0]])
    pbc = np.zeros(3, dtype=bool)
    assert len(neighbour_list(positions, np.zeros((3, 3)), pbc, 2.0 + 1e-9).sender) == 2
    assert len(neighbour_list(positions, np.zeros((3, 3)), pbc, 2.0 - 1e-9).sender) == 0


@pytest.mark.parametrize("cutoff", [0.7, 2.0, 3.3, 4.5, 5.1, 6.0])
def test_cutoff_is_exclusive_to_the_last_bit(cutoff):
    """In a molecule, across a boundary, and beside an atom far away."""
    for length, count in ((cutoff, 0), (np.nextafter(cutoff, 0.0), 2)):
        pair = np.array([[0.0, 0, 0], [0, length, 0]])
        far = np.vstack([pair, [50.0, 0, 0]])
        for positions in (pair, far):
            edges = neighbour_list(positions, np.zeros((3, 3)), np.zeros(3, dtype=bool), cutoff)
            assert len(edges.sender) == count
        axis = np.array([False, True, False])
        edges = neighbour_list(np.zeros((1, 3)), length * np.eye(3), axis, cutoff)
        assert listed(edges) == [(0, 0, 0, -1, 0), (0, 0, 0, 1, 0)][:count]


@pytest.mark.parametrize("images", [0, 1, -3])
def test_two_atoms_at_the_same_place(images):
    cell, pbc = np.diag([4.0, 5.0, 6.0]), np.array([True] * 3)
    positions = np.array([[0.1, 0, 0], [2.0, 2, 2], [0.1 + 4.0 * images, 5.0 * images, 0]])
    with pytest.raises(InputError, match=r"atoms (0 and 2|2 and 0) are at the same place"):
        neighbour_list(positions, cell, pbc, CUTOFF)


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        (np.zeros((3, 3)), (True, True, True)),
        (np.zeros((3, 3)), (False, False, True)),
        ([[3, 0, 0], [6, 0, 0], [0, 0, 3]], (True, True, False)),
        ([[3, 0, 0], [0, 3, 0], [3, 3, 0]], (True, True, True)),
        ([[3, 0, 0], [0, 3, 0], [0, 0, 1e-8]], (True, True, True)),
    ],
)
def test_cells_without_volume(cell, pbc):
    with pytest.raises(InputError, match="no volume along its periodic axes"):
        neighbour_list(np.zeros((1, 3)), np.array(cell, dtype=float), np.array(pbc), CUTOFF)


@pytest.mark.parametrize("pbc", PBC, ids=lambda p: "".join("TF"[not x] for x in p))
def test_complete_cell(pbc):
    cell = skewed_cell(np.random.default_rng(3))
    cell[~pbc] = 0.0
    before = cell.copy()
    box = complete_cell(cell, pbc)
    np.testing.assert_array_equal(cell, before)  # the argument is left alone
    np.testing.assert_array_equal(box[pbc], cell[pbc])
    np.testing.assert_allclose(box[~pbc] @ box[~pbc].T, np.eye((~pbc).sum()), atol=1e-12)
    np.testing.assert_allclose(box[~pbc] @ box[pbc].T, 0.0, atol=1e-12)
