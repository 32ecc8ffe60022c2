"""One round of messages: what an atom learns from its neighbours."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from crossfield.algebra import Irreps, coupling_paths
from crossfield.kernels import Convolution, segment_sum
from crossfield.model.activation import gate
from crossfield.model.config import ModelConfig
from crossfield.model.linear import Linear
from crossfield.model.radial import RadialNetwork


class EdgeGeometry(NamedTuple):
    """What the layers need to know about the edges."""

    sender: Tensor  # (E,) atom index
    receiver: Tensor  # (E,) atom index
    element_sender: Tensor  # (E,) element index
    element_receiver: Tensor  # (E,) element index
    Y: list[Tensor]  # per l (E, 2l+1) spherical harmonics
    basis: Tensor  # (E, n) radial basis
    cutoff: Tensor | None  # (E, 1) factor on radial weights and density; None: it is in the basis already


class Interaction(nn.Module):
    """Non-linear interaction without element-dependent weights (MACE-MH-1).

    Args:
        config: sizes.
        layer: index of the layer, from 0; the first one only receives scalars.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        L_in = 0 if layer == 0 else config.max_L
        self.channels = config.channels
        hidden_in = Irreps.uniform(config.channels, L_in)
        hidden_out = Irreps.uniform(config.channels, config.hidden_L(layer))
        edge = Irreps.uniform(config.edge_channels_of(layer), L_in)
        product = Irreps.uniform(config.channels, config.l_max)
        gated = Irreps((config.channels * (1 + config.l_max), *product.channels[1:]))
        paths = coupling_paths(L_in, config.l_max, config.l_max)
        message = Irreps(
            tuple(sum(p.l3 == l for p in paths) * edge.channels[0] for l in range(config.l_max + 1))
        )

        elements, n = len(config.elements), config.radial_basis
        self.sender_embedding = nn.Parameter(torch.empty(elements, config.channels).uniform_(-1e-3, 1e-3))
        self.receiver_embedding = nn.Parameter(torch.empty(elements, config.channels).uniform_(-1e-3, 1e-3))
        self.linear_up = Linear(hidden_in, edge)
        self.linear_res = Linear(edge, gated)
        self.linear_skip = Linear(hidden_in, hidden_out)
        self.linear_1 = Linear(message, gated)
        self.linear_2 = Linear(product, product)
        self.radial = RadialNetwork(n, config.channels, config.radial_network, len(paths) * edge.channels[0])
        self.density = RadialNetwork(n, config.channels, (config.density_width,), 1)
        self.convolution = Convolution(paths)
        self.alpha = nn.Parameter(torch.tensor(20.0))
        self.beta = nn.Parameter(torch.tensor(0.0))

    def forward(self, h: list[Tensor], edges: EdgeGeometry) -> tuple[list[Tensor], list[Tensor]]:
        """Features h, per l (N, 2l+1, C), to (A, skip): A for all l up to l_max, skip for the output's l."""
        num_atoms = h[0].shape[0]
        scale = self.sender_embedding.shape[0] ** -0.5
        a_s, a_t = self.sender_embedding * scale, self.receiver_embedding * scale
        u = self.linear_up(h)
        res = self.linear_res(u)
        skip = self.linear_skip(h)

        e = (edges.basis, a_s, a_t, edges.element_sender, edges.element_receiver)
        w = self.radial(*e)  # (E, paths * C)
        rho = torch.tanh(self.density(*e) ** 2)  # (E, 1)
        if edges.cutoff is not None:
            w, rho = w * edges.cutoff, rho * edges.cutoff
        rho = segment_sum(rho, edges.receiver, num_atoms).unsqueeze(-1)  # (N, 1, 1)

        w = w.unflatten(1, (len(self.convolution.paths), -1))
        m = self.convolution(u, edges.Y, w, edges.sender, edges.receiver)
        m = self.linear_1(m)
        M = [m_l / (self.alpha + self.beta * rho) + res_l for m_l, res_l in zip(m, res, strict=True)]
        A = self.linear_2(gate(M, self.channels))
        return A, skip
