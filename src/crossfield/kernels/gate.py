"""The gate: scalars decide how much of every other l passes."""

from __future__ import annotations

import torch
from torch import Tensor

from crossfield.kernels.backend import Kernel
from crossfield.kernels.formulas.gate import SIGMOID_SCALE, SILU_SCALE


class Gate(Kernel):
    """Scalars pass SiLU, every other l is multiplied by a sigmoid of scalars of its own; both scaled.

    Args:
        channels: C, of every l.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Gate.

        Args:
            x: per l (N, 2l+1, C); the first, (N, 1, C * (number of l)), holds the scalars and then the gates.

        Returns:
            Per l (N, 2l+1, C).
        """
        if self.backend != "reference":
            from crossfield.kernels.operations import gate

            l_max = len(x) - 1
            rows = [x[0].unflatten(-1, (l_max + 1, self.channels)).squeeze(1), *x[1:]]
            y = gate(torch.cat(rows, dim=1), l_max, self.backend)
            return list(y.split([2 * l + 1 for l in range(l_max + 1)], dim=1))
        scalars, *gates = x[0].split(self.channels, dim=-1)  # (N, 1, C) each
        first = torch.nn.functional.silu(scalars) * SILU_SCALE
        others = zip(x[1:], gates, strict=True)
        return [first] + [x_l * (torch.sigmoid(g) * SIGMOID_SCALE) for x_l, g in others]
