from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
import torch
from ase import Atoms

from crossfield.errors import InputError
from crossfield.graph import Edges, Graph, build_graph, collate, neighbour_list
from tests.structures import CUTOFF, batch_of, graph_of, structures

NAMES = list(structures())


def check_equal(a: Graph, b: Graph) -> None:
    for field in fields(Graph):
        x, y = getattr(a, field.name), getattr(b, field.name)
        assert x.dtype == y.dtype, field.name
        assert torch.equal(x, y), field.name


@pytest.mark.parametrize("name", NAMES)
def test_vectors(name):
    atoms = structures()[name]
    graph = graph_of(atoms)
    r = graph.vectors()
    assert (torch.linalg.vector_norm(r, dim=1) < CUTOFF).all()
    expected = (
        atoms.positions[graph.receiver]
        - atoms.positions[graph.sender]
        + graph.shift.numpy() @ atoms.cell.array
    )
    np.testing.assert_allclose(r.numpy(), expected, atol=1e-13)
    assert (graph.receiver.diff() >= 0).all()


def test_vectors_are_differentiable():
    graph = batch_of(structures()["skewed crystal"], structures()["slab"])
    positions, cell = graph.positions.requires_grad_(), graph.cell.requires_grad_()
    g = torch.randn(graph.num_edges, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    by_position, by_cell = torch.autograd.grad((graph.vectors() * g).sum(), (positions, cell))
    expected = torch.zeros_like(positions).index_add(0, graph.receiver, g).index_add(0, graph.sender, -g)
    torch.testing.assert_close(by_position, expected)
    of_second = graph.structure[graph.sender] == 1
    torch.testing.assert_close(by_cell[1], graph.shift[of_second].T @ g[of_second])


def test_fields_of_one_graph():
    atoms = structures()["ion"]
    graph = build_graph(
        atoms.numbers, atoms.positions, atoms.cell, atoms.pbc, cutoff=CUTOFF, head=1, charge=-1, spin=3
    )
    assert graph.Z.tolist() == [8, 1]
    assert graph.head.tolist() == [1]
    assert graph.charge.tolist() == [-1.0]
    assert graph.spin.tolist() == [3.0]
    assert graph.pbc.tolist() == [[False] * 3]
    assert not graph.periodic.any()
    assert (graph.num_atoms, graph.num_edges, graph.num_structures) == (2, 2, 1)
    whole = {"Z", "sender", "receiver", "structure", "head"}
    for field in fields(Graph):
        dtype = torch.int64 if field.name in whole else torch.bool if field.name == "pbc" else torch.float64
        assert getattr(graph, field.name).dtype == dtype, field.name


def test_edges_may_be_given():
    atoms = structures()["slab"]
    edges = neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF)
    structure = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    check_equal(build_graph(*structure, cutoff=CUTOFF, edges=edges), graph_of(atoms))
    fewer = Edges(*(column[3:] for column in edges))
    assert build_graph(*structure, cutoff=CUTOFF, edges=fewer).num_edges == len(edges.sender) - 3


def test_a_graph_does_not_share_memory_with_the_atoms():
    atoms = structures()["rocksalt"]
    graph = graph_of(atoms)
    before = graph.positions.clone()
    atoms.positions += 1.0
    atoms.cell[:] *= 2.0
    assert torch.equal(graph.positions, before)
    assert graph.cell[0].numpy() == pytest.approx(atoms.cell.array / 2)


def test_same_place_and_no_volume_are_refused():
    with pytest.raises(InputError, match="same place"):
        graph_of(Atoms("HH", positions=[[1, 1, 1], [1, 1, 1]]))
    with pytest.raises(InputError, match="no volume"):
        graph_of(Atoms("H", pbc=True))


def test_collate_keeps_every_structure_apart():
    graphs = [graph_of(atoms, head=i % 2) for i, atoms in enumerate(structures().values())]
    batch = collate(graphs)
    assert batch.num_structures == len(graphs)
    assert batch.num_atoms == sum(g.num_atoms for g in graphs)
    assert (batch.structure.diff() >= 0).all()
    assert (batch.receiver.diff() >= 0).all()
    assert torch.equal(batch.structure[batch.sender], batch.structure[batch.receiver])
    torch.testing.assert_close(batch.vectors(), torch.cat([g.vectors() for g in graphs]), rtol=0, atol=0)
    atom = edge = 0
    for i, g in enumerate(graphs):
        atoms, edges = slice(atom, atom + g.num_atoms), slice(edge, edge + g.num_edges)
        part = Graph(
            Z=batch.Z[atoms],
            positions=batch.positions[atoms],
            cell=batch.cell[i : i + 1],
            pbc=batch.pbc[i : i + 1],
            sender=batch.sender[edges] - atom,
            receiver=batch.receiver[edges] - atom,
            shift=batch.shift[edges],
            structure=batch.structure[atoms] - i,
            head=batch.head[i : i + 1],
            charge=batch.charge[i : i + 1],
            spin=batch.spin[i : i + 1],
            extra=batch.extra[i : i + 1],
        )
        check_equal(part, g)
        atom, edge = atoms.stop, edges.stop


def test_collate_of_batches_is_collate():
    a, b, c = (graph_of(structures()[name]) for name in ("slab", "ion", "one-atom cell"))
    check_equal(collate([collate([a, b]), c]), collate([a, b, c]))


def test_collate_of_one_and_of_none():
    graph = graph_of(structures()["wire"])
    check_equal(collate([graph]), graph)
    empty = collate([])
    assert (empty.num_atoms, empty.num_edges, empty.num_structures) == (0, 0, 0)
    assert empty.vectors().shape == (0, 3)
    check_equal(collate([empty, graph, collate([])]), graph)


def test_structures_without_atoms_or_edges_keep_their_place():
    graphs = [graph_of(a) for a in (Atoms(), structures()["ion"], Atoms(), Atoms("H"), structures()["dimer"])]
    batch = collate(graphs)
    assert batch.num_structures == 5
    assert batch.structure.tolist() == [1, 1, 3, 4, 4]
    assert batch.sender.tolist() == [1, 0, 4, 3]
    assert batch.receiver.tolist() == [0, 1, 3, 4]


def test_to_moves_every_field():
    graph = batch_of(structures()["slab"], structures()["ion"])
    check_equal(graph.to("cpu"), graph)
    moved = graph.to("meta")
    for field in fields(Graph):
        assert getattr(moved, field.name).device.type == "meta", field.name
        assert getattr(moved, field.name).shape == getattr(graph, field.name).shape


def test_periodic_needs_three_axes():
    graph = batch_of(
        structures()["rocksalt"], structures()["slab"], structures()["wire"], structures()["ion"]
    )
    assert graph.periodic.tolist() == [True, False, False, False]


def test_frozen():
    graph = graph_of(structures()["ion"])
    with pytest.raises(FrozenInstanceError):
        graph.Z = torch.zeros(2)
