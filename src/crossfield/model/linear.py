"""Equivariant linear maps: channels mix within one l."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossfield.algebra import Irreps


class Linear(nn.Module):
    """Mix the channels of every l separately, without bias, scaled by 1/sqrt(fan-in).

    An l of the output that the input lacks is zero.
    """

    def __init__(self, irreps_in: Irreps, irreps_out: Irreps) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(n_in, n_out))
            for n_in, n_out in zip(irreps_in.channels, irreps_out.channels, strict=False)
        )

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Per l (N, 2l+1, C_in) to per l (N, 2l+1, C_out)."""
        out = [x_l @ (w * w.shape[0] ** -0.5) for x_l, w in zip(x, self.weights, strict=False)]
        for l in range(len(out), len(self.irreps_out.channels)):
            out.append(x[0].new_zeros(x[0].shape[0], 2 * l + 1, self.irreps_out.channels[l]))
        return out
