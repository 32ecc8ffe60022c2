"""Errors of a model per head and property, and the score that chooses the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.data.batch import Batch, GraphDataset
from crossfield.data.frame import Frame
from crossfield.data.reference import per_atom
from crossfield.model.derivatives import Prediction, evaluate
from crossfield.model.model import Model

PROPERTIES = ("energy", "forces", "stress")
Seen = Callable[
    [range, Batch, Prediction], None
]  # is shown every batch of a data set, with its frame numbers
ISOLATED = 1e-3  # eV; isolated atoms of one element may disagree by so much, and E0 is their mean
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


def evaluate_dataset(
    model: Model, dataset: GraphDataset, batch_size: int = 32, seen: Seen | None = None
) -> Metrics:
    """Errors of a model on a data set.

    Args:
        model: the model, on any device.
        dataset: frames with head indices of this model.
        batch_size: structures evaluated at once.
        seen: is shown what the model says of every batch.
    """
    errors, of_head = frame_errors(model, dataset, batch_size, seen), np.array(dataset.heads, dtype=np.int64)
    found = []
    for position, head in enumerate(model.heads):
        own = errors[of_head == position]
        if len(own):
            found.append(
                HeadErrors(head.name, len(own), *(_error(*sums) for sums in own.sum(axis=0).tolist()))
            )
    return Metrics(tuple(found))


def frame_errors(
    model: Model, dataset: GraphDataset, batch_size: int = 32, seen: Seen | None = None
) -> NDArray[np.float64]:
    """Errors of a model on each frame of a data set.

    Args:
        model: the model, on any device.
        dataset: frames with head indices of this model.
        batch_size: structures evaluated at once.
        seen: is shown what the model says of every batch.

    Returns:
        (frames, properties, 3) sums of |d|, d^2 and 1 over the labels that a frame has; d is the difference
        in eV/atom, eV/Å or eV/Å^3.
    """
    found = np.zeros((len(dataset), len(PROPERTIES), 3))
    for first in range(0, len(dataset), batch_size):
        rows = range(first, min(first + batch_size, len(dataset)))
        batch = dataset.batch(rows).to(model.device)
        labels = batch.labels
        prediction = evaluate(
            model,
            batch.graph,
            forces=bool(torch.isfinite(labels.forces).any()),
            stress=bool(torch.isfinite(labels.stress).any()),
        )
        found[rows.start : rows.stop] = _of_batch(prediction, batch)
        if seen is not None:
            seen(rows, batch, prediction)
    return found


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

    The guess is E0 plus `constant_energy` of the training frames, no forces, and no stress. Energies are left
    out where there is nothing to guess from.

    Args:
        head: name of the head.
        train: frames that give the mean; isolated atoms among them do not count.
        test: frames to compare with.
        E0: reference energies, eV.
    """
    known = [f for f in train if f.energy is not None]
    guess = constant_energy(np.array([per_atom(f, E0) for f in known]), np.array([len(f.Z) for f in known]))
    compared = () if math.isnan(guess) else test
    differences = (
        np.array([per_atom(f, E0) - guess for f in compared if f.energy is not None]),
        np.concatenate([np.zeros(0), *(f.forces.ravel() for f in test if f.forces is not None)]),
        np.concatenate([np.zeros(0), *(f.stress.ravel() for f in test if f.stress is not None)]),
    )
    errors = (_error(float(np.abs(d).sum()), float((d * d).sum()), d.size) for d in differences)
    return HeadErrors(head, len(test), *errors)


def constant_energy(energies: NDArray[np.float64], atoms: NDArray[np.int64]) -> float:
    """The mean energy per atom of the training frames of a head, eV/atom; NaN without any.

    Args:
        energies: (frames,) eV/atom, relative to E0.
        atoms: (frames,) number of atoms. One alone with the energy E0 is what E0 is from, and no frame of the
            data.
    """
    counted = energies[(atoms > 1) | (np.abs(energies) > ISOLATED)]
    return math.fsum(counted) / len(counted) if len(counted) else math.nan


def _error(absolute: float, squares: float, count: float) -> Error | None:
    return Error(absolute / count, math.sqrt(squares / count), int(count)) if count else None


def _of_batch(prediction: Prediction, batch: Batch) -> NDArray[np.float64]:
    """(structures, properties, 3) as in `frame_errors`."""
    graph, labels = batch.graph, batch.labels
    count = graph.num_structures
    atoms = torch.bincount(graph.structure, minlength=count)
    every = torch.arange(count, device=atoms.device)
    pairs = (
        (prediction.energy / atoms, labels.energy / atoms, every),
        (prediction.forces, labels.forces, graph.structure),
        (prediction.stress, labels.stress, every),
    )
    found = torch.zeros(count, len(PROPERTIES), 3, dtype=torch.float64)
    for k, (predicted, label, structure) in enumerate(pairs):
        if predicted is not None:
            found[:, k] = _sums(predicted, label, structure, count).cpu()
    return found.numpy()


def _sums(predicted: Tensor, label: Tensor, structure: Tensor, count: int) -> Tensor:
    """(structures, 3) sums of |d|, d^2 and of ones over the labels there are."""
    known = torch.isfinite(label)
    d = torch.where(known, predicted - label, torch.zeros_like(label))
    terms = torch.stack([d.abs(), d.square(), known.double()], dim=-1).reshape(len(label), -1, 3)
    return terms.new_zeros(count, 3).index_add(0, structure, terms.sum(dim=1))
