"""Times mace-torch 0.3.16; runs in the environment of the oracle."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1]))  # the oracle says how its models are built

import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor

from cases import SIZES
from parity.cases import ModelCase
from parity.oracle.models import build_model
from worker import Job, serve


def prepare(size: str, atoms: Atoms, dtype: torch.dtype, quantity: str) -> Job:
    """A model with random weights and a batch of one structure."""
    torch.set_default_dtype(dtype)
    model = build_model(ModelCase("benchmark", SIZES[size], heads=1, independent=True))
    batch = one_batch(atoms, SIZES[size]["cutoff"], SIZES[size]["elements"], dtype)
    stress = bool(atoms.pbc.all())

    def inference() -> None:
        model(dict(batch), compute_force=True, compute_stress=stress)

    def training() -> None:
        model.zero_grad(set_to_none=True)
        out = model(dict(batch), training=True, compute_force=True)
        out["forces"].square().mean().backward()

    if quantity == "inference":
        model.eval().requires_grad_(False)
    run = {"inference": inference, "training": training}[quantity]
    parameters = sum(p.numel() for p in model.parameters())
    return Job(run, batch["edge_index"].shape[1], parameters)


def one_batch(
    atoms: Atoms, cutoff: float, elements: tuple[int, ...], dtype: torch.dtype
) -> dict[str, Tensor]:
    """What mace-torch's models read."""
    i, j, S = neighbor_list("ijS", atoms, cutoff)
    cell = torch.as_tensor(atoms.cell.array, dtype=dtype)
    shifts = torch.as_tensor(S, dtype=dtype)
    numbers = torch.as_tensor(atoms.numbers)
    return {
        "positions": torch.as_tensor(atoms.positions, dtype=dtype),
        "node_attrs": (numbers[:, None] == torch.tensor(elements)).to(dtype),
        "cell": cell,
        "edge_index": torch.stack([torch.as_tensor(i), torch.as_tensor(j)]),
        "unit_shifts": shifts,
        "shifts": shifts @ cell,
        "batch": torch.zeros(len(atoms), dtype=torch.int64),
        "ptr": torch.tensor([0, len(atoms)]),
        "head": torch.zeros(1, dtype=torch.int64),
    }


if __name__ == "__main__":
    logging.disable()
    serve(prepare)
