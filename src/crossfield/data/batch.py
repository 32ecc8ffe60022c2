"""Batches: graphs with their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from crossfield.data.frame import Frame
from crossfield.errors import InputError
from crossfield.graph import Graph, build_graph, collate


@dataclass(frozen=True)
class Labels:
    """Labels of S structures with N atoms, float64. A missing one is NaN with weight 0.

    NaN times 0 is NaN: a loss selects by weight, it does not multiply.
    """

    energy: Tensor  # (S,) eV
    forces: Tensor  # (N, 3) eV/Å
    stress: Tensor  # (S, 3, 3) eV/Å^3
    energy_weight: Tensor  # (S,) structure weight times energy weight
    forces_weight: Tensor  # (S,)
    stress_weight: Tensor  # (S,)

    def to(self, device: torch.device | str) -> Labels:
        """The same labels on another device."""
        return Labels(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True)
class Batch:
    """What one step of training sees."""

    graph: Graph
    labels: Labels

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(self.graph.to(device), self.labels.to(device))


ATOMS_AT_ONCE = 2000  # a bar moves after so many, and a wish to stop is heard


class GraphDataset:
    """Frames with their graphs, built once and kept in memory.

    Args:
        frames: labelled structures.
        heads: index of the head of each frame.
        cutoff: longest edge, Å.
        inputs: numbers that the model reads besides charge and spin, in its order
            (`ModelConfig.extra_inputs`).

    Raises:
        InputError: as many heads as frames are needed; a structure without a graph, or without a number that
            the model reads, naming file and frame.
    """

    def __init__(
        self, frames: Sequence[Frame], heads: Sequence[int], cutoff: float, inputs: Sequence[str] = ()
    ) -> None:
        if len(heads) != len(frames):
            raise InputError(f"{len(frames)} frames need as many heads, not {len(heads)}")
        self.frames = tuple(frames)
        self.heads = tuple(heads)
        self._graphs = [
            frame_graph(f, h, cutoff, inputs) for f, h in zip(self.frames, self.heads, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.frames)

    def subset(self, indices: Sequence[int]) -> GraphDataset:
        """The frames of these indices, with the graphs they have."""
        part = copy(self)
        part.frames = tuple(self.frames[k] for k in indices)
        part.heads = tuple(self.heads[k] for k in indices)
        part._graphs = [self._graphs[k] for k in indices]
        return part

    def answered_by(self, head: int) -> GraphDataset:
        """The same frames, all asked of one head."""
        part = copy(self)
        part.heads = (head,) * len(self)
        part._graphs = [replace(g, head=torch.full_like(g.head, head)) for g in self._graphs]
        return part

    def batch(self, indices: Sequence[int]) -> Batch:
        """Frames of these indices, in this order; an empty list is allowed."""
        graph = collate([self._graphs[k] for k in indices])
        return Batch(graph, collate_labels([self.frames[k] for k in indices]))


def collate_labels(frames: Sequence[Frame]) -> Labels:
    """Labels of frames, joined in their order."""
    count = len(frames)
    energy = np.full(count, np.nan)
    stress = np.full((count, 3, 3), np.nan)
    forces = [np.full((f.num_atoms, 3), np.nan) if f.forces is None else f.forces for f in frames]
    weights = np.zeros((3, count))
    for k, frame in enumerate(frames):
        own = frame.weights
        if frame.energy is not None:
            energy[k], weights[0, k] = frame.energy, own.structure * own.energy
        if frame.forces is not None:
            weights[1, k] = own.structure * own.forces
        if frame.stress is not None:
            stress[k], weights[2, k] = frame.stress, own.structure * own.stress
    return Labels(
        energy=torch.from_numpy(energy),
        forces=torch.from_numpy(np.concatenate([np.zeros((0, 3)), *forces])),
        stress=torch.from_numpy(stress),
        energy_weight=torch.from_numpy(weights[0].copy()),
        forces_weight=torch.from_numpy(weights[1].copy()),
        stress_weight=torch.from_numpy(weights[2].copy()),
    )


def in_parts(frames: Sequence[Frame], size: int | None = None) -> Iterator[list[Frame]]:
    """Frames in their order, so many at a time; None: structures of about 2000 atoms."""
    part: list[Frame] = []
    for frame in frames:
        part.append(frame)
        full = sum(f.num_atoms for f in part) >= ATOMS_AT_ONCE
        if len(part) == size or (size is None and full):
            yield part
            part = []
    if part:
        yield part


def frame_graph(frame: Frame, head: int, cutoff: float, inputs: Sequence[str] = ()) -> Graph:
    """The graph of a frame; arguments as for `GraphDataset`.

    Raises:
        InputError: it has none, or a number is missing that the model reads; naming file and frame.
    """
    if missing := [name for name in inputs if name not in frame.inputs]:
        raise InputError(
            f"the model reads {missing[0]!r}, which theory {frame.theory!r} does not declare: describe it "
            f"under `theories:` (inputs.{missing[0]})",
            file=frame.file,
            frame=frame.index,
        )
    try:
        return build_graph(
            frame.Z,
            frame.positions,
            frame.cell,
            frame.pbc,
            cutoff=cutoff,
            head=head,
            charge=frame.charge,
            spin=frame.spin,
            extra=[frame.inputs[name] for name in inputs],
        )
    except InputError as error:
        raise InputError(error.message, file=frame.file, frame=frame.index) from error
