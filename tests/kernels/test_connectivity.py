from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from crossfield.algebra import coupling_paths
from crossfield.kernels import operations
from crossfield.kernels.backend import use
from crossfield.kernels.connectivity import Connectivity
from crossfield.kernels.formulas.convolution import Product
from crossfield.kernels.gpu.build import look
from crossfield.model.derivatives import evaluate
from tests.gpu import DEVICE
from tests.structures import batch_of, small_model, structures

SENDER, RECEIVER = torch.tensor([1, 2, 0, 1, 1]), torch.tensor([0, 0, 1, 2, 4])
ATOMS = 5  # atom 3 neither sends nor receives


def test_orders_of_edges():
    found = Connectivity(SENDER, RECEIVER, ATOMS)
    assert found.edges.first.tolist() == [0, 2, 3, 4, 4, 5]
    assert found.outgoing.first.tolist() == [0, 1, 4, 5, 5, 5]
    assert found.outgoing.order.tolist() == [2, 0, 3, 4, 1]
    assert torch.equal(found.outgoing.receiver, RECEIVER)
    assert found.edges is found.edges
    assert found.outgoing is found.outgoing


@pytest.mark.parametrize(
    ("backend", "searches", "sorts"), [("reference", 0, 0), ("numba", 1, 0), ("triton", 1, 1)]
)
def test_orders_are_found_once_and_only_for_who_asks(backend, searches, sorts):
    """For all layers, and for both backward passes of a step of training."""
    if backend == "triton":
        pytest.importorskip("triton")
    device = DEVICE if backend == "triton" else "cpu"
    model, graph = small_model().to(device), batch_of(structures()["dimer"]).to(device)
    use(model, backend)
    with Counted() as calls:
        forces = evaluate(model, graph, training=True).forces
        assert forces is not None
        forces.square().sum().backward()
    assert calls.by_name["aten.sort.stable"] == sorts
    # receivers of edges are searched for by number where the order of senders is
    assert calls.by_name["aten.searchsorted.Tensor"] == searches + 2 * sorts


class Counted(TorchDispatchMode):
    """How often torch is called, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.by_name[str(func)] += 1
        return func(*args, **(kwargs or {}))


def test_orders_that_do_not_fit_are_refused():
    """Before anything is read that is not there."""
    pytest.importorskip("triton")
    paths = coupling_paths(1, 1, 1)
    flat = [l for path in paths for l in path]
    h, Y, w = torch.zeros(ATOMS, 4, 2), torch.zeros(4, 5), torch.zeros(5, len(paths), 2)
    g = torch.zeros(ATOMS, Product(paths, 2).rows_out, 2)
    c = Connectivity(SENDER, RECEIVER, ATOMS)
    with look():
        operations.convolution_backward(g, h, Y, w, *c.edges, [*c.outgoing], flat, "triton")
    for wrong in (
        c.outgoing._replace(first=c.outgoing.first[1:]),
        c.outgoing._replace(first=c.outgoing.first.flip(0)),
        c.outgoing._replace(order=c.outgoing.order + 1),
        c.outgoing._replace(order=c.outgoing.order.int()),
        c.outgoing._replace(receiver=c.outgoing.receiver - 1),
    ):
        with pytest.raises(ValueError, match="order of their senders"):
            operations.convolution_backward(g, h, Y, w, *c.edges, [*wrong], flat, "triton")
