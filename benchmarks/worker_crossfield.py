"""Times Crossfield; runs in its environment."""

from __future__ import annotations

import torch
from ase import Atoms

from cases import SIZES
from crossfield.graph import build_graph
from crossfield.model import Model, ModelConfig
from crossfield.model.derivatives import evaluate
from crossfield.theory import Head, Theory
from worker import Job, serve


def prepare(size: str, atoms: Atoms, dtype: torch.dtype, quantity: str) -> Job:
    """A model with random weights and a graph."""
    config = ModelConfig.model_validate(SIZES[size])
    head = Head(name="head", theory=Theory(name="none"), E0=dict.fromkeys(config.elements, 0.0))
    model = Model(config, [head]).to(dtype)
    graph = build_graph(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, cutoff=config.cutoff)

    def inference() -> None:
        evaluate(model, graph, stress=bool(atoms.pbc.all()))

    def training() -> None:
        model.zero_grad(set_to_none=True)
        prediction = evaluate(model, graph, stress=False, training=True)
        assert prediction.forces is not None
        prediction.forces.square().mean().backward()

    if quantity == "inference":
        model.eval().requires_grad_(False)
    run = {"inference": inference, "training": training}[quantity]
    return Job(run, graph.num_edges, model.num_parameters)


if __name__ == "__main__":
    serve(prepare)
