"""The loss of a batch.

With w the weight of a head times the weights of the frame, n the number of labels of the batch and rho the
penalty, each property contributes

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
from crossfield.train.config import LossConfig

LARGE_FORCES = (100.0, 200.0, 300.0)  # eV/Å
FACTORS = (1.0, 0.7, 0.4, 0.1)  # of delta, between those forces


class Loss(NamedTuple):
    """The loss and its parts, weights included; scalars, float64."""

    total: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor


def batch_loss(prediction: Prediction, batch: Batch, head_weights: Tensor, config: LossConfig) -> Loss:
    """Loss of a batch.

    Args:
        prediction: what the model says; forces or stress may be None where the batch has no label.
        batch: graph and labels.
        head_weights: (heads,) factor on each head's terms, float64.
        config: kind and weights.
    """
    labels, graph = batch.labels, batch.graph
    of_head = head_weights[graph.head]  # (S,)
    atoms = torch.bincount(graph.structure, minlength=graph.num_structures)  # (S,)

    zero = prediction.energy.new_zeros(())
    forces = stress = zero
    w = labels.energy_weight
    energy = _term(
        prediction.energy / atoms, labels.energy / atoms, w * of_head, w > 0, config.kind, config.delta
    )
    if prediction.forces is not None:
        w = labels.forces_weight
        known = (w > 0)[graph.structure].unsqueeze(1)
        delta = _forces_delta(labels.forces, config)
        forces = _term(
            prediction.forces,
            labels.forces,
            (w * of_head)[graph.structure].unsqueeze(1),
            known,
            config.kind,
            delta,
        )
    if prediction.stress is not None:
        w = labels.stress_weight
        stress = _term(
            prediction.stress,
            labels.stress,
            (w * of_head).reshape(-1, 1, 1),
            (w > 0).reshape(-1, 1, 1),
            config.kind,
            config.delta,
        )
    energy, forces, stress = config.energy * energy, config.forces * forces, config.stress * stress
    return Loss(energy + forces + stress, energy, forces, stress)


def _term(
    prediction: Tensor, label: Tensor, weight: Tensor, known: Tensor, kind: str, delta: Tensor | float
) -> Tensor:
    """Weighted sum of penalties over the number of labels."""
    zero = torch.zeros((), dtype=prediction.dtype, device=prediction.device)
    # both sides are replaced before they meet: NaN times zero would still be NaN, in the gradient too
    difference = torch.where(known, prediction, zero) - torch.where(known, label, zero)
    penalty = torch.where(known, weight, zero) * _penalty(difference, kind, delta)
    count = known.expand_as(prediction).sum().clamp(min=1)
    return penalty.sum() / count


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
