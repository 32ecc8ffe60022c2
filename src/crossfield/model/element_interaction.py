"""The older interactions, whose weights depend on the element of the atom (MACE-MP-0, MPA-0, OFF, ...)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossfield.kernels import Convolution, segment_sum
from crossfield.model.config import ModelConfig
from crossfield.model.layer import EdgeGeometry, LayerShape
from crossfield.model.linear import ElementLinear, Linear
from crossfield.model.radial import PlainRadialNetwork


class NeighbourNumber(nn.Module):
    """Divisor of the messages: the average number of neighbours in the training data."""

    def __init__(self, average: float) -> None:
        super().__init__()
        self.average = average

    def forward(self, edges: EdgeGeometry, num_atoms: int) -> float:
        """The number, for every atom the same."""
        return self.average


class NeighbourDensity(nn.Module):
    """Divisor of the messages: 1 + sum_j tanh(v(e)^2), with v linear in the radial basis."""

    def __init__(self, basis: int) -> None:
        super().__init__()
        self.network = PlainRadialNetwork(basis, (), 1)

    def forward(self, edges: EdgeGeometry, num_atoms: int) -> Tensor:
        """(N, 1, 1)."""
        rho = segment_sum(self.density(edges), edges.connectivity.receiver, num_atoms)
        return 1.0 + rho.unsqueeze(-1)

    def density(self, edges: EdgeGeometry) -> Tensor:
        """What each edge contributes, (E, 1)."""
        rho = torch.tanh(self.network(edges.basis) ** 2)
        return rho if edges.cutoff is None else rho * edges.cutoff


class Messages(nn.Module):
    """m = Linear(sum_j u_j (x)_w Y) / divisor, with u = Linear_up h and w from the radial basis alone."""

    def __init__(self, config: ModelConfig, shape: LayerShape, divisor: nn.Module) -> None:
        super().__init__()
        self.linear_up = Linear(shape.hidden_in, shape.edge)
        self.radial = PlainRadialNetwork(config.radial_basis, config.radial_network, shape.radial_weights)
        self.convolution = Convolution(shape.paths)
        self.linear = Linear(shape.message, shape.product)
        self.divisor = divisor

    def forward(self, h: list[Tensor], edges: EdgeGeometry) -> list[Tensor]:
        """Features h, per l (N, 2l+1, C), to messages, per l up to l_max (N, 2l+1, C)."""
        w = self.weights(edges).unflatten(1, (len(self.convolution.paths), -1))
        m = self.convolution(self.linear_up(h), edges.Y, w, edges.connectivity)
        # not divided: a product's derivatives are products, with fewer arrays of the size of the features
        weight = 1.0 / self.divisor(edges, h[0].shape[0])
        return [m_l * weight for m_l in self.linear(m)]

    def weights(self, edges: EdgeGeometry) -> Tensor:
        """Radial weights (E, paths * C)."""
        w = self.radial(edges.basis)
        return w if edges.cutoff is None else w * edges.cutoff


class PlainInteraction(nn.Module):
    """The message, mixed by weights of the receiver's element; nothing of the atom itself goes past it."""

    def __init__(self, config: ModelConfig, layer: int, divisor: nn.Module) -> None:
        super().__init__()
        shape = LayerShape.of(config, layer)
        self.messages = Messages(config, shape, divisor)
        self.mix = ElementLinear(len(config.elements), shape.product, shape.product, config.element_scale)

    def forward(self, h: list[Tensor], element: Tensor, edges: EdgeGeometry) -> tuple[list[Tensor], None]:
        """Features h, per l (N, 2l+1, C), and element index (N,) to (A, nothing)."""
        return self.mix(self.messages(h, edges), element), None


class ResidualInteraction(nn.Module):
    """The message, and beside it the features of the atom itself, mixed by weights of its element."""

    def __init__(self, config: ModelConfig, layer: int, divisor: nn.Module) -> None:
        super().__init__()
        shape = LayerShape.of(config, layer)
        self.messages = Messages(config, shape, divisor)
        self.skip = ElementLinear(
            len(config.elements), shape.hidden_in, shape.hidden_out, config.element_scale
        )

    def forward(
        self, h: list[Tensor], element: Tensor, edges: EdgeGeometry
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Features h, per l (N, 2l+1, C), and element index (N,) to (A, skip)."""
        return self.messages(h, edges), self.skip(h, element)
