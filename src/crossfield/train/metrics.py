"""Errors of a model per head and property, and the score that chooses the best weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from crossfield.data.batch import Batch, GraphDataset
from crossfield.data.frame import Frame
from crossfield.data.reference import per_atom
from crossfield.model.derivatives import Prediction, evaluate
from crossfield.model.model import Model

PROPERTIES = ("energy", "forces", "stress")
SMALLEST_SPREAD = (1e-3, 1e-2, 1e-4)  # eV/atom, eV/Å, eV/Å^3; where all labels of a head are alike


class Error(NamedTuple):
    """Error of one property; mae and rmse in eV/atom, eV/Å or eV/Å^3."""

    mae: float
    rmse: float
    labels: int  # numbers compared: structures, 3 per atom, 9 per stress


@dataclass(frozen=True)
class HeadErrors:
    """Errors of one head; None where there is no label."""

    head: str
    frames: int
    energy: Error | None  # eV/atom
    forces: Error | None  # eV/Å, per component
    stress: Error | None  # eV/Å^3, per component

    def items(self) -> list[tuple[str, Error]]:
        """The properties that have labels."""
        found = ((name, getattr(self, name)) for name in PROPERTIES)
        return [(name, error) for name, error in found if error is not None]


@dataclass(frozen=True)
class Metrics:
    """Errors of all heads that have frames."""

    heads: tuple[HeadErrors, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values: head, property, then mae, rmse and number of labels."""
        return {
            h.head: {"frames": h.frames, **{name: error._asdict() for name, error in h.items()}}
            for h in self.heads
        }


class ErrorSums:
    """Sums over batches, from which errors follow."""

    def __init__(self, heads: int) -> None:
        # (heads, properties, [sum |d|, sum d^2, count]); sums of float64 on the processor
        self._sums = torch.zeros(heads, len(PROPERTIES), 3, dtype=torch.float64)
        self._frames = torch.zeros(heads, dtype=torch.int64)

    def add(self, prediction: Prediction, batch: Batch) -> None:
        """Take in a batch."""
        graph, labels, heads = batch.graph, batch.labels, len(self._sums)
        atoms = torch.bincount(graph.structure, minlength=graph.num_structures)
        structure = graph.head
        pairs = (
            (prediction.energy / atoms, labels.energy / atoms, structure),
            (prediction.forces, labels.forces, structure[graph.structure]),
            (prediction.stress, labels.stress, structure),
        )
        for k, (predicted, label, head) in enumerate(pairs):
            if predicted is not None:
                self._sums[:, k] += _sums(predicted, label, head, heads).cpu()
        self._frames += torch.bincount(structure, minlength=heads).cpu()

    def metrics(self, names: Sequence[str]) -> Metrics:
        """Errors of the heads, in order of their names."""
        found = []
        for name, sums, frames in zip(names, self._sums.tolist(), self._frames.tolist(), strict=True):
            if frames:
                found.append(HeadErrors(name, frames, *(_error(*s) for s in sums)))
        return Metrics(tuple(found))


def evaluate_dataset(model: Model, dataset: GraphDataset, batch_size: int = 32) -> Metrics:
    """Errors of a model on a data set.

    Args:
        model: the model, on any device.
        dataset: frames with head indices of this model.
        batch_size: structures evaluated at once.
    """
    sums = ErrorSums(len(model.heads))
    for first in range(0, len(dataset), batch_size):
        batch = dataset.batch(range(first, min(first + batch_size, len(dataset)))).to(model.device)
        labels = batch.labels
        prediction = evaluate(
            model,
            batch.graph,
            forces=bool(torch.isfinite(labels.forces).any()),
            stress=bool(torch.isfinite(labels.stress).any()),
        )
        sums.add(prediction, batch)
    return sums.metrics([head.name for head in model.heads])


@dataclass(frozen=True)
class Score:
    """One number for all heads: the mean, over heads and trained properties, of MAE / spread.

    The spread is that of the head's training labels: standard deviation of the energy per atom after
    E0, mean size of a force component, standard deviation of a stress component. 1 is about as good as
    a constant, 0 is perfect; a head counts as much as any other, whatever its units and number of frames.
    """

    spread: Mapping[str, Mapping[str, float]]  # by head and property; those left out do not count

    def __call__(self, metrics: Metrics) -> float:
        """The score; NaN where nothing can be compared."""
        parts = [
            error.mae / self.spread[h.head][name]
            for h in metrics.heads
            for name, error in h.items()
            if name in self.spread.get(h.head, {})
        ]
        return math.fsum(parts) / len(parts) if parts else math.nan


def label_spread(frames: Iterable[Frame], E0: Mapping[int, float]) -> dict[str, float]:
    """Spread of the labels of one head, by property.

    Args:
        frames: training frames.
        E0: reference energies, eV.
    """
    frames = list(frames)
    energies = np.array([per_atom(f, E0) for f in frames if f.energy is not None])
    forces = [np.abs(f.forces).ravel() for f in frames if f.forces is not None]
    stress = [f.stress.ravel() for f in frames if f.stress is not None]
    spread = {}
    if len(energies):
        spread["energy"] = max(float(energies.std()), SMALLEST_SPREAD[0])
    if forces:
        spread["forces"] = max(float(np.concatenate(forces).mean()), SMALLEST_SPREAD[1])
    if stress:
        spread["stress"] = max(float(np.concatenate(stress).std()), SMALLEST_SPREAD[2])
    return spread


def baseline_metrics(
    head: str, train: Sequence[Frame], test: Sequence[Frame], E0: Mapping[int, float]
) -> HeadErrors:
    """Errors of a guess that sees no structure, for comparison.

    The guess is E0 plus the mean energy per atom of the training frames, no forces, and no stress.

    Args:
        head: name of the head.
        train: frames that give the mean.
        test: frames to compare with.
        E0: reference energies, eV.
    """
    known = [per_atom(f, E0) for f in train if f.energy is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    differences = (
        np.array([per_atom(f, E0) - mean for f in test if f.energy is not None]),
        np.concatenate([np.zeros(0), *(f.forces.ravel() for f in test if f.forces is not None)]),
        np.concatenate([np.zeros(0), *(f.stress.ravel() for f in test if f.stress is not None)]),
    )
    errors = (_error(float(np.abs(d).sum()), float((d * d).sum()), d.size) for d in differences)
    return HeadErrors(head, len(test), *errors)


def _error(absolute: float, squares: float, count: float) -> Error | None:
    return Error(absolute / count, math.sqrt(squares / count), int(count)) if count else None


def _sums(predicted: Tensor, label: Tensor, head: Tensor, heads: int) -> Tensor:
    """(heads, 3) sums of |d|, d^2 and of ones over the labels there are."""
    known = torch.isfinite(label)
    d = torch.where(known, predicted - label, torch.zeros_like(label)).flatten(1 if label.ndim > 1 else 0)
    rows = [d.abs(), d.square(), known.double().reshape(d.shape)]
    per_row = torch.stack([x if x.ndim == 1 else x.sum(dim=1) for x in rows], dim=1)  # (rows, 3)
    return one_hot(head, heads).double().T @ per_row
