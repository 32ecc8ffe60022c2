"""Single blocks on random inputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from crossfield.algebra import clebsch_gordan
from crossfield.kernels import SphericalHarmonics
from crossfield.model.config import ModelConfig
from crossfield.model.pair import ZBLRepulsion
from crossfield.model.product import ProductBasis
from crossfield.model.radial import AgnesiTransform, BesselBasis, RadialNetwork, polynomial_cutoff
from parity.cases import NETWORKS, PRODUCTS, RADIALS, NetworkCase, ProductCase, RadialCase
from parity.conftest import Agree, Read
from parity.weights import copy_network, copy_product, features, joined


def named(case: NetworkCase | ProductCase | RadialCase) -> str:
    return case.name


def test_harmonics(read: Read, agree: Agree) -> None:
    tensors, _ = read("basis")
    for l, Y in enumerate(SphericalHarmonics(4).double()(tensors["input/points"])):
        agree("harmonics", Y, tensors[f"output/Y_{l}"])


def test_wigner_symbols(read: Read, agree: Agree) -> None:
    """With the same sign for every path, so that radial weights carry over as they are."""
    tensors, _ = read("basis")
    symbols = [name for name in tensors if name.startswith("output/wigner_")]
    assert len(symbols) == 42
    for name in symbols:
        l1, l2, l3 = map(int, name.split("_")[1:])
        ours = torch.from_numpy(clebsch_gordan(l1, l2, l3)) * (2 * l3 + 1) ** -0.5
        agree("Wigner symbols", ours, tensors[name])


@pytest.mark.parametrize("case", PRODUCTS, ids=named)
def test_product_basis(case: ProductCase, read: Read, agree: Agree) -> None:
    tensors, counts = read(f"product_{case.name}")
    config = ModelConfig(
        elements=tuple(range(1, case.elements + 1)),
        channels=case.channels,
        l_max=case.l_max,
        max_L=case.L,
        correlation=case.correlation,
        product_per_element=case.per_element,
    )
    block = ProductBasis(config, layer=0).double()
    copy_product(tensors, block, case.l_max)

    ours = block(
        joined(tensors["input/A"]),
        features(tensors["input/skip"], case.channels),
        tensors["input/element"],
    )
    for x, reference in zip(ours, features(tensors["output/B"], case.channels), strict=True):
        kind = "independent" if case.independent else "redundant"
        agree(f"product basis alone, {kind} couplings", x, reference)
    if case.independent:
        assert sum(p.numel() for p in block.parameters()) == counts["parameters"]


@pytest.mark.parametrize("case", NETWORKS, ids=named)
def test_radial_network(case: NetworkCase, read: Read, agree: Agree) -> None:
    tensors, counts = read(f"network_{case.name}")
    block = RadialNetwork(case.basis, case.embedding, case.hidden, case.out).double()
    copy_network(tensors, block)
    inputs = [tensors[f"input/{name}"] for name in ("basis", "source", "target", "s", "t")]
    agree("radial network alone", block(*inputs), tensors["output/weights"])
    assert sum(p.numel() for p in block.parameters()) == counts["parameters"]


@pytest.mark.parametrize("case", RADIALS, ids=named)
def test_functions_of_distance(case: RadialCase, read: Read, agree: Agree) -> None:
    """Values and derivatives, for pairs of light and heavy elements, from 0.2 Å to beyond the cutoff."""
    tensors, _ = read(f"radial_{case.name}")
    d = tensors["input/d"].squeeze(1).requires_grad_()
    Z_s, Z_r = tensors["input/numbers"]
    E = len(d)
    sender, receiver = torch.arange(2 * E).view(2, E)
    x = AgnesiTransform().double()(d, Z_s, Z_r)
    bessel = BesselBasis(case.cutoff, case.basis).double()
    pair: nn.Module = ZBLRepulsion(case.power).double()
    functions = {
        "cutoff": polynomial_cutoff(d, case.cutoff, case.power).unsqueeze(1),
        "transform": x.unsqueeze(1),
        "bessel": bessel(d),
        "bessel_transformed": bessel(x),
        "pair": pair(d, torch.cat([Z_s, Z_r]), sender, receiver)[E:],
    }
    for name, value in functions.items():
        agree(f"radial, {name}", value, tensors[f"output/{name}"])
        (derivative,) = torch.autograd.grad(value.sum(), d, retain_graph=True)
        agree(f"radial, {name}, derivative", derivative.unsqueeze(1), tensors[f"output/{name}_derivative"])
