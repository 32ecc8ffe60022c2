"""Batches of other sizes run the kernels that there are: nothing is written or compiled anew."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
import torch
from torch import Tensor

from crossfield.graph import Graph, collate
from crossfield.kernels.backend import use
from crossfield.kernels.gpu import build
from crossfield.kernels.gpu.build import Launch, look
from crossfield.model import Model
from crossfield.model.derivatives import evaluate
from tests.structures import graph_of, small_model, structures

pytest.importorskip("triton")
BATCHES = (
    ("molecule",),
    ("skewed crystal", "slab"),
    ("radical", "ion", "dimer"),
    ("one-atom cell",),
    ("wire", "rocksalt", "molecule"),
    ("isolated atom", "dimer"),
)


def step(model: Model, graph: Graph) -> list[Launch]:
    """What is launched for a step of training on energies, forces and stress."""
    with look() as seen:
        found = evaluate(model, graph, training=True)
        assert found.forces is not None
        assert found.stress is not None
        (found.energy.sum() + found.forces.square().sum() + found.stress.nansum()).backward()
    return seen


def compiled_for(one: Launch) -> tuple[Any, ...]:
    """What Triton tells apart: types, and which addresses are divisible by 16; whole numbers are alike."""
    arguments = []
    free = one.kernel.kwargs["do_not_specialize"] if build.interpreted() else one.kernel.do_not_specialize
    for name, value in zip(one.kernel.arg_names, one.arguments, strict=False):
        if isinstance(value, Tensor):
            arguments.append((value.dtype, value.data_ptr() % 16 == 0))
        else:
            assert name in free
            assert value < 1 << 31
    return (*arguments, *sorted(one.tiles.items()), one.warps)


@pytest.mark.parametrize("width", [8, 6])  # rows of whole vectors, or not
def test_batches_of_other_sizes_need_no_other_kernels(width):
    model = small_model(dtype=torch.float32, radial_network=(width, width))
    use(model, "triton")
    found: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
    written, sizes = [], set()
    for names in BATCHES:
        graph = collate([graph_of(structures()[name]) for name in names])
        sizes.add((graph.num_atoms, graph.num_edges))
        for one in step(model, graph):
            found[id(one.kernel)].add(compiled_for(one))
        written.append(build.function.cache_info().misses)
    assert len(sizes) == len(BATCHES)
    assert len(found) > 20
    assert {len(ways) for ways in found.values()} == {1}
    assert written == [written[0]] * len(BATCHES)
