"""The counts of benchmarks/roofline.py, against what torch counts, and against numbers found by hand."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.roofline import contraction, convolution, linears, radial, work
from crossfield.bench.speed import PUBLISHED
from crossfield.model import Model, ModelConfig
from crossfield.model.linear import Linear
from crossfield.theory import Head, Theory

SMALL = ModelConfig(elements=(1, 8), channels=12, edge_channels=5, l_max=2, correlation=2, layers=3)


def test_linear_maps_are_counted_as_torch_does() -> None:
    model = Model(SMALL, [Head(name="a", theory=Theory(name="a"), E0={})])
    atoms = 7
    for i in range(SMALL.layers):
        counted = 0
        for module in [*model.interactions[i].modules(), *model.products[i].modules()]:
            if isinstance(module, Linear):
                x = [torch.zeros(atoms, 2 * l + 1, n) for l, n in enumerate(module.irreps_in.channels)]
                with FlopCounterMode(display=False) as counter, torch.no_grad():
                    module(x)
                counted += counter.get_total_flops()
        assert counted == atoms * linears(SMALL, i).forward


def test_the_published_size_takes_about_fifteen_million_multiply_adds_an_atom() -> None:
    forward = sum(linears(PUBLISHED, i).forward for i in range(2)) / 2
    assert 15.0e6 < forward < 16.0e6
    assert work(PUBLISHED, 864, 864 * 91, 4).flops / 864 == pytest.approx(76e6, rel=0.02)


def test_the_first_layer_couples_scalars_only() -> None:
    """Four paths (0, l, l) of 1, 3, 5 and 7 coefficients, each with one product by the weight."""
    assert convolution(PUBLISHED, 0).forward == 128 * (2 * 16 + 4)
    assert radial(PUBLISHED, 0).forward == 8 * (4 * 128 + 1)


def test_products_of_degree_three_have_their_known_numbers_of_monomials() -> None:
    """478 monomials, 502 coefficients; 13 couplings to l = 0 and 16 to each of the 3 components of l = 1."""
    found = contraction(PUBLISHED, 0)
    assert found.forward == 512 * (478 + 2 * 502 + 2 * (13 + 16 * 3))
    assert found.reverse == 512 * (4 * 478 + 2 * 502 + 2 * (13 + 16 * 3))


def test_work_grows_with_atoms_and_edges_but_for_the_weights() -> None:
    one, two, none = work(SMALL, 10, 80, 8), work(SMALL, 20, 160, 8), work(SMALL, 0, 0, 8)
    assert two.flops == 2 * one.flops
    assert two.bytes - none.bytes == 2 * (one.bytes - none.bytes)
    assert none.bytes > 0


def test_other_interactions_are_not_counted() -> None:
    with pytest.raises(ValueError, match="nonlinear"):
        linears(ModelConfig(elements=(1,), interaction="density"), 0)
