"""Structures as mace-torch takes them, and weights that hide nothing; for every version of it."""

from __future__ import annotations

import numpy as np
import torch
from ase.neighborlist import neighbor_list
from torch import nn

from parity.cases import ModelCase
from parity.oracle.common import Tensors
from parity.structures import structure


def collate(case: ModelCase, names: tuple[str, ...] = ()) -> Tensors:
    """Structures of a case (all, where none are named) in one batch, with the edges that ASE finds."""
    structures = [structure(name) for name in names or case.structures]
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    sizes = torch.tensor([len(atoms) for atoms in structures])
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    edges, shifts = [], []
    for first, atoms in zip(ptr.tolist(), structures):
        i, j, S = neighbor_list("ijS", atoms, case.config["cutoff"])
        edges.append(torch.as_tensor(np.stack([i, j]) + first))
        shifts.append(torch.as_tensor(S, dtype=torch.float64))
    cell = torch.stack([torch.as_tensor(atoms.cell.array) for atoms in structures])
    structure_of = torch.arange(len(structures)).repeat_interleave(sizes)
    edge_index, unit_shifts = torch.cat(edges, dim=1), torch.cat(shifts)
    one_hot = torch.as_tensor(numbers)[:, None] == torch.tensor(case.config["elements"])
    index = torch.arange(len(structures))
    return {
        "numbers": torch.as_tensor(numbers),
        "pbc": torch.as_tensor(np.stack([atoms.pbc for atoms in structures])),
        "positions": torch.as_tensor(np.concatenate([atoms.positions for atoms in structures])),
        "node_attrs": one_hot.double(),
        "cell": cell.reshape(-1, 3),
        "edge_index": edge_index,
        "unit_shifts": unit_shifts,
        "shifts": torch.einsum("ea,eab->eb", unit_shifts, cell[structure_of[edge_index[0]]]),
        "batch": structure_of,
        "ptr": ptr,
        "head": index % case.heads,
        "total_charge": (index % 5 - 2).double(),
        "total_spin": (index % 4 + 1).double(),
        "temperature": 0.3 * index.double() - 0.7,
    }


@torch.no_grad()
def randomise(module: nn.Module) -> None:
    """Give every parameter a value under which nothing is zero, one, or negligible."""
    for name, parameter in module.named_parameters():
        if name.endswith("alpha"):
            parameter.uniform_(2.0, 5.0)
        elif name.endswith("beta"):
            parameter.uniform_(0.3, 1.0)
        elif "embedding.weight" in name and "node" not in name:
            parameter.normal_()
        elif name.endswith("bias") or ("net." in name and parameter.dim() == 1):
            parameter.add_(0.3 * torch.randn_like(parameter))
