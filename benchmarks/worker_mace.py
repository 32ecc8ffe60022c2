"""Times mace-torch 0.3.16; runs in the environment of the oracle."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import cache, partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).parents[1]))  # the oracle says how its models are built

import parity.oracle  # noqa: F401  # before mace, for e3nn 0.4.4 to read its constants

# isort: split
import numpy as np
import torch
from ase import Atoms
from mace.calculators import MACECalculator
from mace.data.neighborhood import get_neighborhood
from mace.modules import symmetric_contraction
from torch import Tensor

from cases import SIZES, STEP, TRAINING
from crossfield.bench.machine import versions
from crossfield.bench.timing import molecular_dynamics
from crossfield.graph import Edges
from parity.cases import ModelCase
from parity.oracle.models import build_model
from parity.oracle.structures import randomise
from worker import Model, Results, Setting, Task, of_calculator, serve


def build(setting: Setting, request: dict[str, Any]) -> dict[str, Any]:
    """`{size, path}`: a model with random weights, saved as users of mace-torch do."""
    # couplings depend on nothing but the arguments, and take mace-torch seconds each
    symmetric_contraction.U_matrix_real = cache(symmetric_contraction.U_matrix_real)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    model = build_model(ModelCase("benchmark", SIZES[request["size"]], heads=1, independent=True))
    randomise(model)
    torch.save(model, request["path"])
    return {}


def load(setting: Setting, path: str, dtype: torch.dtype, quantity: str) -> Model:
    """A saved model for one quantity."""
    torch.set_default_dtype(dtype)  # mace-torch makes tensors of the default type on its way
    model = torch.load(path, map_location="cpu", weights_only=False).to(dtype).to(setting.device)
    parameters = sum(p.numel() for p in model.parameters())
    model = converted(model, setting).to(setting.device)
    model.requires_grad_(quantity == TRAINING)
    task = {STEP: step, TRAINING: training}.get(quantity, inference)
    return Model(partial(task, model), parameters, float(model.r_max), setting.how)


def converted(model: torch.nn.Module, setting: Setting) -> torch.nn.Module:
    """The model with the library that is asked for, by mace-torch's own conversion."""
    if setting.how == "e3nn":
        return model
    try:
        if setting.how == "cueq":
            import cuequivariance_torch  # noqa: F401  # mace-torch does without, silently, if it is not there
            from mace.cli.convert_e3nn_cueq import run

            if setting.device.type == "cuda":
                import cuequivariance_ops_torch  # noqa: F401  # likewise
        else:
            import openequivariance  # noqa: F401  # likewise
            from mace.cli.convert_e3nn_oeq import run
    except ImportError as error:
        sys.exit(f"--mace {setting.how} needs a package that is not installed beside mace-torch: {error}")
    return run(model, device=setting.device.type)


def inference(model: torch.nn.Module, atoms: Sequence[Atoms], edges: Edges | None) -> Task:
    """Energy, forces and stress of a batch."""
    batch, stress = one_batch(model, atoms, edges), all(a.pbc.all() for a in atoms)

    def run() -> dict[str, Tensor]:
        return model(dict(batch), compute_force=True, compute_stress=stress)

    return Task(run, edges_of(batch), lambda: _results(run(), stress))


def step(model: torch.nn.Module, atoms: Sequence[Atoms], edges: Edges | None) -> Task:
    """A step of molecular dynamics."""
    weight = next(model.parameters())
    dtype = str(weight.dtype).removeprefix("torch.")

    def calculator() -> MACECalculator:
        return MACECalculator(models=[model], device=weight.device.type, default_dtype=dtype, head="head0")

    job, edges_there = molecular_dynamics(atoms[0], calculator()), edges_of(one_batch(model, atoms, edges))
    return Task(job.run, edges_there, lambda: of_calculator(atoms[0], calculator()), job.begin, job.lasts)


def training(model: torch.nn.Module, atoms: Sequence[Atoms], edges: Edges | None) -> Task:
    """The gradient of a loss on forces."""
    batch = one_batch(model, atoms, edges)

    def forward() -> dict[str, Tensor]:
        return model(dict(batch), training=True, compute_force=True)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        forward()["forces"].square().mean().backward()

    return Task(run, edges_of(batch), lambda: _results(forward(), stress=False))


def one_batch(model: torch.nn.Module, atoms: Sequence[Atoms], edges: Edges | None) -> dict[str, Tensor]:
    """What mace-torch's models read; edges of a single structure may be known already."""
    weight = next(model.parameters())
    cutoff = float(model.r_max)
    found = {id(a): edges or neighbours(a, cutoff) for a in {id(a): a for a in atoms}.values()}
    parts = [found[id(a)] for a in atoms]
    first = np.cumsum([0, *map(len, atoms)])
    sender, receiver = (
        np.concatenate([getattr(part, side) + n for part, n in zip(parts, first)])
        for side in ("sender", "receiver")
    )
    numbers = torch.as_tensor(np.concatenate([a.numbers for a in atoms])).to(weight.device)
    shifts = [part.shift @ a.cell.array for part, a in zip(parts, atoms, strict=True)]

    def real(x: Any) -> Tensor:
        return torch.as_tensor(x).to(weight.device, weight.dtype)

    def whole(x: Any) -> Tensor:
        return torch.as_tensor(x).to(weight.device)

    return {
        "positions": real(np.concatenate([a.positions for a in atoms])),
        "node_attrs": (numbers[:, None] == model.atomic_numbers).to(weight.dtype),
        "cell": real(np.concatenate([a.cell.array for a in atoms])),
        "edge_index": whole(np.stack([sender, receiver])),
        "unit_shifts": real(np.concatenate([part.shift for part in parts])),
        "shifts": real(np.concatenate(shifts)),
        "batch": whole(np.repeat(np.arange(len(atoms)), [len(a) for a in atoms])),
        "ptr": whole(first),
        "head": whole(np.zeros(len(atoms), dtype=np.int64)),
    }


def neighbours(atoms: Atoms, cutoff: float) -> Edges:
    """As mace-torch finds them."""
    pbc = tuple(map(bool, atoms.pbc))
    (sender, receiver), _, shift, _ = get_neighborhood(atoms.positions, cutoff, pbc, atoms.cell.array.copy())
    return Edges(sender, receiver, shift)


def edges_of(batch: dict[str, Tensor]) -> int:
    """Number of edges of a batch."""
    return batch["edge_index"].shape[1]


def _results(out: dict[str, Tensor], stress: bool) -> Results:
    found = out["stress"].detach().tolist() if stress else None
    return Results(out["energy"].detach().tolist(), out["forces"].detach().tolist(), found)


def about(setting: Setting, request: dict[str, Any]) -> dict[str, Any]:
    """`{}`: versions."""
    packages = ["mace-torch", "e3nn", "torch", "numpy", "ase"]
    packages += {"cueq": ["cuequivariance-torch"], "oeq": ["openequivariance"]}.get(setting.how, [])
    try:
        return {"versions": versions(*packages)}
    except PackageNotFoundError as error:
        sys.exit(f"--mace {setting.how} needs {error.name}, which is not installed beside mace-torch")


if __name__ == "__main__":
    logging.disable()
    serve(load, {"about": about, "build": build})
