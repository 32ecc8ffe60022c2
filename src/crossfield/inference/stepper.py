"""One structure, again and again, as its atoms move: on a GPU, whole steps without waiting for the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms

from crossfield.graph import Edges, SkinList
from crossfield.inference.gpu.step import Step, step_for
from crossfield.inference.potential import Potential
from crossfield.inference.results import Result


class Stepper:
    """Energies, forces and stress of one structure as it moves.

    Args:
        potential: with the Triton back end, and with tables.
        head: which head answers.
        neighbours: the list to take edges from.
    """

    def __init__(self, potential: Potential, head: str, neighbours: SkinList) -> None:
        self.potential, self.head, self.neighbours = potential, head, neighbours
        self._atoms: Atoms | None = None  # for which there is a step
        self._edges: Edges | None = None
        self._step: Step | None = None

    def __call__(self, atoms: Atoms) -> Result | None:
        """Evaluate; None where atoms are closer than tables reach, and `Potential.predict` is to be asked.

        Raises:
            InputError: as `Potential.predict`.
        """
        edges = self.neighbours.candidates(atoms.positions, atoms.cell.array, atoms.pbc)
        if self._atoms is None or not _same(atoms, self._atoms) or edges is not self._edges:
            self._lay_out(atoms, edges)
        assert self._step is not None
        box = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
        found = self._step.on_host(torch.from_numpy(atoms.positions.copy()), torch.from_numpy(box[None]))
        radial = self._step.plan.radial
        assert radial is not None
        if found.shortest < radial.start:
            self._atoms = self._step = None  # there will be tables that reach further
            return None
        stress = None
        if atoms.pbc.all():
            xx, yy, zz, yz, xz, xy = (found.virial[0] / atoms.get_volume()).tolist()
            stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        return Result(
            self.head,
            float(found.energy),
            energies=found.energies.numpy(),
            forces=found.forces.numpy(),
            stress=stress,
        )

    def _lay_out(self, atoms: Atoms, edges: Edges) -> None:
        graph = self.potential.graph(atoms, self.head, edges=edges)
        same = self._atoms is not None and _same(atoms, self._atoms)
        prepared = self.potential.prepared
        assert prepared is not None
        self._step = step_for(prepared, graph, self._step if same else None)
        self._atoms, self._edges = atoms.copy(), edges


def _same(a: Atoms, b: Atoms) -> bool:
    """Whether two structures differ in nothing but positions and cell."""
    if len(a) != len(b) or not np.array_equal(a.numbers, b.numbers) or not np.array_equal(a.pbc, b.pbc):
        return False
    return {k: v for k, v in a.info.items() if _plain(v)} == {k: v for k, v in b.info.items() if _plain(v)}


def _plain(x: Any) -> bool:
    return isinstance(x, str | int | float | np.number)
