"""Every back end against plain torch in float64, on every model of the suite and all its structures."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch

from crossfield.graph import Graph
from crossfield.inference.potential import Potential
from crossfield.kernels.backend import use
from crossfield.model import Model, Prediction, evaluate
from crossfield.zoo import mace
from parity.cases import MODELS, ModelCase
from parity.conftest import RESULTS, Agree, Read
from parity.test_models import our_graphs, our_model
from tests.gpu import DEVICE

DOUBLE, DOUBLE_FLOOR = 1e-11, 1e-12  # relative; and eV, eV/Å, eV/Å^3, where there is less than that
SINGLE, SINGLE_FLOOR = 1e-5, 1e-6
TABLES_ENERGY, TABLES_FORCES = 1e-6, 1e-5  # eV/atom and eV/Å, by default
Evaluate = Callable[[Graph], Prediction]
# Triton's interpreter takes seconds for each structure: a few models; TRITON_CASES=all is all but the largest
FEW = "mh1 charge_and_spin like_mpa_0"
WANTED = os.environ.get("TRITON_CASES", FEW).split()
TRITON = [m for m in MODELS if m.name in WANTED or (WANTED == ["all"] and "published" not in m.name)]


def under_autograd(model: Model) -> Evaluate:
    use(model, "numba")
    return lambda graph: evaluate(model, graph)


def compiled(model: Model, table_accuracy: float | None) -> Evaluate:
    return Potential(model, model.heads[0].name, backend="numba", table_accuracy=table_accuracy).evaluate


def fresh(case: ModelCase) -> Model:
    """The model of a case, which may be changed."""
    return mace.read(RESULTS / f"{case.name}.model").model


def compare(
    agree: Agree, what: str, found: Evaluate, exact: Evaluate, graphs: list[Graph], floor: float, bound: float
) -> None:
    for graph in graphs:
        ours, reference = found(graph), exact(graph)
        periodic = bool(graph.periodic.all())
        for name in ("energies", "forces", "stress") if periodic else ("energies", "forces"):
            agree(f"{what}: {name}", getattr(ours, name).cpu(), getattr(reference, name), floor, bound)


@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)
def test_float64(case: ModelCase, read: Read, agree: Agree) -> None:
    graphs = our_graphs(case, read(f"model_{case.name}")[0])
    exact = lambda graph: evaluate(our_model(case.name), graph)  # noqa: E731
    how = {"autograd": under_autograd(fresh(case)), "plan, no tables": compiled(fresh(case), None)}
    for name, found in how.items():
        compare(agree, f"numba, {name}", found, exact, graphs, DOUBLE_FLOOR, DOUBLE)


@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)
def test_float32(case: ModelCase, read: Read, agree: Agree) -> None:
    graphs = our_graphs(case, read(f"model_{case.name}")[0])
    exact = lambda graph: evaluate(our_model(case.name), graph)  # noqa: E731
    how = {
        "autograd": under_autograd(fresh(case).float()),
        "plan, no tables": compiled(fresh(case).float(), None),
    }
    for name, found in how.items():
        compare(agree, f"numba, float32, {name}", found, exact, graphs, SINGLE_FLOOR, SINGLE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)
def test_tables(case: ModelCase, dtype: torch.dtype, read: Read, agree: Agree) -> None:
    """By default they are exact to 1e-6 eV/atom and 1e-5 eV/Å; in float32 round-off comes on top."""
    single = dtype == torch.float32
    found = compiled(fresh(case).to(dtype), 1e-6)
    for graph in our_graphs(case, read(f"model_{case.name}")[0]):
        ours, reference = found(graph), evaluate(our_model(case.name), graph)
        n = graph.num_atoms
        relative = SINGLE if single else 0.0
        agree(f"tables, {dtype}: energy", ours.energy / n, reference.energy / n, TABLES_ENERGY, relative)
        agree(f"tables, {dtype}: forces", ours.forces, reference.forces, TABLES_FORCES, relative)


@pytest.mark.parametrize("case", TRITON, ids=lambda case: case.name)
def test_triton(case: ModelCase, read: Read, agree: Agree) -> None:
    """Kernels for GPUs: on one, or under the interpreter."""
    graphs = our_graphs(case, read(f"model_{case.name}")[0])
    graphs = graphs if WANTED == ["all"] else sorted(graphs, key=lambda graph: graph.num_edges)[1:3]
    exact = lambda graph: evaluate(our_model(case.name), graph)  # noqa: E731
    name = fresh(case).heads[0].name
    ours = Potential(fresh(case).to(DEVICE), name, backend="triton", table_accuracy=None)
    plan = lambda graph: ours.evaluate(graph.to(DEVICE))  # noqa: E731
    compare(agree, "triton, plan, no tables", plan, exact, graphs, DOUBLE_FLOOR, DOUBLE)
    ours = Potential(fresh(case).float().to(DEVICE), name, backend="triton", table_accuracy=None)
    compare(agree, "triton, float32, plan, no tables", plan, exact, graphs, SINGLE_FLOOR, SINGLE)
