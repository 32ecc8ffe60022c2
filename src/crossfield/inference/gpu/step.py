"""Whole steps on a GPU: from positions to energies, forces and stress, as one CUDA graph.

A step has room for some atoms, structures and edges, and what fits is laid out in it: sizes of arrays come
from a short ladder, so that other structures, and other edges of the same, find a step that was recorded. A
call then copies positions and cells in, and replays; all results are in one array. Nothing is allocated, and
nobody waits for the device.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from crossfield.graph import Graph
from crossfield.inference.gpu.layer import State
from crossfield.inference.gpu.plan import GpuPlan
from crossfield.inference.memory import Memory
from crossfield.kernels.connectivity import Edges, Outgoing
from crossfield.kernels.gpu import rows
from crossfield.kernels.gpu.build import launch
from crossfield.kernels.gpu.launch.tiles import blocks, edges_at_once, rows_of
from crossfield.model.derivatives import over_volume

if TYPE_CHECKING:
    from crossfield.inference.prepared import Prepared

SPARE = 1.2  # room for edges, over those that there are: their number changes as atoms move,
MANY, SPARE_OF_MANY = 1_000_000, 1.04  # but by a smaller part where there are many
RUNGS = 16  # sizes of arrays between a power of two and the next: rooms are at most so much too large
RECORDING = threading.Lock()  # one at a time in a process
WASTE = 0.75  # of a room must be used, or another is made


def rung(size: int) -> int:
    """The next size on the ladder: all up to twice the number of rungs, then as many to every doubling."""
    unit = 1 << max(0, (max(size, 1) - 1).bit_length() - RUNGS.bit_length())
    return -(-size // unit) * unit


class Room(NamedTuple):
    """How many there may be."""

    atoms: int
    structures: int
    edges: int

    @classmethod
    def of(cls, graph: Graph) -> Room:
        """For these structures, and one more, which spare atoms belong to."""
        atoms, structures = rung(graph.num_atoms), rung(graph.num_structures + 1)
        spare = SPARE if graph.num_edges < MANY else SPARE_OF_MANY
        return cls(atoms, structures, rung(int(spare * graph.num_edges) + 1))

    def fits(self, graph: Graph) -> bool:
        """Whether these structures have room, without most of it being empty."""
        atoms, structures, edges = graph.num_atoms, graph.num_structures, graph.num_edges
        if atoms > self.atoms or structures >= self.structures or edges > self.edges:
            return False
        return atoms >= WASTE * self.atoms


class Found(NamedTuple):
    """What a step finds, of N atoms in S structures, float64."""

    energies: Tensor  # (N,) eV
    energy: Tensor  # (S,) eV
    forces: Tensor  # (N, 3) eV/Å
    virial: Tensor  # (S, 6) eV: xx, yy, zz, yz, xz, xy
    shortest: Tensor  # () Å, of all edges; infinite without any

    def stress(self, cell: Tensor, periodic: Tensor) -> Tensor:
        """(S, 3, 3) eV/Å^3, of cells (S, 3, 3) Å; NaN where not `periodic` (S,)."""
        xx, yy, zz, yz, xz, xy = self.virial.unbind(1)
        virial = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], dim=1).view(-1, 3, 3)
        return over_volume(virial, cell, periodic)


class Step:
    """Structures whose atoms move; others take their place by `lay_out`.

    Args:
        plan: with tables, for all elements of the structures.
        graph: the structures and edges, which may be longer than the cutoff; at least one atom.
        memory: to work in; in the hands of nobody else as long as the step is used.
    """

    def __init__(self, plan: GpuPlan, graph: Graph, memory: Memory | None = None) -> None:
        self.plan, self.room = plan, Room.of(graph)
        self.memory = memory or Memory(plan.dtype, plan.device)
        N, S, E = self.room
        whole = torch.zeros(0, dtype=torch.int64, device=plan.device)
        real = torch.zeros(0, dtype=torch.float64, device=plan.device)
        self._edges = Edges(sender=whole.new_zeros(E), first=whole.new_zeros(N + 1))
        self._out = Outgoing(
            first=whole.new_zeros(N + 1), order=whole.new_zeros(E), receiver=whole.new_zeros(E)
        )
        self._shift, self._r = real.new_zeros(E, 3), real.new_zeros(E, 3)
        self._there = torch.zeros(E, dtype=torch.bool, device=plan.device)
        self._positions, self._cell = real.new_zeros(N, 3), real.new_zeros(S, 3, 3)
        self._structure, self._first = whole.new_zeros(N), whole.new_zeros(S + 1)
        # energies, energy, forces, virial of structures, and the shortest edge
        self._sizes = [N, S, 3 * N, 6 * S, 1]
        self._found = real.new_zeros(sum(self._sizes))
        self._virial = real.new_zeros(N, 6)  # of atoms
        self._host = torch.zeros(len(self._found), dtype=torch.float64, pin_memory=plan.device.type == "cuda")
        self._state: State | None = None
        self._allocated = False  # all that it works in
        self._recorded: torch.cuda.CUDAGraph | None = None
        self.lay_out(graph)

    def takes(self, plan: GpuPlan, graph: Graph) -> bool:
        """Whether these structures can be laid out here."""
        return plan is self.plan and self.room.fits(graph)

    def give_up(self) -> Memory:
        """Be a step no more: its memory is another's, to be given other arrays than were recorded."""
        self.room, self._state, self._recorded = Room(0, 0, 0), None, None
        return self.memory

    def lay_out(self, graph: Graph) -> None:
        """Take structures of the plan's elements, for which there is room, and their edges."""
        graph = graph.to(self.plan.device)
        E = graph.num_edges
        self._atoms, self._structures = graph.num_atoms, graph.num_structures
        atoms = torch.arange(self.room.atoms + 1, device=self.plan.device)
        edges = Edges(graph.sender, torch.searchsorted(graph.receiver, atoms))
        out = Outgoing.of(edges)
        for whole, part in (
            (self._edges.sender, graph.sender),
            (self._out.order, out.order),
            (self._out.receiver, graph.receiver),
            (self._shift, graph.shift),
        ):
            whole[:E].copy_(part)
            whole[E:].zero_()
        self._edges.first.copy_(edges.first)
        self._out.first.copy_(out.first)
        self._there.copy_(torch.arange(self.room.edges, device=self.plan.device) < E)
        whole_graph = self._filled_up(graph)
        self._structure.copy_(whole_graph.structure)
        numbers = torch.arange(self.room.structures + 1, device=self.plan.device)
        self._first.copy_(torch.searchsorted(whole_graph.structure, numbers))
        state = self.plan.bind(whole_graph, self._edges, self._out, self.memory)
        if self._state is None:
            self._state = state
        else:
            self._state.take(state)

    def _filled_up(self, graph: Graph) -> Graph:
        """With as many atoms and structures as there is room for; those added are of the first one's kind."""
        atoms, structures = self.room.atoms - self._atoms, self.room.structures - self._structures

        def more(x: Tensor, count: int) -> Tensor:
            return torch.cat([x, x[:1].expand(count, *x.shape[1:])])

        of_structures = ("cell", "pbc", "head", "charge", "spin", "extra")
        return replace(
            graph,
            Z=more(graph.Z, atoms),
            positions=more(graph.positions, atoms),
            structure=torch.cat([graph.structure, graph.structure.new_full((atoms,), self._structures)]),
            **{name: more(getattr(graph, name), structures) for name in of_structures},
        )

    def __call__(self, positions: Tensor, cell: Tensor) -> Found:
        """Evaluate.

        Args:
            positions: (N, 3) Å, float64, on any device.
            cell: (S, 3, 3) Å, float64; zeros in rows of axes that are not periodic.

        Returns:
            On the device, good until the next call.
        """
        self._positions[: self._atoms].copy_(positions, non_blocking=True)
        self._cell[: self._structures].copy_(cell, non_blocking=True)
        if self.plan.device.type == "cuda":
            self._replay()
        else:
            self._compute()
        return self._parts(self._found)

    def on_host(self, positions: Tensor, cell: Tensor) -> Found:
        """The same, copied to the host all at once."""
        self(positions, cell)
        self._host.copy_(self._found, non_blocking=True)
        if self.plan.device.type == "cuda":
            torch.cuda.current_stream(self.plan.device).synchronize()
        return self._parts(self._host.clone())

    def _parts(self, found: Tensor) -> Found:
        energies, energy, forces, virial, shortest = found.split(self._sizes)
        N, S = self._atoms, self._structures
        return Found(
            energies[:N], energy[:S], forces.view(-1, 3)[:N], virial.view(-1, 6)[:S], shortest.squeeze(0)
        )

    def _replay(self) -> None:
        """What was recorded, which is done when it runs a second time: many structures are seen once."""
        with torch.cuda.device(self.plan.device):
            if not self._allocated:
                self._compute()  # compiles, and allocates
                self._allocated = True
                return
            if self._recorded is None:
                found = torch.cuda.CUDAGraph()
                aside = _stream(self.plan.device)
                # other threads may go on meanwhile, but not record
                with RECORDING, torch.cuda.graph(found, stream=aside, capture_error_mode="thread_local"):
                    self._compute()
                self._recorded = found
            self._recorded.replay()

    @torch.no_grad()
    def _compute(self) -> None:
        plan, state = self.plan, self._state
        assert state is not None
        N, S, E = self.room
        energies, energy, force, virial, shortest = self._found.split(self._sizes)
        together = edges_at_once(self._r)
        launch(
            rows.vectors,
            [blocks(E, together)],
            *(self._positions, self._cell, self._structure, self._edges.sender, self._out.receiver),
            *(self._shift, self._r, E),
            EDGES=together,
        )
        found = plan.run(state, self._r, plan.tables, gradient=True)
        assert found.gradient is not None
        energies.copy_(found.energies)
        R = rows_of(N, 128, self._r)
        launch(
            rows.forces,
            [blocks(N, R)],
            *(self._edges.first, self._out.first, self._out.order, self._r, found.gradient),
            *(force, self._virial, N),
            ROWS=R,
        )
        R = rows_of(N, 512, self._r)
        for values, total, columns in ((energies, energy, 1), (self._virial, virial, 6)):
            launch(rows.segments, [S, columns], self._first, values, total, columns, ROWS=R)
        d = torch.linalg.vector_norm(self._r, dim=1)
        shortest.copy_(torch.where(self._there, d, torch.inf).amin())


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Where steps are recorded: always the same one, for which libraries have their memory."""
    return torch.cuda.Stream(device)


def step_for(prepared: Prepared, graph: Graph, before: Step | None) -> Step:
    """A step of these structures.

    Args:
        prepared: what plans are taken from.
        graph: the structures, with edges that may be longer than the cutoff.
        before: a step that is no longer needed as it is: it is taken where there is room, and its memory
            where there is not.
    """
    plan = prepared.plan(graph)
    assert isinstance(plan, GpuPlan)
    if before is not None and before.takes(plan, graph):
        before.lay_out(graph)
        return before
    memory = before.give_up() if before is not None else None
    if memory is not None and (memory.dtype, memory.device) != (plan.dtype, plan.device):
        memory = None
    return Step(plan, graph, memory)
