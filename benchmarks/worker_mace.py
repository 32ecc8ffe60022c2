"""Times mace-torch 0.3.16; runs in the environment of the oracle."""

from __future__ import annotations

import logging
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).parents[1]))  # the oracle says how its models are built

import parity.oracle  # noqa: F401  # before mace, for e3nn 0.4.4 to read its constants

# isort: split
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from mace.calculators import MACECalculator
from mace.modules import symmetric_contraction
from torch import Tensor

from cases import INFERENCE, SIZES, STEP, TRAINING
from crossfield.bench.machine import versions
from crossfield.bench.timing import Job, molecular_dynamics
from parity.cases import ModelCase
from parity.oracle.models import build_model
from parity.oracle.structures import randomise
from worker import Model, Results, Task, of_calculator, serve


def build(request: dict[str, Any]) -> dict[str, Any]:
    """`{size, path}`: a model with random weights, saved as users of mace-torch do."""
    # couplings depend on nothing but the arguments, and take mace-torch seconds each
    symmetric_contraction.U_matrix_real = cache(symmetric_contraction.U_matrix_real)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    model = build_model(ModelCase("benchmark", SIZES[request["size"]], heads=1, independent=True))
    randomise(model)
    torch.save(model, request["path"])
    return {}


def load(path: str, dtype: torch.dtype, quantity: str) -> Model:
    """A saved model for one quantity."""
    torch.set_default_dtype(dtype)  # mace-torch makes tensors of the default type on its way
    model = torch.load(path, map_location="cpu", weights_only=False).to(dtype)
    parameters = sum(p.numel() for p in model.parameters())
    model.requires_grad_(quantity == TRAINING)
    task = {INFERENCE: inference, STEP: step, TRAINING: training}[quantity]
    return Model(partial(task, model), parameters, "eager")


def inference(model: torch.nn.Module, atoms: Atoms) -> Task:
    """Energy, forces and stress of a batch."""
    batch, stress = one_batch(model, atoms), bool(atoms.pbc.all())

    def run() -> dict[str, Tensor]:
        return model(dict(batch), compute_force=True, compute_stress=stress)

    return Task(Job(run), edges_of(batch), lambda: _results(run(), stress))


def step(model: torch.nn.Module, atoms: Atoms) -> Task:
    """A step of molecular dynamics."""
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")

    def calculator() -> MACECalculator:
        return MACECalculator(models=[model], device="cpu", default_dtype=dtype, head="head0")

    return Task(
        molecular_dynamics(atoms, calculator()),
        edges_of(one_batch(model, atoms)),
        lambda: of_calculator(atoms, calculator()),
    )


def training(model: torch.nn.Module, atoms: Atoms) -> Task:
    """The gradient of a loss on forces."""
    batch = one_batch(model, atoms)

    def forward() -> dict[str, Tensor]:
        return model(dict(batch), training=True, compute_force=True)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        forward()["forces"].square().mean().backward()

    return Task(Job(run), edges_of(batch), lambda: _results(forward(), stress=False))


def one_batch(model: torch.nn.Module, atoms: Atoms) -> dict[str, Tensor]:
    """What mace-torch's models read."""
    dtype = next(model.parameters()).dtype
    i, j, S = neighbor_list("ijS", atoms, float(model.r_max))
    cell = torch.as_tensor(atoms.cell.array, dtype=dtype)
    shifts = torch.as_tensor(S, dtype=dtype)
    numbers = torch.as_tensor(atoms.numbers)
    return {
        "positions": torch.as_tensor(atoms.positions, dtype=dtype),
        "node_attrs": (numbers[:, None] == model.atomic_numbers).to(dtype),
        "cell": cell,
        "edge_index": torch.stack([torch.as_tensor(i), torch.as_tensor(j)]),
        "unit_shifts": shifts,
        "shifts": shifts @ cell,
        "batch": torch.zeros(len(atoms), dtype=torch.int64),
        "ptr": torch.tensor([0, len(atoms)]),
        "head": torch.zeros(1, dtype=torch.int64),
    }


def edges_of(batch: dict[str, Tensor]) -> int:
    """Number of edges of a batch."""
    return batch["edge_index"].shape[1]


def _results(out: dict[str, Tensor], stress: bool) -> Results:
    found = out["stress"].detach()[0].tolist() if stress else None
    return Results(float(out["energy"].detach()[0]), out["forces"].detach().tolist(), found)


def about(request: dict[str, Any]) -> dict[str, Any]:
    """`{}`: versions."""
    return {"versions": versions("mace-torch", "e3nn", "torch", "numpy", "ase")}


if __name__ == "__main__":
    logging.disable()
    serve(load, {"about": about, "build": build})
