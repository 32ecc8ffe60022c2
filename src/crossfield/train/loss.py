"""The loss of a batch.

With w the weight of a head for the property times the weights of the frame, n the number of labels of the
batch and rho the penalty, each property contributes

    energy:  W_energy / n * sum over structures  w rho((E - E_ref) / N)
    forces:  W_forces / n * sum over components  w rho(F - F_ref)
    stress:  W_stress / n * sum over components  w rho(s - s_ref)

The penalties, with d the difference:

    l1:         |d|
    l2:         d^2
    huber:      d^2 / 2 below delta, delta (|d| - delta / 2) above
    universal:  Huber; on forces delta shrinks by 0.7, 0.4, 0.1 from |F_ref| = 100, 200, 300 eV/Å on

n counts labels and not weights: a head's weight multiplies its part of the loss and of the gradient by
exactly itself, whatever else is in the batch. A label that is missing contributes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.data.batch import Batch
from crossfield.model.derivatives import Prediction
from crossfield.train.sections import LossConfig

LARGE_FORCES = (100.0, 200.0, 300.0)  # eV/Å
FACTORS = (1.0, 0.7, 0.4, 0.1)  # of delta, between those forces


class Loss(NamedTuple):
    """The loss and its parts, weights included; float64."""

    total: Tensor  # ()
    energy: Tensor  # ()
    forces: Tensor  # ()
    stress: Tensor  # ()
    by_head: Tensor  # (heads, 3) what each head contributes to energy, forces and stress; no gradient


def batch_loss(prediction: Prediction, batch: Batch, head_weights: Tensor, config: LossConfig) -> Loss:
    """Loss of a batch.

    Args:
        prediction: what the model says; forces or stress may be None where the batch has no label.
        batch: graph and labels.
        head_weights: (heads, 3) factors on each head's energy, forces and stress, float64.
        config: kind and weights.
    """
    labels, graph = batch.labels, batch.graph
    atoms = torch.bincount(graph.structure, minlength=graph.num_structures)  # (S,)
    of_atoms = graph.head[graph.structure]  # (N,)
    terms = (  # prediction, label, weight of the label, head, delta, weight of the property
        (
            prediction.energy / atoms,
            labels.energy / atoms,
            labels.energy_weight,
            graph.head,
            config.delta,
            config.energy,
        ),
        (
            prediction.forces,
            labels.forces,
            labels.forces_weight[graph.structure],
            of_atoms,
            _forces_delta(labels.forces, config),
            config.forces,
        ),
        (
            prediction.stress,
            labels.stress,
            labels.stress_weight,
            graph.head,
            config.delta,
            config.stress,
        ),
    )
    parts = [
        prediction.energy.new_zeros(len(head_weights))
        if predicted is None
        else factor * _term(predicted, label, weight, head, head_weights[:, k], config.kind, delta)
        for k, (predicted, label, weight, head, delta, factor) in enumerate(terms)
    ]
    sums = [part.sum() for part in parts]
    by_head = torch.stack(parts, dim=1).detach()
    return Loss(sums[0] + sums[1] + sums[2], sums[0], sums[1], sums[2], by_head)


def _term(
    prediction: Tensor,
    label: Tensor,
    weight: Tensor,
    head: Tensor,
    head_weights: Tensor,
    kind: str,
    delta: Tensor | float,
) -> Tensor:
    """(heads,) weighted sums of penalties over the number of labels of all heads.

    Args:
        prediction, label: (rows, ...).
        weight: (rows,) of the labels; 0 where there is none.
        head: (rows,) index of the head.
        head_weights: (heads,).
        kind, delta: of the penalty.
    """
    zero = torch.zeros((), dtype=prediction.dtype, device=prediction.device)
    known = (weight > 0).reshape(-1, *[1] * (prediction.ndim - 1))
    # both sides are replaced before they meet: NaN times zero would still be NaN, in the gradient too
    difference = torch.where(known, prediction, zero) - torch.where(known, label, zero)
    penalty = _penalty(difference, kind, delta)
    rows = penalty.flatten(1).sum(dim=1) if penalty.ndim > 1 else penalty
    rows = rows * torch.where(weight > 0, weight * head_weights[head], zero)
    count = known.expand_as(prediction).sum().clamp(min=1)
    return rows.new_zeros(len(head_weights)).index_add(0, head, rows) / count


def _penalty(d: Tensor, kind: str, delta: Tensor | float) -> Tensor:
    if kind == "l1":
        return d.abs()
    if kind == "l2":
        return d.square()
    size = d.abs()
    return torch.where(size < delta, 0.5 * d.square(), delta * (size - 0.5 * delta))


def _forces_delta(reference: Tensor, config: LossConfig) -> Tensor | float:
    """Delta of each atom, (N, 1): less is asked of atoms under large forces."""
    if config.kind != "universal":
        return config.delta
    size = torch.linalg.vector_norm(reference, dim=1, keepdim=True)
    edges = torch.tensor(LARGE_FORCES, dtype=size.dtype, device=size.device)
    factors = torch.tensor(FACTORS, dtype=size.dtype, device=size.device)
    # NaN sorts behind every edge; such atoms have no label and do not count
    return config.delta * factors[torch.bucketize(size, edges, right=True)]
