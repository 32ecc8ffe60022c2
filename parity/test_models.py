"""Whole models, and each of their blocks fed with what the oracle's block was fed with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crossfield.graph import Graph, build_graph, collate
from crossfield.model.config import ModelConfig
from crossfield.model.derivatives import evaluate
from crossfield.model.model import Model
from crossfield.theory import Head, Theory
from parity.cases import MODELS, ModelCase
from parity.conftest import Agree, Read
from parity.weights import ChangeOfBasis, State, copy_model

FLOOR = 1e-11  # eV, eV/Å, eV/Å^3: what is zero by symmetry is round-off in both

cases = pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)


def our_model(case: ModelCase, tensors: State, basis: ChangeOfBasis) -> Model:
    """Our model with the oracle's weights, reference energies, scales and shifts."""
    config = ModelConfig(**case.config)
    E0 = torch.atleast_2d(tensors["state/atomic_energies_fn.atomic_energies"]).tolist()
    scale, shift = (tensors[f"state/scale_shift.{name}"].reshape(-1).tolist() for name in ("scale", "shift"))
    heads = [
        Head(
            name=f"head{i}",
            theory=Theory(name=f"theory{i}"),
            E0=dict(zip(config.elements, E0[i])),
            scale=scale[i],
            shift=shift[i],
        )
        for i in range(case.heads)
    ]
    model = Model(config, heads).double()
    copy_model(tensors, model, basis)
    return model


def our_graphs(case: ModelCase, tensors: State) -> list[Graph]:
    """The structures with neighbour lists of our own."""
    x = {name.removeprefix("input/"): value for name, value in tensors.items() if name.startswith("input/")}
    cells = x["cell"].view(-1, 3, 3)
    return [
        build_graph(
            x["numbers"][a:b],
            x["positions"][a:b].detach(),
            cells[i],
            x["pbc"][i],
            cutoff=case.config["cutoff"],
            head=int(x["head"][i]),
            charge=float(x["charge"][i]),
            spin=float(x["spin"][i]),
        )
        for i, (a, b) in enumerate(zip(x["ptr"].tolist(), x["ptr"].tolist()[1:]))
    ]


@cases
def test_number_of_parameters(case: ModelCase, read: Read, basis: ChangeOfBasis) -> None:
    tensors, counts = read(f"model_{case.name}")
    model = our_model(case, tensors, basis)
    if case.independent:
        assert model.num_parameters == counts["parameters"]
    else:
        assert model.num_parameters <= counts["parameters"]
    if case.parameters is not None:
        assert (counts["parameters"], model.num_parameters) == (case.parameters, case.ours)


@cases
def test_energy_forces_stress_of_a_batch(
    case: ModelCase, read: Read, basis: ChangeOfBasis, agree: Agree
) -> None:
    tensors, _ = read(f"model_{case.name}")
    model, graph = our_model(case, tensors, basis), collate(our_graphs(case, tensors))
    assert graph.num_edges == tensors["input/edge_index"].shape[1]
    ours = evaluate(model, graph)
    assert ours.forces is not None
    assert ours.stress is not None
    compare(case, tensors, agree, "batch", ours.energy, ours.energies, ours.forces, ours.stress)


@cases
def test_each_structure_alone(case: ModelCase, read: Read, basis: ChangeOfBasis, agree: Agree) -> None:
    tensors, _ = read(f"model_{case.name}")
    model = our_model(case, tensors, basis)
    each = [evaluate(model, graph) for graph in our_graphs(case, tensors)]
    fields = ("energy", "energies", "forces", "stress")
    compare(case, tensors, agree, "alone", *(torch.cat([getattr(p, name) for p in each]) for name in fields))


def compare(
    case: ModelCase,
    tensors: State,
    agree: Agree,
    how: str,
    energy: Tensor,
    energies: Tensor,
    forces: Tensor,
    stress: Tensor,
) -> None:
    """Every structure on its own scale; the reference must have something to compare with."""
    size = "published size" if case.parameters else "small models"
    ptr = tensors["input/ptr"].tolist()
    periodic = tensors["input/pbc"].all(dim=1)
    for i, name in enumerate(case.structures):
        atoms = slice(ptr[i], ptr[i + 1])
        reference = tensors["output/forces"][atoms]
        if name == "atom":
            assert bool((forces[atoms] == 0.0).all())
        elif name != "primitive":  # one atom in a cell has no force by symmetry
            assert float(reference.abs().max()) > 1e-5
        agree(f"{size}, {how}: forces", forces[atoms], reference, FLOOR)
        agree(f"{size}, {how}: energies of atoms", energies[atoms], tensors["output/energies"][atoms], FLOOR)
        agree(f"{size}, {how}: energy", energy[i], tensors["output/energy"][i], FLOOR)
        if periodic[i]:
            assert float(tensors["output/stress"][i].abs().max()) > 1e-6
            agree(f"{size}, {how}: stress", stress[i], tensors["output/stress"][i], FLOOR)
        else:
            assert bool(stress[i].isnan().all())


@cases
def test_blocks(case: ModelCase, read: Read, basis: ChangeOfBasis, agree: Agree) -> None:
    """Each block of the model gets what the oracle's block got."""
    tensors, _ = read(f"model_{case.name}")
    model, graph = our_model(case, tensors, basis), collate(our_graphs(case, tensors))
    config, C = model.config, model.config.channels
    passed = {name.removeprefix("passed/"): v for name, v in tensors.items() if name.startswith("passed/")}
    z, head = model.element_of[graph.Z], graph.head[graph.structure]
    r = graph.vectors()
    d = torch.linalg.vector_norm(r, dim=1)

    if model.inputs is not None:
        inputs = model.inputs({"charge": graph.charge, "spin": graph.spin})[graph.structure]
        agree("embedding of charge and spin", inputs, passed["joint_embedding/0"])
        h = model.embedding.table()[z] + inputs
        agree("embedding, all", h, passed["interactions.0/features"])
    if model.embedding_readout is not None:
        reference = passed["embedding_readout/0"].gather(1, head[:, None])[:, 0]
        agree(
            "readout of the embedding",
            model.embedding_readout(passed["interactions.0/features"], head),
            reference,
        )
    if model.pair is not None:
        agree(
            "pair energy", model.pair(d, graph.Z, graph.sender, graph.receiver), passed["pair_repulsion_fn/0"]
        )

    edges = model._geometry(graph, r, d, z)
    for i, (interaction, product) in enumerate(zip(model.interactions, model.products)):
        features = basis.features(passed[f"interactions.{i}/features"], C)
        A_ref = basis.joined(passed[f"interactions.{i}/0"])
        skip_ref = basis.features(passed[f"interactions.{i}/1"], C)
        A, skip = interaction(features, edges)
        for l, (x, reference) in enumerate(zip(A, A_ref, strict=True)):
            agree(f"interaction, message l={l}", x, reference)
        for x, reference in zip(skip, skip_ref, strict=True):
            agree("interaction, skip", x, reference)
        out = basis.features(passed[f"products.{i}/0"], C)
        for L, (x, reference) in enumerate(zip(product(A_ref, skip_ref, z), out, strict=True)):
            agree(f"product basis in a model, L={L}", x, reference)

    last = str(config.layers - 1)
    for k, (i, readout) in enumerate(model.readouts.items()):
        features = basis.features(passed[f"products.{i}/0"], C)
        reference = passed[f"readouts.{k}/0"].gather(1, head[:, None])[:, 0]
        kind = "non-linear" if i == last and config.layers > 1 else "linear"
        agree(f"readout, {kind}", readout(features[0].squeeze(1), head), reference)
