"""Searches for whole batches against that for one structure: the same edges, in the same order."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossfield.errors import InputError
from crossfield.graph import NO_EDGES, Edges, Graph, build_graph, collate, connect, search, searcher
from crossfield.graph.neighbours import candidates
from tests.structures import structures

REACH = 5.0
SEARCHERS = ["nvalchemi", "vesin"]
PBC = list(product([False, True], repeat=3))


@pytest.fixture(params=SEARCHERS, autouse=True)
def who(request, monkeypatch):
    """Each of those that may search."""
    if request.param == "nvalchemi":
        pytest.importorskip("nvalchemiops")
    monkeypatch.setattr(search, "searcher", lambda device: request.param)
    return request.param


def awkward() -> dict[str, Atoms]:
    rng = np.random.default_rng(3)
    cube = bulk("Cu", cubic=True)
    outside = cube.copy()
    outside.positions += rng.integers(-40, 40, size=(4, 3)) @ cube.cell.array
    needle = Atoms("H", cell=[[2.0, 0, 0], [1.9, 1.5, 0], [0.3, 0.2, 9.0]], pbc=True)
    sheared = Atoms(
        "CO", [[0, 0, 0], [1, 1, 1]], cell=[[3.0, 0, 0], [14.0, 3.0, 0], [-9.0, 17.0, 4.0]], pbc=True
    )
    slab = structures()["slab"]
    slab.append("O")
    slab.positions[-1] += [0.2, -3.1, 1e7]
    everywhere = Atoms("H6", rng.choice([-1e9, 0.0, 1e9], size=(6, 3)) + rng.random((6, 3)))
    return structures() | {
        "many images": Atoms("Si2", [[0, 0, 0], [0.8, 0.7, 0.6]], cell=1.9 * np.eye(3), pbc=True),
        "one atom, hundreds of images": Atoms("H", cell=1.15 * np.eye(3) + 0.1, pbc=True),
        "left-handed": Atoms("Cu", cell=[[0, 2.5, 0], [2.4, 0, 0.3], [0, 0, 3.1]], pbc=True),
        "needle": needle,
        "sheared": sheared,
        "outside the cell": outside,
        "perfect crystal": bulk("C", "diamond", a=3.57, cubic=True),
        "no atoms": Atoms(cell=[3, 3, 3], pbc=True),
        "an atom far above a slab": slab,
        "atoms everywhere": everywhere,
        "at one place": Atoms(
            "H3", [[0, 0, 0], [0, 0, 0], [4.0, 0, 0]], cell=[4.0, 9, 9], pbc=(True, False, True)
        ),
    }


def bare(atoms: Atoms) -> Graph:
    structure = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    return build_graph(*structure, cutoff=REACH, edges=NO_EDGES)


def check(graph: Graph, expected: list[Edges]) -> None:
    ends = torch.bincount(graph.structure, minlength=graph.num_structures).cumsum(0)
    first = [0, *ends.tolist()]
    for name, plus in (("sender", first), ("receiver", first), ("shift", [0.0] * len(first))):
        ours = getattr(graph, name).numpy()
        parts = [getattr(edges, name) + k for edges, k in zip(expected, plus)]
        assert ours.dtype == getattr(NO_EDGES, name).dtype
        np.testing.assert_array_equal(ours, np.concatenate([getattr(NO_EDGES, name), *parts]), err_msg=name)


def found(atoms: Atoms) -> Edges:
    return candidates(atoms.positions, atoms.cell.array, atoms.pbc, REACH)


@pytest.mark.parametrize("name", list(awkward()))
def test_edges_of_one_structure(name):
    atoms = awkward()[name]
    check(connect(bare(atoms), REACH), [found(atoms)])


def test_edges_of_all_at_once():
    """Structures keep apart though all of them lie on top of each other."""
    several = [*awkward().values(), Atoms()]
    graph = collate([bare(atoms) for atoms in several])
    connected = connect(graph, REACH)
    check(connected, [found(atoms) for atoms in several])
    for field in fields(Graph):
        if field.name not in ("sender", "receiver", "shift"):
            assert getattr(connected, field.name) is getattr(graph, field.name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32), count=st.integers(0, 6), pbc=st.sampled_from(PBC), reach=st.floats(0.5, 9.0)
)
def test_any_cell(seed, count, pbc, reach):
    rng = np.random.default_rng(seed)
    cell = np.zeros((3, 3))
    while (1.0 / np.linalg.norm(np.linalg.pinv(cell), axis=0).clip(min=1e-9)).min() < 1.5 or not cell.any():
        cell = rng.normal(size=(3, 3)) * rng.uniform(1.5, 7.0, size=(3, 1))
    positions = rng.uniform(-1.6, 2.7, size=(count, 3)) @ cell
    atoms = Atoms("H" * count, positions, cell=cell, pbc=pbc)
    check(connect(bare(atoms), reach), [candidates(positions, cell, np.array(pbc), reach)])


def test_more_than_one_bin():
    """A crystal, tilted, with many pairs just at the reach, and a heap of atoms."""
    crystal = bulk("Cu", a=REACH) * (7, 6, 5)
    crystal.rotate(37.0, (1.0, 2.0, 4.0), rotate_cell=True)
    cluster = Atoms("H1500", np.random.default_rng(0).uniform(0, [30.0, 12.0, 25.0], size=(1500, 3)))
    check(connect(collate([bare(crystal), bare(cluster)]), REACH), [found(crystal), found(cluster)])


@pytest.mark.parametrize("who", ["nvalchemi"], indirect=True)
@pytest.mark.parametrize("limits", [{"ROOM": 1}, {"PAIRS": 64}, {"BINS": 64, "FEWEST": 1}], ids=str)
def test_limits_change_nothing(monkeypatch, who, limits):
    """Of the room for neighbours, of how many atoms are looked at together, of the number of bins."""
    from crossfield.graph import nvalchemi

    for name, value in limits.items():
        monkeypatch.setattr(nvalchemi, name, value)
    crystal = bulk("Cu", a=3.6) * (5, 1, 4)
    several = [*awkward().values(), crystal]
    check(connect(collate([bare(atoms) for atoms in several]), REACH), [found(atoms) for atoms in several])


@pytest.mark.parametrize("who", ["vesin"], indirect=True)
def test_who_searches(monkeypatch, who):
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    for installed, name in ((True, "nvalchemi"), (False, "vesin")):
        monkeypatch.setattr(search, "_installed", lambda there=installed: there)
        assert (searcher(gpu), searcher(cpu)) == (name, "vesin")


@pytest.mark.parametrize("who", ["nvalchemi"], indirect=True)
def test_a_driver_that_is_too_old(monkeypatch, who):
    from crossfield.graph import nvalchemi

    monkeypatch.setattr(nvalchemi.warp, "is_cuda_available", lambda: False)
    with pytest.raises(InputError, match="install a driver or a warp-lang that fit"):
        nvalchemi._check(torch.device("cuda"))


def test_any_order_in_memory():
    """As torch-sim has them: cells are transposed, and of periodic axes there is one row for all."""
    graph = collate([bare(structures()["slab"])] * 2)
    shared = replace(graph, pbc=graph.pbc[:1].expand(2, 3), cell=graph.cell.mT.contiguous().mT)
    check(connect(shared, REACH), [found(structures()["slab"])] * 2)


def test_an_empty_batch():
    graph = connect(collate([]), REACH)
    assert (graph.num_atoms, graph.num_edges, graph.num_structures) == (0, 0, 0)
    assert graph.shift.shape == (0, 3)


def test_open_axes_ignore_their_cell_vectors():
    atoms = structures()["wire"]
    expected = found(atoms)
    for row in ([0.0, 0.0, 0.0], [np.nan, np.inf, 0.0], [1e-9, 2.0, 2.0]):
        graph = bare(atoms)
        graph.cell[0, 1] = torch.tensor(row, dtype=torch.float64)
        check(connect(graph, REACH), [expected])


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        (np.zeros((3, 3)), (True, True, True)),
        (np.zeros((3, 3)), (False, False, True)),
        ([[3, 0, 0], [6, 0, 0], [0, 0, 3]], (True, True, False)),
        ([[3, 0, 0], [0, 3, 0], [0, 0, 1e-8]], (True, True, True)),
    ],
)
def test_cells_without_volume(cell, pbc):
    flat = bare(Atoms("H", cell=cell, pbc=pbc))
    with pytest.raises(InputError, match=r"^the cell has no volume along its periodic axes"):
        connect(flat, REACH)
    with pytest.raises(InputError, match=r"^frame 1: the cell has no volume along its periodic axes"):
        connect(collate([bare(structures()["slab"]), flat]), REACH)


@pytest.mark.parametrize("name", ["positions", "cell"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(name, value):
    graph = collate([bare(structures()["rocksalt"]), bare(structures()["molecule"])])
    getattr(graph, name)[0, 1] = value
    with pytest.raises(InputError, match="NaN or infinity"):
        connect(graph, REACH)
