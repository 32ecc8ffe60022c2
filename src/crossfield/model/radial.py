"""Everything that depends on the length of an edge: cutoff, distance transform, basis, network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from ase.data import covalent_radii
from torch import Tensor, nn


def polynomial_cutoff(d: Tensor, r_max: float | Tensor, p: int) -> Tensor:
    """Smooth step from 1 at d = 0 to 0 at r_max, with p-1 zero derivatives there. Same shape as d."""
    u = d / r_max
    f = 1.0 - 0.5 * (p + 1) * (p + 2) * u**p + p * (p + 2) * u ** (p + 1) - 0.5 * p * (p + 1) * u ** (p + 2)
    return torch.where(u < 1.0, f, torch.zeros_like(f))


class AgnesiTransform(nn.Module):
    """Distance to (0, 1], by the covalent radii of the pair (Witt et al., JCP 159, 164101, 2023)."""

    q, p, a = 0.9183, 4.5791, 1.0805

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("radii", torch.from_numpy(covalent_radii.copy()), persistent=False)

    def forward(self, d: Tensor, Z_sender: Tensor, Z_receiver: Tensor) -> Tensor:
        """(E,) Å and atomic numbers (E,) to (E,), without unit."""
        radii = self.get_buffer("radii")
        s = d / (0.5 * (radii[Z_sender] + radii[Z_receiver]))
        return 1.0 / (1.0 + self.a * s**self.q / (1.0 + s ** (self.q - self.p)))


class BesselBasis(nn.Module):
    """sqrt(2/r_max) sin(n pi x / r_max) / x, n = 1..size."""

    def __init__(self, r_max: float, size: int) -> None:
        super().__init__()
        self.prefactor = math.sqrt(2.0 / r_max)
        n = torch.arange(1, size + 1, dtype=torch.float64)
        self.register_buffer("frequencies", math.pi / r_max * n, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(E,) to (E, size)."""
        x = x.unsqueeze(-1)
        return self.prefactor * torch.sin(self.get_buffer("frequencies") * x) / x


class RadialNetwork(nn.Module):
    """Network on [basis | sender embedding | receiver embedding]: (Linear, LayerNorm, SiLU) x depth, Linear.

    The first Linear is evaluated in three parts, so that its element parts cost a look-up per edge.
    """

    def __init__(self, basis: int, embedding: int, hidden: Sequence[int], out: int) -> None:
        super().__init__()
        widths = [basis + 2 * embedding, *hidden, out]
        self.split = (basis, embedding, embedding)
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in hidden)

    def forward(self, basis: Tensor, sender: Tensor, receiver: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """Evaluate on edges.

        Args:
            basis: (E, basis) radial functions.
            sender, receiver: (elements, embedding) embeddings of the sender's and the receiver's element.
            s, t: (E,) element indices of sender and receiver.

        Returns:
            (E, out).
        """
        first = self.linears[0]
        assert isinstance(first, nn.Linear)
        W_basis, W_sender, W_receiver = first.weight.split(self.split, dim=1)
        x = nn.functional.linear(basis, W_basis, first.bias)
        x = x + (sender @ W_sender.T).index_select(0, s) + (receiver @ W_receiver.T).index_select(0, t)
        for norm, linear in zip(self.norms, self.linears[1:], strict=True):
            x = linear(nn.functional.silu(norm(x)))
        return x
