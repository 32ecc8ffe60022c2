"""Product basis: many-body features from products of the atom's own message."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossfield.algebra import Irreps
from crossfield.kernels import SymmetricContraction
from crossfield.model.config import ModelConfig
from crossfield.model.initial import normal_couplings
from crossfield.model.linear import Linear


class ProductBasis(nn.Module):
    """B = symmetric contractions of A up to the correlation order; h' = Linear(B) + skip, if there is one.

    Weights are (elements or 1, couplings, channels) for each output L.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        L_out, correlation = config.hidden_L(layer), config.correlations[layer]
        rows = len(config.elements) if config.product_per_element else 1
        self.contraction = SymmetricContraction(config.l_max, L_out, correlation)
        self.weights = nn.ParameterList(
            nn.Parameter(normal_couplings(rows, sizes, config.channels)) for sizes in self.contraction.sizes
        )
        out = Irreps.uniform(config.channels, L_out)
        self.linear = Linear(out, out)

    def forward(self, A: list[Tensor], skip: list[Tensor] | None, element: Tensor) -> list[Tensor]:
        """A per l (N, 2l+1, C), skip per L (N, 2L+1, C), element index (N,) to new features per L."""
        B = self.contraction(torch.cat(A, dim=1), list(self.weights), element)
        h = self.linear(B)
        return h if skip is None else [h_l + skip_l for h_l, skip_l in zip(h, skip, strict=True)]
