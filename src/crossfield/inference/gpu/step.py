"""Whole steps on a GPU: from positions to energies, forces and stress, as one CUDA graph.

What a structure's elements and edges decide is laid out once, with room for more edges than there are. A step
then copies positions and cell in, replays what was recorded, and copies one array out: nothing is allocated,
and nobody waits for the device before the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from crossfield.graph import Graph
from crossfield.inference.gpu.layer import State
from crossfield.inference.gpu.plan import GpuPlan
from crossfield.inference.memory import Memory
from crossfield.kernels.gpu import rows
from crossfield.kernels.gpu.build import launch
from crossfield.kernels.gpu.launch.convolution import Outgoing
from crossfield.kernels.gpu.launch.tiles import blocks, edges_at_once, rows_of
from crossfield.kernels.operations.interface import Edges

if TYPE_CHECKING:
    from crossfield.inference.prepared import Prepared

ROOM = 1.25  # edges that there is room for, over those that there are
STEP = 1024  # and a multiple of it


class Found(NamedTuple):
    """What a step finds, of N atoms in S structures; on the CPU, float64."""

    energies: Tensor  # (N,) eV
    energy: Tensor  # (S,) eV
    forces: Tensor  # (N, 3) eV/Å
    virial: Tensor  # (S, 6) eV: xx, yy, zz, yz, xz, xy
    shortest: float  # Å; of all edges, infinite without any


class Step:
    """Structures with fixed elements, whose atoms move.

    Args:
        plan: with tables, for all elements of the structures.
        graph: the structures and edges, which may be longer than the cutoff.
    """

    def __init__(self, plan: GpuPlan, graph: Graph) -> None:
        self.plan = plan
        N, S, device = graph.num_atoms, graph.num_structures, plan.device
        self.room = -(-int(ROOM * graph.num_edges + 1) // STEP) * STEP
        self.structure = graph.structure.to(device)
        whole = torch.zeros(self.room, dtype=torch.int64, device=device)
        ends = torch.zeros(N + 1, dtype=torch.int64, device=device)
        self._edges = Edges(whole.clone(), ends.clone())
        self._out = Outgoing(ends.clone(), whole.clone(), whole.clone())
        real = torch.zeros(0, dtype=torch.float64, device=device)
        self._shift, self._r = real.new_zeros(self.room, 3), real.new_zeros(self.room, 3)
        self._there = torch.zeros(self.room, dtype=torch.bool, device=device)
        self.positions, self.cell = real.new_zeros(N, 3), real.new_zeros(S, 3, 3)
        self._first = torch.searchsorted(self.structure, torch.arange(S + 1, device=device))
        # energies, energy, forces, virial of atoms and of structures, and the shortest edge
        self._sizes = [N, S, 3 * N, 6 * S, 1]
        self._found = real.new_zeros(sum(self._sizes))
        self._virial = real.new_zeros(N, 6)
        self._host = torch.zeros(len(self._found), dtype=torch.float64, pin_memory=device.type == "cuda")
        self._state: State = plan.bind(graph.to(device), self._edges, self._out, Memory(plan.dtype, device))
        self._recorded: torch.cuda.CUDAGraph | None = None
        self.lay_out(graph)

    def fits(self, edges: int) -> bool:
        """Whether there is room for so many edges."""
        return edges <= self.room

    def lay_out(self, graph: Graph) -> None:
        """Take other edges of the same structures, for which there is room."""
        E, device = graph.num_edges, self.plan.device
        sender, receiver = graph.sender.to(device), graph.receiver.to(device)
        atoms = torch.arange(graph.num_atoms + 1, device=device)
        edges = Edges(sender, torch.searchsorted(receiver, atoms))
        out = Outgoing.of(edges)
        self._edges.first.copy_(edges.first)
        self._out.first.copy_(out.first)
        for whole, part in (
            (self._edges.sender, sender),
            (self._out.order, out.order),
            (self._out.receiver, receiver),
            (self._shift, graph.shift.to(device)),
        ):
            whole[:E] = part
            whole[E:] = 0
        self._there[:E] = True
        self._there[E:] = False
        self._state.kind_of_sender.copy_(self._state.kind[self._edges.sender])

    def __call__(self, positions: Tensor, cell: Tensor) -> Found:
        """Evaluate.

        Args:
            positions: (N, 3) Å, float64, on any device.
            cell: (S, 3, 3) Å, float64.
        """
        self.positions.copy_(positions, non_blocking=True)
        self.cell.copy_(cell, non_blocking=True)
        if self.plan.device.type == "cuda":
            self._replay()
            self._host.copy_(self._found, non_blocking=True)
            torch.cuda.current_stream(self.plan.device).synchronize()
        else:
            self._compute()
            self._host.copy_(self._found)
        energies, energy, forces, virial, shortest = self._host.clone().split(self._sizes)
        return Found(energies, energy, forces.view(-1, 3), virial.view(-1, 6), float(shortest))

    def _replay(self) -> None:
        """What was recorded; it is recorded when it runs for the first time."""
        if self._recorded is None:
            aside = torch.cuda.Stream(self.plan.device)
            aside.wait_stream(torch.cuda.current_stream(self.plan.device))
            with torch.cuda.stream(aside):
                self._compute()  # compiles, and allocates
            torch.cuda.current_stream(self.plan.device).wait_stream(aside)
            self._recorded = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._recorded):
                self._compute()
        self._recorded.replay()

    @torch.no_grad()
    def _compute(self) -> None:
        plan, state, E = self.plan, self._state, edges_at_once(self._r)
        N, S = state.num_atoms, len(self.cell)
        energies, energy, force, virial, shortest = self._found.split(self._sizes)
        launch(
            rows.vectors,
            [blocks(self.room, E)],
            *(self.positions, self.cell, self.structure, self._edges.sender, self._out.receiver),
            *(self._shift, self._r, self.room),
            EDGES=E,
        )
        found = plan.run(state, self._r, plan.tables, gradient=True)
        assert found.gradient is not None
        energies.copy_(found.energies)
        R = rows_of(N, 128, self._r)
        if N:
            launch(
                rows.forces,
                [blocks(N, R)],
                *(self._edges.first, self._out.first, self._out.order, self._r, found.gradient),
                *(force, self._virial, N),
                ROWS=R,
            )
        if S == 1:
            energy.copy_(found.energies.sum())
            virial.copy_(self._virial.sum(dim=0))
        elif S:
            R = rows_of(S, 32, self._r)
            columns = [(found.energies, energy)]
            columns += [(self._virial[:, k].contiguous(), virial[k * S : (k + 1) * S]) for k in range(6)]
            for values, total in columns:
                launch(rows.totals, [blocks(S, R)], self._first, values, total, S, ROWS=R)
            virial.copy_(virial.view(6, S).T.flatten())
        d = torch.linalg.vector_norm(self._r, dim=1)
        shortest.copy_(torch.where(self._there, d, torch.inf).amin())


def step_for(prepared: Prepared, graph: Graph, before: Step | None) -> Step:
    """A step of these structures.

    Args:
        prepared: what plans are taken from.
        graph: the structures, with edges that may be longer than the cutoff.
        before: a step of the same structures with other edges, which are taken over if there is room.
    """
    if before is not None and before.fits(graph.num_edges):
        before.lay_out(graph)
        return before
    plan = prepared.plan(graph.to(prepared.model.device))
    assert isinstance(plan, GpuPlan)
    return Step(plan, graph)
