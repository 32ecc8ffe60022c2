from __future__ import annotations

import copy
import pickle
from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfield.errors import InputError
from crossfield.graph import SkinList, neighbour_list
from crossfield.graph.neighbours import candidates
from tests.structures import CUTOFF, structures

SKIN = 0.5
PBC = list(product([False, True], repeat=3))
CUBE = 9.0 * np.eye(3)
OPEN, PERIODIC = np.zeros(3, dtype=bool), np.ones(3, dtype=bool)


def walkers() -> dict[str, Atoms]:
    cube = bulk("Cu", cubic=True)
    outside = cube.copy()
    outside.positions += np.array([3, -20, 7])[:, None].T * cube.cell.lengths()
    return structures() | {
        "two atoms, many images": Atoms("Si2", [[0, 0, 0], [0.8, 0.7, 0.6]], cell=1.9 * np.eye(3), pbc=True),
        "needle": Atoms("H", cell=[[2.0, 0, 0], [1.9, 1.5, 0], [0.3, 0.2, 9.0]], pbc=True),
        "left-handed": Atoms("Cu", cell=[[0, 2.5, 0], [2.4, 0, 0.3], [0, 0, 3.1]], pbc=True),
        "outside the cell": outside,
        "two slabs": fcc111("Cu", (1, 1, 2), vacuum=0.0) + Atoms("O", [[0, 0, 9.0]]),
        "no atoms": Atoms(cell=[3, 3, 3], pbc=True),
    }


def check(neighbours: SkinList, positions, cell, pbc) -> int:
    """Edges are those of a fresh list; returns whether they were searched for."""
    before = neighbours.rebuilds
    edges = neighbours.edges(positions, cell, pbc)
    fresh = neighbour_list(positions, cell, pbc, neighbours.cutoff)
    for ours, expected in zip(edges, fresh):
        assert ours.dtype == expected.dtype
        np.testing.assert_array_equal(ours, expected)
    return neighbours.rebuilds - before


def skewed(rng: np.random.Generator) -> np.ndarray:
    while True:
        cell = rng.normal(size=(3, 3)) * rng.uniform(1.5, 5.0, size=(3, 1))
        if (1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)).min() > 1.5:
            return cell


@pytest.mark.parametrize("name", list(walkers()))
def test_random_walk(name):
    atoms, rng = walkers()[name], np.random.default_rng(3)
    neighbours = SkinList(CUTOFF, SKIN)
    searches = 0
    for _ in range(60):
        searches += check(neighbours, atoms.positions, atoms.cell.array, atoms.pbc)
        atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
    assert searches == neighbours.rebuilds
    assert (searches > 1) == (len(atoms) > 0)
    assert searches < 30


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 6),
    pbc=st.sampled_from(PBC),
    skin=st.floats(1e-9, 1.5),
    strain=st.sampled_from([0.0, 1e-9, 0.003, 0.1]),
    carried=st.booleans(),
)
def test_any_cell_that_changes_while_atoms_walk(seed, count, pbc, skin, strain, carried):
    """Atoms carried along by the cell or not."""
    rng = np.random.default_rng(seed)
    cell, pbc = skewed(rng), np.array(pbc)
    positions = rng.uniform(-0.6, 1.7, size=(count, 3)) @ cell
    neighbours = SkinList(3.5, skin)
    for _ in range(12):
        check(neighbours, positions, cell, pbc)
        F = np.eye(3) + strain * rng.normal(size=(3, 3))
        cell = cell @ F
        positions = positions @ F if carried else positions
        positions = positions + 0.1 * skin * rng.normal(size=positions.shape)


@pytest.mark.parametrize("gap", [0.0, 30.0])
@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)])
def test_round_off_decides_alike_at_the_cutoff(pbc, gap):
    """Perfect crystals, tilted and adrift, with many pairs just at the cutoff; also two, far apart."""
    a, pbc = 3.6, np.array(pbc)
    atoms = bulk("Cu", a=a) * (2, 2, 3)
    if not pbc.all():
        upper = atoms.copy()
        normal = np.cross(*atoms.cell.array[:2])
        upper.positions += atoms.cell.array[2] + gap * normal / np.linalg.norm(normal)
        atoms += upper
    atoms.rotate(37.0, (1.0, 2.0, 4.0), rotate_cell=True)
    counts = set()
    for cutoff in (a, a / np.sqrt(2), a * np.sqrt(1.5)):
        positions = atoms.positions.copy()
        neighbours = SkinList(cutoff, 0.4)
        for _ in range(20):
            check(neighbours, positions, atoms.cell.array, pbc)
            counts.add(len(neighbours.edges(positions, atoms.cell.array, pbc).sender))
            positions += np.array([0.0021, 0.0034, -0.0013])
        assert neighbours.rebuilds == 1
    assert len(counts) > 3  # or else nothing was at the cutoff


@pytest.mark.parametrize("name", ["skewed crystal", "slab", "wire", "molecule", "isolated atom"])
def test_searched_again_only_after_half_the_skin(name):
    atoms = structures()[name]
    start = np.round(atoms.positions * 256) / 256  # so that all moves below are exact
    cell, pbc = atoms.cell.array, atoms.pbc
    for direction in np.vstack([np.eye(3), -np.eye(3)]):
        neighbours = SkinList(CUTOFF, SKIN)
        assert check(neighbours, start, cell, pbc)
        assert not check(neighbours, start, cell, pbc)
        moved = start.copy()
        moved[-1] += 0.5 * SKIN * direction
        assert not check(neighbours, moved, cell, pbc)
        assert not check(neighbours, start + 0.5 * SKIN * direction, cell, pbc)
        moved[-1] += 2.0**-30 * direction
        assert check(neighbours, moved, cell, pbc)
        assert not check(neighbours, moved, cell, pbc)
        moved[-1] -= 0.5 * SKIN * direction  # counts from the last search
        assert not check(neighbours, moved, cell, pbc)
        assert check(neighbours, start - 0.01 * direction, cell, pbc)


@pytest.mark.parametrize("axis", [OPEN, PERIODIC])
def test_two_atoms_that_meet_at_the_last_moment(axis):
    """They come from just within cutoff + skin, each by half the skin."""
    neighbours = SkinList(3.0, 1.0)
    apart = 4.0 - 1e-12
    start = np.array([[0.0, 0, 0], [0, 0, apart]])
    cell = np.diag([9.0, 9.0, 20.0])
    assert check(neighbours, start, cell, axis)
    assert len(neighbours.edges(start, cell, axis).sender) == 0
    now = start + np.array([[0, 0, 0.5], [0, 0, -0.5]])
    assert not check(neighbours, now, cell, axis)
    assert len(neighbours.edges(now, cell, axis).sender) == 2


def test_a_compressed_cell_holds_to_the_last_moment():
    """Images that come from just within cutoff + skin, all of it by strain."""
    neighbours = SkinList(3.0, 1.0)
    start, cell = np.zeros((1, 3)), np.diag([9.0, 9.0, 4.0 - 1e-9])
    assert check(neighbours, start, cell, PERIODIC)
    assert len(neighbours.edges(start, cell, PERIODIC).sender) == 0
    squeezed = cell * np.array([1, 1, 0.75])
    assert not check(neighbours, start, squeezed, PERIODIC)
    assert len(neighbours.edges(start, squeezed, PERIODIC).sender) == 2
    assert check(neighbours, start, squeezed * 0.999, PERIODIC)


def test_a_cell_that_shrinks_and_leaves_its_atoms_behind():
    """The second atom meets an image of the first that has come along with the cell."""
    neighbours = SkinList(3.0, 1.0)
    start, cell = np.array([[0.0, 0, 0], [0, 0, 20.0]]), np.diag([9.0, 9.0, 24.5])
    assert check(neighbours, start, cell, PERIODIC)
    assert len(neighbours.edges(start, cell, PERIODIC).sender) == 0
    shorter = cell - np.diag([0, 0, 1.6])
    check(neighbours, start, shorter, PERIODIC)
    assert len(neighbours.edges(start, shorter, PERIODIC).sender) == 2


@pytest.mark.parametrize("name", ["skewed crystal", "one-atom cell", "slab", "wire"])
def test_a_cell_that_deforms_slightly_with_its_atoms(name):
    atoms, rng = structures()[name], np.random.default_rng(0)
    neighbours = SkinList(CUTOFF, SKIN)
    check(neighbours, atoms.positions, atoms.cell.array, atoms.pbc)
    for _ in range(10):
        F = np.eye(3) + 0.001 * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ F, scale_atoms=False)
        atoms.positions[:] = atoms.positions @ F
        assert not check(neighbours, atoms.positions, atoms.cell.array, atoms.pbc)
    atoms.set_cell(atoms.cell.array * 0.8, scale_atoms=True)
    assert check(neighbours, atoms.positions, atoms.cell.array, atoms.pbc)


def test_what_else_is_searched_again():
    rng = np.random.default_rng(1)
    positions = rng.random((8, 3)) * 9.0
    neighbours = SkinList(CUTOFF, SKIN)
    assert check(neighbours, positions, CUBE, PERIODIC)
    assert check(neighbours, positions[:-1], CUBE, PERIODIC)
    assert check(neighbours, positions, CUBE, PERIODIC)
    assert check(neighbours, positions, CUBE, np.array([True, False, True]))
    assert check(neighbours, positions, CUBE, np.array([True, True, False]))
    assert check(neighbours, positions, CUBE[::-1], np.array([True, True, False]))
    assert check(neighbours, positions, 1.2 * CUBE, np.array([True, True, False]))
    assert not check(neighbours, positions, np.diag([10.8, 10.8, 99.0]), np.array([True, True, False]))
    assert check(neighbours, positions[:0], CUBE, PERIODIC)
    assert check(neighbours, positions, CUBE, PERIODIC)
    assert check(neighbours, positions + np.array([9.0, 0, 0]), CUBE, PERIODIC)
    assert check(neighbours, positions[::-1], CUBE, PERIODIC)


def test_atoms_wrapped_back_into_the_cell():
    rng = np.random.default_rng(2)
    positions = rng.random((8, 3)) * 9.0
    neighbours = SkinList(CUTOFF, SKIN)
    searches = 0
    for _ in range(30):
        positions = (positions + 0.04 * np.array([1.0, 0.2, -0.3])) % 9.0
        searches += check(neighbours, positions, CUBE, PERIODIC)
    assert 1 < searches < 30


def test_the_structure_kept_is_that_of_the_list():
    """For those who search themselves: the same object while the list holds."""
    rng = np.random.default_rng(3)
    positions = rng.random((8, 3)) * 9.0
    neighbours = SkinList(CUTOFF, SKIN)
    kept = neighbours.keep(positions, CUBE, PERIODIC)
    moved = positions + 0.1
    assert neighbours.keep(moved, CUBE, PERIODIC) is kept
    np.testing.assert_array_equal(kept.positions, positions)
    found = neighbours.candidates(moved, CUBE, PERIODIC)
    for ours, expected in zip(found, candidates(positions, CUBE, PERIODIC, CUTOFF + SKIN)):
        np.testing.assert_array_equal(ours, expected)
    assert neighbours.rebuilds == 1
    assert neighbours.keep(positions + 1.0, CUBE, PERIODIC) is not kept
    assert neighbours.candidates(positions + 1.0, CUBE, PERIODIC) is not found
    assert neighbours.rebuilds == 2


def test_structures_changed_in_place():
    """The list remembers what was, not the arrays it was given."""
    rng = np.random.default_rng(4)
    positions, cell, pbc = rng.random((8, 3)) * 9.0, CUBE.copy(), PERIODIC.copy()
    neighbours = SkinList(CUTOFF, SKIN)
    assert check(neighbours, positions, cell, pbc)
    positions[0] += 1.0
    assert check(neighbours, positions, cell, pbc)
    cell[0] *= 1.2
    assert check(neighbours, positions, cell, pbc)
    pbc[1] = False
    assert check(neighbours, positions, cell, pbc)
    for column in neighbours.edges(positions, cell, pbc):
        column[:] = 0
    assert not check(neighbours, positions, cell, pbc)


def test_no_skin_searches_every_time():
    positions = np.random.default_rng(5).random((8, 3)) * 9.0
    neighbours = SkinList(CUTOFF, 0.0)
    for count in range(1, 4):
        assert check(neighbours, positions, CUBE, PERIODIC)
        assert neighbours.rebuilds == count


@pytest.mark.parametrize("skin", [0.0, SKIN])
def test_what_is_refused(skin):
    neighbours = SkinList(CUTOFF, skin)
    positions = np.array([[0.0, 0, 0], [0.2, 0, 0], [3.0, 0, 0]])
    check(neighbours, positions, CUBE, PERIODIC)
    for images in (0, 2):
        meeting = positions + np.array([[0.1, 0, 0], [-0.1 + 9.0 * images, 0, 0], [0, 0, 0]])
        with pytest.raises(InputError, match=r"atoms (0 and 1|1 and 0) are at the same place"):
            neighbours.edges(meeting, CUBE, PERIODIC)
    for flat in (np.zeros((3, 3)), np.diag([9.0, 9.0, 0.0])):
        with pytest.raises(InputError, match="no volume"):
            neighbours.edges(positions, flat, PERIODIC)
    for value in (np.nan, np.inf):
        broken, cell = positions.copy(), CUBE.copy()
        broken[1, 1] = cell[2, 2] = value
        for structure in ((broken, CUBE), (positions, cell)):
            with pytest.raises(InputError, match="NaN or infinity"):
                neighbours.edges(*structure, PERIODIC)
        check(neighbours, positions, cell, np.array([True, True, False]))  # that row is not used
    check(neighbours, positions, CUBE, PERIODIC)  # nothing of it stays


@pytest.mark.parametrize("skin", [-0.1, np.nan, np.inf, -np.inf])
def test_a_skin_is_a_length(skin):
    with pytest.raises(InputError, match="skin = "):
        SkinList(CUTOFF, skin)


def pickled(neighbours: SkinList) -> SkinList:
    return pickle.loads(pickle.dumps(neighbours))  # noqa: S301 (of our own making)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_copies_go_separate_ways(duplicate):
    rng = np.random.default_rng(6)
    positions = rng.random((8, 3)) * 9.0
    first = SkinList(CUTOFF, SKIN)
    check(first, positions, CUBE, PERIODIC)
    second = duplicate(first)
    assert check(second, positions[::-1], CUBE, PERIODIC)
    assert not check(first, positions, CUBE, PERIODIC)
    assert not check(second, positions[::-1], CUBE, PERIODIC)
