"""The one data structure that a model sees: a batch of structures with their edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from crossfield.errors import InputError


@dataclass(frozen=True)
class Graph:
    """A batch of structures. N atoms, E edges, S structures in all.

    An edge carries a message from `sender` to `receiver`; its vector is
    `positions[receiver] - positions[sender] + shift @ cell` (the convention of the MACE family).
    Positions and cells are float64: vectors are formed exactly and cast by the model.
    """

    Z: Tensor  # (N,) atomic numbers, int64
    positions: Tensor  # (N, 3) Å
    cell: Tensor  # (S, 3, 3) Å, rows are lattice vectors
    pbc: Tensor  # (S, 3) bool
    sender: Tensor  # (E,) int64
    receiver: Tensor  # (E,) int64, ascending
    shift: Tensor  # (E, 3) whole lattice vectors crossed, float64
    structure: Tensor  # (N,) structure of each atom, ascending, int64
    head: Tensor  # (S,) index of the head asked for, int64
    charge: Tensor  # (S,) total charge, e, float64
    spin: Tensor  # (S,) multiplicity 2S+1, float64
    extra: Tensor  # (S, K) further numbers that the model reads, in the order of its inputs, float64

    @property
    def num_atoms(self) -> int:
        return self.Z.shape[0]

    @property
    def num_edges(self) -> int:
        return self.sender.shape[0]

    @property
    def num_structures(self) -> int:
        return self.cell.shape[0]

    @property
    def periodic(self) -> Tensor:
        """(S,) bool: three periodic axes, so that volume and stress are defined."""
        return self.pbc.all(dim=1)

    def vectors(self) -> Tensor:
        """(E, 3) edge vectors, Å; differentiable in `positions` and `cell`."""
        cell = self.cell[self.structure[self.sender]]  # (E, 3, 3)
        shift = torch.einsum("ea,eab->eb", self.shift, cell)
        return self.positions[self.receiver] - self.positions[self.sender] + shift

    def check_edges(self) -> None:
        """Check that edges are between atoms of the graph, and that receivers ascend.

        Raises:
            InputError: they are not.
        """
        if not self.num_edges:
            return
        inside = (self.sender >= 0) & (self.sender < self.num_atoms)
        ascending = (self.receiver.diff() >= 0).all() & (self.receiver[0] >= 0)
        if not bool(inside.all() & ascending & (self.receiver[-1] < self.num_atoms)):
            raise InputError("edges must be between atoms of the structure, in the order of their receivers")

    def to(self, device: torch.device | str) -> Graph:
        """The same graph on another device."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self)}
        return replace(self, **moved)


def collate(graphs: Sequence[Graph]) -> Graph:
    """Join graphs into one batch; atoms and structures keep their order. An empty list is allowed."""
    if not graphs:
        return _empty()
    atoms = torch.tensor([g.num_atoms for g in graphs])
    structures = torch.tensor([g.num_structures for g in graphs])
    edges = torch.tensor([g.num_edges for g in graphs])
    first_atom = (atoms.cumsum(0) - atoms).to(graphs[0].Z.device)
    first_structure = (structures.cumsum(0) - structures).to(graphs[0].Z.device)
    offset = {
        "sender": first_atom.repeat_interleave(edges.to(first_atom.device)),
        "receiver": first_atom.repeat_interleave(edges.to(first_atom.device)),
        "structure": first_structure.repeat_interleave(atoms.to(first_atom.device)),
    }
    joined = {f.name: torch.cat([getattr(g, f.name) for g in graphs]) for f in fields(Graph)}
    return Graph(**{k: v + offset[k] if k in offset else v for k, v in joined.items()})


def _empty() -> Graph:
    whole, real = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
    return Graph(
        Z=whole,
        positions=real.reshape(0, 3),
        cell=real.reshape(0, 3, 3),
        pbc=torch.zeros(0, 3, dtype=torch.bool),
        sender=whole,
        receiver=whole,
        shift=real.reshape(0, 3),
        structure=whole,
        head=whole,
        charge=real,
        spin=real,
        extra=real.reshape(0, 0),
    )
