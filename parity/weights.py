"""Weights of single blocks of mace-torch, put into our modules; whole models are imported as users do it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossfield.model.product import ProductBasis
from crossfield.model.radial import RadialNetwork
from crossfield.zoo.mace.couplings import projection

State = dict[str, Tensor]


@torch.no_grad()
def assign(parameter: nn.Parameter, value: Tensor) -> None:
    """Set a parameter; the number of entries must be right, the shape is that of the parameter."""
    parameter.copy_(value.reshape(parameter.shape))


def copy_network(state: State, network: RadialNetwork) -> None:
    """A radial network."""
    for k, linear in enumerate(network.linears):
        assign(linear.weight, state[f"state/net.{3 * k}.weight"])
        assign(linear.bias, state[f"state/net.{3 * k}.bias"])
    for k, norm in enumerate(network.norms):
        assign(norm.weight, state[f"state/net.{3 * k + 1}.weight"])
        assign(norm.bias, state[f"state/net.{3 * k + 1}.bias"])


def copy_product(state: State, block: ProductBasis, l_max: int) -> None:
    """One product basis."""
    flat = state["state/linear.weight"]
    for weight, part in zip(block.linear.weights, flat.split([w.numel() for w in block.linear.weights])):
        assign(weight, part)
    for L, weight in enumerate(block.weights):
        at = f"state/symmetric_contractions.contractions.{L}."
        degrees = len(block.contraction.sizes[L])
        parts = []
        for degree in range(1, degrees + 1):
            name = "weights_max" if degree == degrees else f"weights.{degrees - 1 - degree}"
            P = projection(state[f"{at}U_matrix_{degree}"], l_max, L, degree, "U")
            parts.append(torch.einsum("kj,ejc->ekc", P, state[at + name]))
        assign(weight, torch.cat(parts, dim=1))


def features(flat: Tensor, channels: int) -> list[Tensor]:
    """The oracle's flat features (N, sum (2l+1) C), channels slow, as ours, per l (N, 2l+1, C)."""
    out, first = [], 0
    while first < flat.shape[1]:
        l = len(out)
        size = channels * (2 * l + 1)
        x = flat[:, first : first + size].reshape(-1, channels, 2 * l + 1)
        out.append(x.transpose(1, 2))
        first += size
    return out


def joined(x: Tensor) -> list[Tensor]:
    """The oracle's (N, C, (l_max+1)^2) as ours, per l (N, 2l+1, C)."""
    sizes = [2 * l + 1 for l in range(round(x.shape[2] ** 0.5))]
    return [part.transpose(1, 2) for part in x.split(sizes, dim=2)]
