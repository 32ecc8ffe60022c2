"""Times Crossfield; runs in its environment."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from ase import Atoms
from torch import Tensor

import crossfield
from cases import INFERENCE, STEP, TRAINING
from crossfield.bench.machine import versions
from crossfield.bench.speed import evaluation_job
from crossfield.bench.timing import Job, molecular_dynamics
from crossfield.graph import build_graph
from crossfield.inference import Potential
from crossfield.kernels.backend import choose, use
from crossfield.model import Model as Network
from crossfield.model import Prediction, evaluate
from crossfield.zoo import checkpoint
from crossfield.zoo.fetch import local_model
from roofline import measure_peaks
from worker import Model, Results, Task, of_calculator, serve


def load(path: str, dtype: torch.dtype, quantity: str) -> Model:
    """A file of mace-torch, converted, for one quantity."""
    if quantity == TRAINING:
        network = checkpoint.load(local_model(path), dtype=dtype)
        backend = choose("auto", network.device)
        use(network, backend)
        return Model(partial(training, network), network.num_parameters, backend)
    potential = crossfield.load(path, dtype=dtype, device="cpu")
    task = {INFERENCE: inference, STEP: step}[quantity]
    return Model(partial(task, potential), potential.model.num_parameters, potential.backend)


def inference(potential: Potential, atoms: Atoms) -> Task:
    """Energy, forces and stress of a graph."""
    graph = potential.graph(atoms)
    stress = bool(atoms.pbc.all())
    return Task(
        evaluation_job(potential, graph),
        graph.num_edges,
        lambda: _results(potential.evaluate(graph, stress=stress)),
    )


def step(potential: Potential, atoms: Atoms) -> Task:
    """A step of molecular dynamics."""
    return Task(
        molecular_dynamics(atoms, crossfield.Calculator(potential)),
        potential.graph(atoms).num_edges,
        lambda: of_calculator(atoms, crossfield.Calculator(potential)),
    )


def training(network: Network, atoms: Atoms) -> Task:
    """The gradient of a loss on forces."""
    graph = build_graph(
        atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, cutoff=network.config.cutoff
    )

    def forward() -> Prediction:
        return evaluate(network, graph, stress=False, training=True)

    def run() -> None:
        network.zero_grad(set_to_none=True)
        forces = forward().forces
        assert forces is not None
        forces.square().mean().backward()

    return Task(Job(run), graph.num_edges, lambda: _results(forward()))


def _results(prediction: Prediction) -> Results:
    def numbers(tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.detach().tolist()

    stress = None if prediction.stress is None else prediction.stress[0]
    return Results(float(prediction.energy.detach()[0]), numbers(prediction.forces), numbers(stress))


def about(request: dict[str, Any]) -> dict[str, Any]:
    """`{}`: versions, and what the machine can."""
    return {"versions": versions("crossfield", "torch", "numpy", "ase"), "peaks": measure_peaks()._asdict()}


if __name__ == "__main__":
    serve(load, {"about": about})
