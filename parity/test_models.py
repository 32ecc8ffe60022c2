"""Whole models, imported from the files that mace-torch saves, and each of their blocks."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from crossfield.graph import Graph, build_graph, collate
from crossfield.model import Model, evaluate, hessian
from crossfield.model.config import ModelConfig
from crossfield.model.model import Output
from crossfield.zoo import mace
from parity.cases import MODELS, OLDER_STRUCTURES, OLDER_VERSIONS, ModelCase
from parity.conftest import RESULTS, Agree, Read
from parity.structures import structure
from parity.weights import State, features, joined

# What is zero by symmetry is round-off in both: of energies that add up to some eV, and of their derivatives.
FLOOR_ENERGY = 1e-9  # eV
FLOOR = 1e-11  # eV/Å, eV/Å^3
SINGLE = 1e-5  # relative, in float32
SINGLE_FLOOR = 1e-6  # eV, eV/Å, eV/Å^3

cases = pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)


@cache
def our_model(name: str) -> Model:
    """The model of a case, imported."""
    return mace.read(RESULTS / f"{name}.model").model


def our_graphs(case: ModelCase, tensors: State) -> list[Graph]:
    """The structures with neighbour lists of our own."""
    x = {name.removeprefix("input/"): value for name, value in tensors.items() if name.startswith("input/")}
    cells = x["cell"].view(-1, 3, 3)
    extra = [name for name in case.config.get("inputs", {}) if name not in ("charge", "spin")]
    return [
        build_graph(
            x["numbers"][a:b],
            x["positions"][a:b].detach(),
            cells[i],
            x["pbc"][i],
            cutoff=case.config["cutoff"],
            head=int(x["head"][i]),
            charge=float(x["total_charge"][i]),
            spin=float(x["total_spin"][i]),
            extra=[float(x[name][i]) for name in extra],
        )
        for i, (a, b) in enumerate(zip(x["ptr"].tolist(), x["ptr"].tolist()[1:]))
    ]


def flat(output: Output) -> Tensor:
    """Features of all layers as mace-torch joins them: layer after layer, channels slow."""
    layers = [torch.cat([h.transpose(1, 2).flatten(1) for h in layer], dim=1) for layer in output.features]
    return torch.cat(layers, dim=1)


def order(edges: tuple[Tensor, Tensor], shift: Tensor) -> np.ndarray:
    """Edges by receiver, sender and shift."""
    keys = [shift[:, k].detach().numpy() for k in (2, 1, 0)]
    return np.lexsort((*keys, edges[0].numpy(), edges[1].numpy()))


@cases
def test_configuration_and_size(case: ModelCase, read: Read) -> None:
    _, counts = read(f"model_{case.name}")
    model = our_model(case.name)
    expected = ModelConfig(**case.config)
    for name in ModelConfig.model_fields:
        found, wanted = getattr(model.config, name), getattr(expected, name)
        if name == "correlation":
            found, wanted = model.config.correlations, expected.correlations
        elif name in ("edge_channels", "edge_channels_first", "first_interaction"):
            found = [model.config.edge_channels_of(i) for i in range(expected.layers)], model.config.blocks
            wanted = [expected.edge_channels_of(i) for i in range(expected.layers)], expected.blocks
        elif name == "interaction" and expected.layers == 1:
            found, wanted = model.config.blocks, expected.blocks
        elif name == "average_neighbours" and not {"plain", "residual"} & set(expected.blocks):
            wanted = None  # nothing is divided by it
        elif name == "density_width" and "nonlinear" not in expected.blocks:
            continue  # there is no such network
        elif name in ("readout", "readout_activation", "readout_width") and expected.layers == 1:
            continue  # one layer has a linear readout
        elif name == "product_per_element" and len(expected.elements) == 1:
            continue  # the same for one element
        assert found == wanted, name
    assert [head.name for head in model.heads] == [f"head{i}" for i in range(case.heads)]
    if case.independent:
        assert model.num_parameters == counts["parameters"]
    else:
        assert model.num_parameters <= counts["parameters"]
    if case.parameters is not None:
        assert counts["parameters"] == case.parameters
    if case.ours is not None:
        assert model.num_parameters == case.ours


@cases
def test_all_structures_in_one_batch(case: ModelCase, read: Read, agree: Agree) -> None:
    tensors, _ = read(f"model_{case.name}")
    model, graph = our_model(case.name), collate(our_graphs(case, tensors))
    ours = evaluate(model, graph)
    assert ours.forces is not None
    assert ours.stress is not None
    compare(case, tensors, agree, "batch", ours.energy, ours.energies, ours.forces, ours.stress)


@cases
def test_each_structure_alone(case: ModelCase, read: Read, agree: Agree) -> None:
    tensors, _ = read(f"model_{case.name}")
    model = our_model(case.name)
    each = [evaluate(model, graph) for graph in our_graphs(case, tensors)]
    fields = ("energy", "energies", "forces", "stress")
    compare(case, tensors, agree, "alone", *(torch.cat([getattr(p, name) for p in each]) for name in fields))


@cases
def test_float32(case: ModelCase, read: Read, agree: Agree, record: Agree) -> None:
    """Against the oracle in float64. In float32 it is itself less precise, which the table shows."""
    tensors, _ = read(f"model_{case.name}")
    model = mace.read(RESULTS / f"{case.name}.model").model.float()
    ours = evaluate(model, collate(our_graphs(case, tensors)))
    ptr = tensors["input/ptr"].tolist()
    size = "published size" if case.parameters else "small models"
    assert ours.forces is not None
    assert ours.stress is not None
    for i in range(len(case.structures)):
        atoms = slice(ptr[i], ptr[i + 1])
        found = {"energy": ours.energy[i], "energies": ours.energies[atoms], "forces": ours.forces[atoms]}
        single = {"energy": i, "energies": atoms, "forces": atoms}
        if bool(tensors["input/pbc"][i].all()):
            found["stress"], single["stress"] = ours.stress[i], i
        for what, value in found.items():
            exact, theirs = (tensors[f"{kind}/{what}"][single[what]] for kind in ("output", "single"))
            agree(f"{size}, float32: {what}", value, exact, SINGLE_FLOOR, SINGLE)
            record(f"{size}, float32: {what} of mace-torch", theirs, exact, SINGLE_FLOOR)


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
        reference = tensors["output/energies"][atoms]
        agree(f"{size}, {how}: energies of atoms", energies[atoms], reference, FLOOR_ENERGY)
        agree(f"{size}, {how}: energy", energy[i], tensors["output/energy"][i], FLOOR_ENERGY)
        if periodic[i]:
            assert float(tensors["output/stress"][i].abs().max()) > 1e-6
            agree(f"{size}, {how}: stress", stress[i], tensors["output/stress"][i], FLOOR)
        else:
            assert bool(stress[i].isnan().all())


@cases
def test_features_edge_forces_and_stress_of_atoms(case: ModelCase, read: Read, agree: Agree) -> None:
    tensors, _ = read(f"model_{case.name}")
    model, graph = our_model(case.name), collate(our_graphs(case, tensors))
    with torch.no_grad():
        agree("features of all layers", flat(model(graph, graph.vectors())), tensors["output/features"])
    ours = evaluate(model, graph, edge_forces=True, atomic_stress=True)
    assert ours.edge_forces is not None
    assert ours.atomic_stress is not None
    theirs = tensors["input/edge_index"]
    mine = order((graph.sender, graph.receiver), graph.shift)
    other = order((theirs[0], theirs[1]), tensors["input/unit_shifts"])
    agree("edge forces", ours.edge_forces[mine], tensors["output/edge_forces"][other], FLOOR)
    periodic = graph.periodic[graph.structure]
    agree(
        "stress of atoms",
        ours.atomic_stress[periodic],
        tensors["output/atomic_stresses"][periodic],
        FLOOR,
    )


@pytest.mark.parametrize("case", [c for c in MODELS if c.hessian], ids=lambda case: case.name)
@pytest.mark.parametrize("name", ["crystal", "molecule"])
def test_hessian(case: ModelCase, name: str, read: Read, agree: Agree) -> None:
    tensors, _ = read(f"model_{case.name}")
    graph = our_graphs(case, tensors)[case.structures.index(name)]
    graph.head.zero_()  # in the oracle it is alone in its batch, and so asks the first head
    if "charge" in case.config.get("inputs", {}):
        pytest.fail("the oracle numbers its charges by structure")
    agree("Hessian", hessian(our_model(case.name), graph), tensors[f"output/hessian_{name}"])


@pytest.mark.parametrize("case", [c for c in MODELS if c.state_dict], ids=lambda case: case.name)
def test_state_dict_is_the_same_model(case: ModelCase) -> None:
    """Told what its tensors do not say, and nothing less."""
    model = our_model(case.name)
    facts: dict[str, object] = {
        "cutoff_on": case.config.get("cutoff_on", "weights"),
        "heads": [head.name for head in model.heads],
        "readout_activation": "silu",
    }
    if case.config.get("average_neighbours"):
        facts["average_neighbours"] = case.config["average_neighbours"]
    if inputs := case.config.get("inputs"):
        names = {"charge": "total_charge", "spin": "total_spin"}
        facts["offsets"] = {names[name]: spec["offset"] for name, spec in inputs.items()}
    found = mace.read(RESULTS / f"{case.name}.pt", facts)
    assert found.kind == "state dict"
    assert found.model.config == model.config
    assert found.model.heads == model.heads
    ours, theirs = model.state_dict(), found.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("version", OLDER_VERSIONS)
def test_files_of_older_versions(version: str, agree: Agree) -> None:
    """Published checkpoints are of many ages. The charges and spins are those that the oracle numbers."""
    paths = sorted(RESULTS.glob(f"older_{version}_*.model"))
    assert len(paths) >= 2, "run `make parity`, which runs older versions too"
    graphs = []
    for i, atoms in enumerate(map(structure, OLDER_STRUCTURES)):
        inputs = {"charge": i % 5 - 2, "spin": i % 4 + 1}
        graphs.append(
            build_graph(atoms.numbers, atoms.positions, atoms.cell, atoms.pbc, cutoff=4.5, **inputs)
        )
    for path in paths:
        expected = load_file(path.with_suffix(".safetensors"))
        ours = evaluate(mace.read(path).model, collate(graphs), stress=False)
        assert ours.forces is not None
        agree(f"mace-torch {version}: energy", ours.energy, expected["energy"], FLOOR_ENERGY)
        agree(f"mace-torch {version}: forces", ours.forces, expected["forces"], FLOOR)


def test_file_in_float32(read: Read, agree: Agree) -> None:
    """A file saved in float32, run in float64. Its constants are rounded, where ours are not."""
    (case,) = (c for c in MODELS if c.name == "mh1")
    tensors, _ = read("model_mh1")
    model = mace.read(RESULTS / "mh1_float32.model").model
    assert model.dtype == torch.float32
    ours = evaluate(model.double(), collate(our_graphs(case, tensors)))
    assert ours.forces is not None
    agree("float32 file in float64: energy", ours.energy, tensors["rounded/energy"], 0.0, 1e-6)
    agree("float32 file in float64: forces", ours.forces, tensors["rounded/forces"], 0.0, 1e-6)


@cases
def test_blocks(case: ModelCase, read: Read, agree: Agree) -> None:
    """Each block of the model gets what the oracle's block got."""
    tensors, _ = read(f"model_{case.name}")
    model, graph = our_model(case.name), collate(our_graphs(case, tensors))
    config, C = model.config, model.config.channels
    passed = {name.removeprefix("passed/"): v for name, v in tensors.items() if name.startswith("passed/")}
    z, head = model.element_of[graph.Z], graph.head[graph.structure]
    r = graph.vectors()
    d = torch.linalg.vector_norm(r, dim=1)

    if model.inputs is not None:
        inputs = model.inputs(model.inputs_of(graph))[graph.structure]
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

    edges, _ = model._geometry(graph, r, d, z)
    for i, (interaction, product) in enumerate(zip(model.interactions, model.products)):
        kind = config.blocks[i]
        h_ref = features(passed[f"interactions.{i}/features"], C)
        A_ref = joined(passed[f"interactions.{i}/0"])
        skip_ref = None
        A, skip = interaction(h_ref, z, edges)
        for l, (x, reference) in enumerate(zip(A, A_ref, strict=True)):
            agree(f"interaction {kind}, message l={l}", x, reference, 1e-15)  # zero by symmetry: round-off
        if f"interactions.{i}/1" in passed:
            skip_ref = features(passed[f"interactions.{i}/1"], C)
            for x, reference in zip(skip, skip_ref, strict=True):
                agree(f"interaction {kind}, skip", x, reference)
        else:
            assert skip is None
        out = features(passed[f"products.{i}/0"], C)
        for L, (x, reference) in enumerate(zip(product(A_ref, skip_ref, z), out, strict=True)):
            agree(f"product basis in a model, L={L}", x, reference)

    last = str(config.layers - 1)
    for k, (i, readout) in enumerate(model.readouts.items()):
        h = features(passed[f"products.{i}/0"], C)
        reference = passed[f"readouts.{k}/0"].gather(1, head[:, None])[:, 0]
        kind = config.readout if i == last and config.layers > 1 else "linear"
        agree(f"readout, {kind}", readout(h[0].squeeze(1), head), reference)
