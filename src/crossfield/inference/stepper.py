"""One structure, again and again, as its atoms move: on a GPU, whole steps without waiting for the device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ase import Atoms

from crossfield.graph import NO_EDGES, Graph, Kept, SkinList, connect
from crossfield.inference.gpu.step import Step, step_for
from crossfield.inference.potential import Potential
from crossfield.inference.read import inputs_of
from crossfield.inference.results import Result


class Stepper:
    """Energies, forces and stress of one structure as it moves.

    Neighbours are searched for when the structure has moved too far for those that are there
    (`crossfield.graph.searcher` says by whom).

    Args:
        potential: with the Triton back end, and with tables.
        neighbours: it says when, and how far.
    """

    def __init__(self, potential: Potential, neighbours: SkinList) -> None:
        self.potential, self.neighbours = potential, neighbours
        self._atoms: Atoms | None = None  # for which there is a step
        self._kept: Kept | None = None  # as it was when neighbours were searched for
        self._step: Step | None = None
        self._of: tuple[Any, ...] = ()  # what else it is of: version of the model, head, charge, ...

    def __getstate__(self) -> dict[str, Any]:
        """Copies in other processes lay out for themselves."""
        return {**self.__dict__, "_atoms": None, "_kept": None, "_step": None}

    def __call__(self, atoms: Atoms, head: str) -> Result | None:
        """Evaluate; None without atoms, or where they are closer than tables reach: ask `Potential.predict`.

        Args:
            atoms: the structure.
            head: which head answers.

        Raises:
            InputError: as `Potential.predict`.
        """
        if not len(atoms):
            return None
        prepared = self.potential.prepared
        assert prepared is not None
        kept = self.neighbours.keep(atoms.positions, atoms.cell.array, atoms.pbc)
        of = (prepared.version(), head, *inputs_of(atoms, self.potential.model))
        if self._atoms is None or not _same(atoms, self._atoms) or kept is not self._kept or of != self._of:
            before = self._step
            self._atoms = self._step = None  # until there is one: memory may not suffice
            self._step = step_for(prepared, self._graph(atoms, head, kept), before)
            self._atoms, self._kept, self._of = atoms.copy(), kept, of
        assert self._step is not None
        box = torch.from_numpy(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0))[None]
        found = self._step.on_host(torch.from_numpy(atoms.positions.copy()), box)
        radial = self._step.plan.radial
        assert radial is not None
        if found.shortest < radial.start:
            self._atoms = self._step = None  # there will be tables that reach further
            return None
        periodic = bool(atoms.pbc.all())
        return Result(
            head,
            float(found.energy),
            energies=found.energies.numpy(),
            forces=found.forces.numpy(),
            stress=found.stress(box, torch.tensor([True]))[0].numpy() if periodic else None,
        )

    def _graph(self, atoms: Atoms, head: str, kept: Kept) -> Graph:
        """The graph on the device, with edges of the structure kept, out to cutoff + skin."""
        graph = self.potential.graph(atoms, head, edges=NO_EDGES)
        there = replace(
            graph,
            positions=torch.from_numpy(kept.positions),
            cell=torch.from_numpy(kept.cell)[None],
        )
        return connect(there.to(self.potential.model.device), self.neighbours.cutoff + self.neighbours.skin)


def _same(a: Atoms, b: Atoms) -> bool:
    """Whether two structures have the same atoms and periodic axes."""
    return len(a) == len(b) and np.array_equal(a.numbers, b.numbers) and np.array_equal(a.pbc, b.pbc)
