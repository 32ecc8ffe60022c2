"""What plans find, and predictions for single structures as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.graph import Graph
from crossfield.model.derivatives import Prediction


class Evaluated(NamedTuple):
    """What a plan finds; float64."""

    energies: Tensor  # (N,) eV
    gradient: Tensor | None  # (E, 3) eV/Å, by edge vectors


@dataclass(frozen=True)
class EdgeForces:
    """The E directed edges of one structure, and the derivative of its energy by each edge vector.

    `vector = positions[receiver] - positions[sender] + shift @ cell`. Every pair of neighbours has an edge in
    both directions. The force on an atom is the sum of `force` over the edges that it sends, less the sum
    over those that it receives.
    """

    sender: NDArray[np.int64]  # (E,) atom index
    receiver: NDArray[np.int64]  # (E,) atom index, ascending
    shift: NDArray[np.int64]  # (E, 3) lattice vectors crossed
    vector: NDArray[np.float64]  # (E, 3) Å
    force: NDArray[np.float64]  # (E, 3) eV/Å, dE/dvector


@dataclass(frozen=True)
class Result:
    """The prediction for one structure of N atoms, by one head."""

    head: str
    energy: float  # eV
    energies: NDArray[np.float64]  # (N,) eV, per atom
    forces: NDArray[np.float64] | None  # (N, 3) eV/Å
    stress: NDArray[np.float64] | None  # (3, 3) eV/Å^3, tensile positive; None without three periodic axes
    atomic_stress: NDArray[np.float64] | None = None  # (N, 3, 3) eV/Å^3, summing to the stress; None likewise
    edges: EdgeForces | None = None


def split(prediction: Prediction, batch: Graph, head: str) -> list[Result]:
    """Cut the prediction for a batch into those for its structures, in order."""
    size = batch.num_structures
    absent: list[None] = [None] * size
    atoms = torch.bincount(batch.structure, minlength=size).tolist()
    energy = prediction.energy.tolist()
    energies = _cut(prediction.energies, atoms)
    forces = _cut(prediction.forces, atoms) if prediction.forces is not None else absent
    stress = list(prediction.stress.cpu().numpy()) if prediction.stress is not None else absent
    of_atoms = _cut(prediction.atomic_stress, atoms) if prediction.atomic_stress is not None else absent
    edges = _edges(prediction.edge_forces, batch, atoms) if prediction.edge_forces is not None else absent
    return [
        Result(
            head=head,
            energy=energy[i],
            energies=energies[i],
            forces=forces[i],
            stress=stress[i] if periodic else None,
            atomic_stress=of_atoms[i] if periodic else None,
            edges=edges[i],
        )
        for i, periodic in enumerate(batch.periodic.tolist())
    ]


def _cut(values: Tensor, sizes: list[int]) -> list[NDArray[np.float64]]:
    return [part.numpy() for part in values.cpu().split(sizes)]


def _edges(force: Tensor, batch: Graph, atoms: list[int]) -> list[EdgeForces]:
    structure = batch.structure[batch.sender]  # (E,) ascending
    sizes = torch.bincount(structure, minlength=batch.num_structures).tolist()
    first = np.cumsum([0, *atoms])  # first atom of each structure
    columns = (batch.sender, batch.receiver, batch.shift.long(), batch.vectors(), force)
    parts = zip(*(column.cpu().split(sizes) for column in columns), strict=True)
    return [
        EdgeForces(s.numpy() - first[i], t.numpy() - first[i], shift.numpy(), r.numpy(), g.numpy())
        for i, (s, t, shift, r, g) in enumerate(parts)
    ]
