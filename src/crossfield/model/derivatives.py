"""Energy, forces and stress of a batch: exact derivatives of one energy."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.graph import Graph
from crossfield.kernels import segment_sum
from crossfield.model.model import Model


class Prediction(NamedTuple):
    """What a model says about a batch of N atoms in S structures; float64."""

    energy: Tensor  # (S,) eV
    energies: Tensor  # (N,) eV, per atom
    forces: Tensor | None  # (N, 3) eV/Å
    stress: Tensor | None  # (S, 3, 3) eV/Å^3, tensile positive; NaN without three periodic axes


def evaluate(
    model: Model, graph: Graph, *, forces: bool = True, stress: bool = True, training: bool = False
) -> Prediction:
    """Evaluate a model.

    Every derivative follows from the gradient g with respect to the edge vectors r: forces are its sums over
    the edges of an atom, the stress is the sum of r (x) g over the volume.

    Args:
        model: the model.
        graph: the structures, on the model's device.
        forces, stress: which derivatives to form.
        training: keep what is needed to differentiate the results with respect to the parameters, and with
            respect to `graph.positions` where these require a gradient.
    """
    if not (forces or stress):
        with torch.set_grad_enabled(training):
            energies = model(graph, graph.vectors()).energies
        return Prediction(_per_structure(energies, graph), energies, None, None)

    with torch.enable_grad():
        r = graph.vectors()
        if not (training and r.requires_grad):
            r = r.detach().requires_grad_()
        energies = model(graph, r).energies
        (g,) = torch.autograd.grad(energies.sum(), r, create_graph=training)  # (E, 3) eV/Å
    if not training:
        energies, r = energies.detach(), r.detach()
    return Prediction(
        energy=_per_structure(energies, graph),
        energies=energies,
        forces=_forces(g, graph) if forces else None,
        stress=_stress(r, g, graph) if stress else None,
    )


def _per_structure(energies: Tensor, graph: Graph) -> Tensor:
    return segment_sum(energies, graph.structure, graph.num_structures)


def _forces(g: Tensor, graph: Graph) -> Tensor:
    # r = x_receiver - x_sender + ..., F = -dE/dx
    pull = segment_sum(g, graph.sender, graph.num_atoms)
    return pull - segment_sum(g, graph.receiver, graph.num_atoms)


def _stress(r: Tensor, g: Tensor, graph: Graph) -> Tensor:
    virial = segment_sum(r.unsqueeze(2) * g.unsqueeze(1), graph.structure[graph.sender], graph.num_structures)
    symmetric = 0.5 * (virial + virial.transpose(1, 2))
    volume = torch.linalg.det(graph.cell).abs().reshape(-1, 1, 1)
    defined = graph.periodic.reshape(-1, 1, 1)
    safe = torch.where(defined, volume, torch.ones_like(volume))
    return torch.where(defined, symmetric / safe, torch.full_like(symmetric, float("nan")))
