"""Single blocks by mace-torch, on random inputs."""

from __future__ import annotations

import torch
from e3nn import o3
from mace.modules import blocks, radial
from torch import nn

from parity.cases import Basis, NetworkCase, ProductCase, RadialCase
from parity.oracle.common import Tensors, count, irreps, state_of


def product(case: ProductCase) -> tuple[Tensors, dict[str, int]]:
    """A product basis on random features."""
    block = blocks.EquivariantProductBasisBlock(
        node_feats_irreps=irreps(case.channels, case.l_max),
        target_irreps=irreps(case.channels, case.L),
        correlation=case.correlation,
        num_elements=case.elements,
        use_agnostic_product=not case.per_element,
        use_reduced_cg=case.independent,
    )
    A = torch.randn(case.atoms, case.channels, (case.l_max + 1) ** 2)
    skip = torch.randn(case.atoms, case.channels * (case.L + 1) ** 2)
    element = torch.arange(case.atoms) % case.elements
    B = block(A, skip, nn.functional.one_hot(element, case.elements).double())
    tensors = state_of(block) | {"input/A": A, "input/skip": skip, "input/element": element, "output/B": B}
    return tensors, {"parameters": count(block)}


def network(case: NetworkCase) -> tuple[Tensors, dict[str, int]]:
    """A radial network on random inputs."""
    block = radial.RadialMLP([case.basis + 2 * case.embedding, *case.hidden, case.out])
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    values = torch.randn(case.edges, case.basis)
    source, target = torch.randn(2, case.elements, case.embedding)
    s, t = torch.randint(case.elements, (2, case.edges))
    out = block(torch.cat([values, source[s], target[t]], dim=1))
    inputs = {"basis": values, "source": source, "target": target, "s": s, "t": t}
    tensors = state_of(block) | {f"input/{k}": v for k, v in inputs.items()} | {"output/weights": out}
    return tensors, {"parameters": count(block)}


def distances(case: RadialCase) -> tuple[Tensors, dict[str, int]]:
    """Everything that is a function of the distance between two atoms, with its derivative."""
    n = len(case.numbers)
    pairs = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    d = (
        torch.linspace(0.2, 1.02 * case.cutoff, 41)
        .repeat_interleave(len(pairs))
        .unsqueeze(1)
        .requires_grad_()
    )
    i, j = pairs.repeat(41, 1).T
    # atom k is the sender of edge k, atom E + k its receiver: every receiver has one edge
    Z = torch.cat([i, j])
    edge_index = torch.arange(2 * len(i)).view(2, -1)
    one_hot, numbers = nn.functional.one_hot(Z, n).double(), torch.tensor(case.numbers)

    transform = radial.AgnesiTransform()
    x = transform(d, one_hot, edge_index, numbers)
    functions = {
        "cutoff": radial.PolynomialCutoff(case.cutoff, p=case.power)(d),
        "transform": x,
        "bessel": radial.BesselBasis(case.cutoff, case.basis)(d),
        "bessel_transformed": radial.BesselBasis(case.cutoff, case.basis)(x),
        "pair": radial.ZBLBasis(p=case.power)(d, one_hot, edge_index, numbers)[len(i) :],
    }
    tensors = {"input/d": d, "input/numbers": numbers[Z].view(2, -1)}
    for name, value in functions.items():
        tensors[f"output/{name}"] = value
        tensors[f"output/{name}_derivative"] = torch.autograd.grad(value.sum(), d, retain_graph=True)[0]
    return tensors, {}


def chebyshev(self: radial.ChebychevBasis, x: torch.Tensor) -> torch.Tensor:
    """The oracle's own values, with the derivative that torch's Chebyshev polynomials lack.

    mace-torch's forces leave the derivative of this basis out, so that they are not those of its energy.
    """
    values = [torch.ones_like(x), x]
    for _ in range(2, self.num_basis + 1):
        values.append(2.0 * x * values[-1] - values[-2])
    ours = torch.cat(values[1:], dim=-1)
    theirs = torch.special.chebyshev_polynomial_t(x.repeat(1, self.num_basis), self.n.repeat(len(x), 1))
    torch.testing.assert_close(ours, theirs, rtol=1e-3 if x.dtype == torch.float32 else 1e-10, atol=1e-10)
    return ours


def basis(case: Basis) -> tuple[Tensors, dict[str, int]]:
    """Harmonics at random points, and Wigner symbols: the oracle's choice of basis."""
    points = nn.functional.normalize(torch.randn(case.points, 3), dim=1)
    degrees = range(case.l_max + 1)
    tensors = {"input/points": points}
    for l in degrees:
        tensors[f"output/Y_{l}"] = o3.spherical_harmonics(
            l, points, normalize=True, normalization="component"
        )
        for l1 in degrees:
            for l2 in degrees:
                if abs(l1 - l2) <= l <= l1 + l2 and (l1 + l2 + l) % 2 == 0:
                    tensors[f"output/wigner_{l1}_{l2}_{l}"] = o3.wigner_3j(l1, l2, l)
    return tensors, {}
