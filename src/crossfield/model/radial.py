"""Everything that depends on the length of an edge: cutoff, distance transform, basis, network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from ase.data import covalent_radii
from torch import Tensor, nn

from crossfield.kernels import Multiplying, NormSiLU, product
from crossfield.model.activation import silu
from crossfield.model.config import ModelConfig
from crossfield.model.initial import normal


def polynomial_cutoff(d: Tensor, r_max: float | Tensor, p: int) -> Tensor:
    """Smooth step from 1 at d = 0 to 0 at r_max, with p-1 zero derivatives at 0 and two at r_max.

    1 - (p+1)(p+2)/2 u^p + p(p+2) u^(p+1) - p(p+1)/2 u^(p+2), u = d/r_max; 0 beyond. Same shape as d.
    Factored as (1-u)^3 sum_k<p (k+1)(k+2)/2 u^k, of positive terms: written out, what the terms leave of each
    other near r_max is their rounding, which is felt in float32 where the step multiplies a large repulsion.
    """
    u = d / r_max
    f = torch.zeros_like(u)
    for k in reversed(range(p)):
        f = f * u + 0.5 * (k + 1) * (k + 2)
    return torch.where(u < 1.0, f * (1.0 - u) ** 3, torch.zeros_like(f))


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


class SoftTransform(nn.Module):
    """Distance that stops falling below the sum R of the covalent radii of the pair.

    With a = 3R/4 and b = 4R/3: a + (d - a) * (1 + tanh(4 (d - (a + b)/2) / (b - a))) / 2, which is a well
    below a and d well above b.
    """

    steepness = 4.0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("radii", torch.from_numpy(covalent_radii.copy()), persistent=False)

    def forward(self, d: Tensor, Z_sender: Tensor, Z_receiver: Tensor) -> Tensor:
        """(E,) Å and atomic numbers (E,) to (E,) Å."""
        radii = self.get_buffer("radii")
        R = radii[Z_sender] + radii[Z_receiver]
        a, b = 0.75 * R, 4.0 / 3.0 * R
        step = 0.5 * (1.0 + torch.tanh(self.steepness * (d - 0.5 * (a + b)) / (b - a)))
        return a + (d - a) * step


class BesselBasis(nn.Module):
    """sqrt(2/r_max) sin(n pi x / r_max) / x, n = 1..size."""

    def __init__(self, r_max: float, size: int) -> None:
        super().__init__()
        self.prefactor = math.sqrt(2.0 / r_max)
        frequencies = math.pi / r_max * np.arange(1, size + 1)
        self.register_buffer("frequencies", torch.from_numpy(frequencies), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(E,) to (E, size)."""
        x = x.unsqueeze(-1)
        return self.prefactor * torch.sin(self.get_buffer("frequencies") * x) / x


class GaussianBasis(nn.Module):
    """exp(-(x - c_n)^2 / (2 s^2)) with centres c_n from 0 to r_max and their distance s as width."""

    def __init__(self, r_max: float, size: int) -> None:
        super().__init__()
        self.width = r_max / (size - 1)
        self.register_buffer("centres", torch.from_numpy(np.linspace(0.0, r_max, size)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(E,) to (E, size)."""
        return torch.exp(-0.5 * ((x.unsqueeze(-1) - self.get_buffer("centres")) / self.width) ** 2)


class ChebyshevBasis(nn.Module):
    """Chebyshev polynomials of the first kind T_n(x), n = 1..size; of x itself, which may exceed 1."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(E,) to (E, size)."""
        values = [torch.ones_like(x), x]
        for _ in range(2, self.size + 1):
            values.append(2.0 * x * values[-1] - values[-2])
        return torch.stack(values[1:], dim=-1)


class PlainRadialNetwork(Multiplying):
    """Network on the radial basis alone: (Linear, SiLU) x depth, Linear; no biases, SiLU scaled."""

    kind = "radial"

    def __init__(self, basis: int, hidden: Sequence[int], out: int) -> None:
        super().__init__()
        widths = [basis, *hidden, out]
        self.weights = nn.ParameterList(nn.Parameter(normal(a, b)) for a, b in pairwise(widths))

    def forward(self, basis: Tensor) -> Tensor:
        """(E, basis) to (E, out)."""
        first, *rest = [w * w.shape[0] ** -0.5 for w in self.weights]
        x = product(basis, first, in_tf32=self.in_tf32)
        for w in rest:
            x = product(silu(x), w, in_tf32=self.in_tf32)
        return x


class RadialNetwork(Multiplying):
    """Network on [basis | sender embedding | receiver embedding]: (Linear, LayerNorm, SiLU) x depth, Linear.

    The first Linear is evaluated in three parts, so that its element parts cost a look-up per edge.
    """

    kind = "radial"

    def __init__(self, basis: int, embedding: int, hidden: Sequence[int], out: int) -> None:
        super().__init__()
        widths = [basis + 2 * embedding, *hidden, out]
        self.split = (basis, embedding, embedding)
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in hidden)
        self.activation = NormSiLU()

    def forward(
        self,
        basis: Tensor,
        sender: Tensor,
        receiver: Tensor,
        s: Tensor,
        t: Tensor,
        factor: Tensor | None = None,
    ) -> Tensor:
        """Evaluate on edges.

        Args:
            basis: (E, basis) radial functions.
            sender, receiver: (elements, embedding) embeddings of the sender's and the receiver's element.
            s, t: (E,) element indices of sender and receiver.
            factor: (E, 1) what the result is multiplied with.

        Returns:
            (E, out).
        """
        first = self.linears[0]
        assert isinstance(first, nn.Linear)
        W_basis, W_sender, W_receiver = first.weight.split(self.split, dim=1)
        tables = [
            product(a, W.T, in_tf32=self.in_tf32) for a, W in ((sender, W_sender), (receiver, W_receiver))
        ]
        x = product(basis, W_basis.T, first.bias, in_tf32=self.in_tf32)
        x = x + tables[0].index_select(0, s) + tables[1].index_select(0, t)
        for i, (norm, linear) in enumerate(zip(self.norms, self.linears[1:], strict=True)):
            assert isinstance(linear, nn.Linear)
            x = self.activation(x, norm.weight, norm.bias)
            if factor is not None and i == len(self.norms) - 1:
                # before the last and largest product, whose rows are many times as long
                W = torch.cat([linear.weight, linear.bias.unsqueeze(1)], dim=1)
                return product(torch.cat([x * factor, factor], dim=1), W.T, in_tf32=self.in_tf32)
            x = product(x, linear.weight.T, linear.bias, in_tf32=self.in_tf32)
        return x if factor is None else x * factor


def transform_of(config: ModelConfig) -> nn.Module | None:
    """The distance transform that a configuration names."""
    kinds = {"agnesi": AgnesiTransform, "soft": SoftTransform}
    return kinds[config.transform]() if config.transform in kinds else None


def basis_of(config: ModelConfig) -> nn.Module:
    """The radial basis that a configuration names."""
    if config.radial_functions == "gaussian":
        return GaussianBasis(config.cutoff, config.radial_basis)
    if config.radial_functions == "chebyshev":
        return ChebyshevBasis(config.radial_basis)
    return BesselBasis(config.cutoff, config.radial_basis)
