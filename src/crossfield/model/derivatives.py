"""Energy, forces, stress and Hessian: exact derivatives of one energy."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.graph import Graph
from crossfield.kernels import segment_sum
from crossfield.model.model import Model


class Prediction(NamedTuple):
    """What a model says about a batch of N atoms, E edges and S structures; float64."""

    energy: Tensor  # (S,) eV
    energies: Tensor  # (N,) eV, per atom
    forces: Tensor | None  # (N, 3) eV/Å
    stress: Tensor | None  # (S, 3, 3) eV/Å^3, tensile positive; NaN without three periodic axes
    edge_forces: Tensor | None = None  # (E, 3) eV/Å, dE/dr of each directed edge
    atomic_stress: Tensor | None = None  # (N, 3, 3) eV/Å^3, each atom's part of the stress; NaN likewise


def evaluate(
    model: Model,
    graph: Graph,
    *,
    forces: bool = True,
    stress: bool = True,
    edge_forces: bool = False,
    atomic_stress: bool = False,
    training: bool = False,
) -> Prediction:
    """Evaluate a model.

    Every derivative follows from the gradient g = dE/dr with respect to the edge vectors r, which are the
    edge forces: forces are sums of g over the edges of an atom, the stress is the sum of r (x) g over the
    volume. The stress of an atom has half of r (x) g of every edge that it sends or receives, symmetrised,
    over the volume of the whole structure: over a structure it sums to the stress.

    Args:
        model: the model.
        graph: the structures, on the model's device.
        forces, stress, edge_forces, atomic_stress: which derivatives to form.
        training: keep what is needed to differentiate the results with respect to the parameters, and with
            respect to `graph.positions` where these require a gradient.
    """
    if not (forces or stress or edge_forces or atomic_stress):
        with torch.set_grad_enabled(training):
            energies = model(graph, graph.vectors()).energies
        return Prediction(_per_structure(energies, graph), energies, None, None)

    with torch.enable_grad():
        r = graph.vectors()
        differentiated = training and r.requires_grad  # by positions, too
        if not differentiated:
            r = r.detach().requires_grad_()
        energies = model(graph, r, curved=not training or differentiated).energies
        (g,) = torch.autograd.grad(energies.sum(), r, create_graph=training)  # (E, 3) eV/Å
    if not training:
        energies, r = energies.detach(), r.detach()
    return assemble(
        graph,
        energies,
        r,
        g,
        forces=forces,
        stress=stress,
        edge_forces=edge_forces,
        atomic_stress=atomic_stress,
    )


def assemble(
    graph: Graph,
    energies: Tensor,
    r: Tensor,
    g: Tensor,
    *,
    forces: bool,
    stress: bool,
    edge_forces: bool,
    atomic_stress: bool,
) -> Prediction:
    """What follows from energies of atoms and the gradient by edge vectors.

    Args:
        graph: the structures.
        energies: (N,) eV.
        r: (E, 3) edge vectors, Å.
        g: (E, 3) eV/Å, the gradient of the energy by them.
        forces, stress, edge_forces, atomic_stress: which derivatives to form, as in `evaluate`.
    """
    return Prediction(
        energy=_per_structure(energies, graph),
        energies=energies,
        forces=_forces(g, graph) if forces else None,
        stress=_stress(r, g, graph) if stress else None,
        edge_forces=g if edge_forces else None,
        atomic_stress=_atomic_stress(r, g, graph) if atomic_stress else None,
    )


def hessian(model: Model, graph: Graph) -> Tensor:
    """Second derivatives of the energy of one structure, d2E/dx dx, by differentiating the forces.

    The images of a periodic structure move with their atoms, and the cell stays. Rows are formed one after
    the other: besides the result, the memory is that of the forces in training.

    Args:
        model: the model.
        graph: one structure of N atoms, on the model's device.

    Returns:
        (3N, 3N) eV/Å^2, float64, row and column 3 i + axis for atom i; symmetric to the round-off of the
        model's precision.

    Raises:
        InputError: the graph does not hold exactly one structure.
    """
    if graph.num_structures != 1:
        raise InputError(f"a Hessian is of one structure, not of {graph.num_structures}")
    x = graph.positions.detach().requires_grad_()
    H = x.new_zeros(x.numel(), x.numel())
    with torch.enable_grad():
        forces = evaluate(model, replace(graph, positions=x), stress=False, training=True).forces
        assert forces is not None
        each = forces.flatten().unbind()
    for k, force in enumerate(each):
        (g,) = torch.autograd.grad(force, x, retain_graph=True)
        H[k] = -g.flatten()  # F = -dE/dx
    return H


def _per_structure(energies: Tensor, graph: Graph) -> Tensor:
    return segment_sum(energies, graph.structure, graph.num_structures)


def _forces(g: Tensor, graph: Graph) -> Tensor:
    # r = x_receiver - x_sender + ..., F = -dE/dx
    pull = segment_sum(g, graph.sender, graph.num_atoms)
    return pull - segment_sum(g, graph.receiver, graph.num_atoms)


def _stress(r: Tensor, g: Tensor, graph: Graph) -> Tensor:
    virial = segment_sum(r.unsqueeze(2) * g.unsqueeze(1), graph.structure[graph.sender], graph.num_structures)
    return over_volume(virial, graph.cell, graph.periodic)


def _atomic_stress(r: Tensor, g: Tensor, graph: Graph) -> Tensor:
    half = 0.5 * r.unsqueeze(2) * g.unsqueeze(1)  # (E, 3, 3)
    virial = segment_sum(half, graph.sender, graph.num_atoms)
    virial = virial + segment_sum(half, graph.receiver, graph.num_atoms)
    return over_volume(virial, graph.cell[graph.structure], graph.periodic[graph.structure])


def over_volume(virial: Tensor, cell: Tensor, periodic: Tensor) -> Tensor:
    """Symmetrised virials (M, 3, 3) over the volumes of cells (M, 3, 3); NaN where not `periodic` (M,)."""
    symmetric = 0.5 * (virial + virial.transpose(1, 2))
    volume = torch.linalg.det(cell).abs().reshape(-1, 1, 1)
    defined = periodic.reshape(-1, 1, 1)
    safe = torch.where(defined, volume, torch.ones_like(volume))
    return torch.where(defined, symmetric / safe, torch.full_like(symmetric, float("nan")))
