"""Times Crossfield; runs in its environment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from torch import Tensor

import crossfield
from cases import SIZES, STEP, TRAINING
from crossfield.bench.device import facts
from crossfield.bench.machine import versions
from crossfield.bench.speed import Evaluation
from crossfield.bench.timing import molecular_dynamics
from crossfield.graph import Edges, Graph, build_graph, collate
from crossfield.inference import Potential
from crossfield.kernels.backend import choose, use
from crossfield.model import Model as Network
from crossfield.model import ModelConfig, Prediction, evaluate
from crossfield.theory import Head, Theory
from crossfield.zoo import checkpoint
from crossfield.zoo.fetch import local_model
from roofline import measure_peaks
from worker import Model, Results, Setting, Task, of_calculator, serve


def build(setting: Setting, request: dict[str, Any]) -> dict[str, Any]:
    """`{size, path}`: a model with random weights, for where there is none of mace-torch's."""
    config = ModelConfig.model_validate(SIZES[request["size"]])
    head = Head(name="head0", theory=Theory(name="none"), E0=dict.fromkeys(config.elements, 0.0))
    torch.manual_seed(0)
    checkpoint.save(Path(request["path"]), Network(config, [head]), {})
    return {}


def load(setting: Setting, path: str, dtype: torch.dtype, quantity: str) -> Model:
    """A file of mace-torch, converted, or one of ours, for one quantity."""
    if quantity == TRAINING:
        network = checkpoint.load(local_model(path), dtype=dtype).to(setting.device)
        backend = choose(setting.how, network.device)
        use(network, backend)
        task: Any = partial(training, network)
    else:
        potential = crossfield.load(path, dtype=dtype, device=setting.device, backend=setting.how)
        network, backend = potential.model, potential.backend
        task = partial(step if quantity == STEP else inference, potential)
    return Model(task, network.num_parameters, network.config.cutoff, backend)


def inference(potential: Potential, atoms: Sequence[Atoms], edges: Edges | None) -> Task:
    """Energy, forces and stress of structures together."""
    graphs = {id(a): potential.graph(a, edges=edges) for a in {id(a): a for a in atoms}.values()}
    graph = collate([graphs[id(a)] for a in atoms]) if len(atoms) > 1 else graphs[id(atoms[0])]
    del graphs
    evaluation = Evaluation(potential, graph)
    return Task(evaluation.run, graph.num_edges, lambda: _results(evaluation.prediction()))


def step(potential: Potential, atoms: Sequence[Atoms], edges: Edges | None) -> Task:
    """A step of molecular dynamics."""
    job = molecular_dynamics(atoms[0], crossfield.Calculator(potential))
    return Task(
        job.run,
        potential.graph(atoms[0]).num_edges,
        lambda: of_calculator(atoms[0], crossfield.Calculator(potential)),
        job.begin,
        job.lasts,
    )


def training(network: Network, atoms: Sequence[Atoms], edges: Edges | None) -> Task:
    """The gradient of a loss on forces."""
    graph = collate([_graph(network, a) for a in atoms]).to(network.device)

    def forward() -> Prediction:
        return evaluate(network, graph, stress=False, training=True)

    def run() -> None:
        network.zero_grad(set_to_none=True)
        forces = forward().forces
        assert forces is not None
        forces.square().mean().backward()

    return Task(run, graph.num_edges, lambda: _results(forward()))


def _graph(network: Network, atoms: Atoms) -> Graph:
    return build_graph(
        atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, cutoff=network.config.cutoff
    )


def _results(prediction: Prediction) -> Results:
    def numbers(tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.detach().tolist()

    return Results(*(numbers(x) for x in (prediction.energy, prediction.forces, prediction.stress)))


def about(setting: Setting, request: dict[str, Any]) -> dict[str, Any]:
    """`{}`: versions, and what the device is and can."""
    packages = ("crossfield", "torch", "numpy", "ase", *(("triton",) if setting.how == "triton" else ()))
    return {
        "versions": versions(*packages),
        "device": facts(setting.device)._asdict(),
        "peaks": measure_peaks(setting.device)._asdict(),
    }


if __name__ == "__main__":
    serve(load, {"about": about, "build": build})
