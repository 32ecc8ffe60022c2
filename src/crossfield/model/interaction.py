"""One round of messages: what an atom learns from its neighbours. Here, without weights of elements."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from crossfield.algebra import Irreps
from crossfield.kernels import Convolution, Gate, segment_sum
from crossfield.model.config import MAX_ELEMENT, ModelConfig
from crossfield.model.layer import EdgeGeometry, LayerShape
from crossfield.model.linear import Linear
from crossfield.model.radial import RadialNetwork


class NonlinearInteraction(nn.Module):
    """Non-linear interaction without element-dependent weights (MACE-MH-1).

    Args:
        config: sizes.
        layer: index of the layer, from 0; the first one only receives scalars.
    """

    # parameters whose first axis runs over elements
    of_elements: ClassVar[tuple[str, ...]] = ("sender_embedding", "receiver_embedding")
    numbers: Tensor  # (elements,) atomic numbers

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        shape = LayerShape.of(config, layer)
        gated = Irreps((config.channels * (1 + config.l_max), *shape.product.channels[1:]))

        elements, n = len(config.elements), config.radial_basis
        self.sender_embedding = nn.Parameter(torch.empty(elements, config.channels).uniform_(-1e-3, 1e-3))
        self.receiver_embedding = nn.Parameter(torch.empty(elements, config.channels).uniform_(-1e-3, 1e-3))
        self.embedding_scale = config.element_scale**-0.5
        self.register_buffer("numbers", torch.tensor(config.elements), persistent=False)
        self.linear_up = Linear(shape.hidden_in, shape.edge)
        self.linear_res = Linear(shape.edge, gated)
        self.linear_skip = Linear(shape.hidden_in, shape.hidden_out)
        self.linear_1 = Linear(shape.message, gated)
        self.linear_2 = Linear(shape.product, shape.product)
        self.radial = RadialNetwork(n, config.channels, config.radial_network, shape.radial_weights)
        self.density = RadialNetwork(n, config.channels, (config.density_width,), 1)
        self.convolution = Convolution(shape.paths)
        self.gate = Gate(config.channels)
        self.alpha = nn.Parameter(torch.tensor(20.0))
        self.beta = nn.Parameter(torch.tensor(0.0))

    def forward(
        self, h: list[Tensor], element: Tensor, edges: EdgeGeometry
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Features h, per l (N, 2l+1, C), to (A, skip): A for all l up to l_max, skip for the output's l."""
        u = self.linear_up(h)
        res = self.linear_res(u)
        skip = self.linear_skip(h)

        w, rho = self.radial_functions(edges)
        rho = segment_sum(rho, edges.connectivity.receiver, h[0].shape[0]).unsqueeze(-1)  # (N, 1, 1)

        w = w.unflatten(1, (len(self.convolution.paths), -1))
        m = self.convolution(u, edges.Y, w, edges.connectivity)
        m = self.linear_1(m)
        # not divided: a product's derivatives are products, with fewer arrays of the size of the features
        weight = (self.alpha + self.beta * rho).reciprocal()
        M = [torch.addcmul(res_l, m_l, weight) for m_l, res_l in zip(m, res, strict=True)]
        A = self.linear_2(self.gate(M))
        return A, skip

    def radial_functions(self, edges: EdgeGeometry) -> tuple[Tensor, Tensor]:
        """Radial weights (E, paths * C) and densities (E, 1): functions of length and elements of an edge."""
        a_s, a_t = self._by_number(self.sender_embedding), self._by_number(self.receiver_embedding)
        e = (edges.basis, a_s, a_t, self.numbers[edges.element_sender], self.numbers[edges.element_receiver])
        rho = torch.tanh(self.density(*e) ** 2)
        return self.radial(*e, edges.cutoff), rho if edges.cutoff is None else rho * edges.cutoff

    def _by_number(self, embedding: Tensor) -> Tensor:
        """Embeddings (elements, C), scaled, as rows of a table over all atomic numbers.

        How a row of a matrix product is rounded depends on where it stands and on the number of rows. So it
        stays what it is, to the last bit, when the model learns other elements.
        """
        table = embedding.new_zeros(MAX_ELEMENT + 1, embedding.shape[1])
        return table.index_copy(0, self.numbers, embedding * self.embedding_scale)
