"""Spherical harmonics of edge vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from crossfield.algebra import harmonics
from crossfield.kernels.backend import Kernel


class SphericalHarmonics(Kernel):
    """Real spherical harmonics l = 0..l_max of unit vectors, component-normalised: |Y_l|^2 = 2l+1."""

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max
        for l in range(l_max + 1):
            table = harmonics(l)
            self.register_buffer(f"monomials_{l}", torch.from_numpy(table.monomials), persistent=False)
            self.register_buffer(f"coefficients_{l}", torch.from_numpy(table.coefficients), persistent=False)

    def forward(self, unit: Tensor) -> list[Tensor]:
        """(E, 3) unit vectors to one tensor (E, 2l+1) for each l."""
        if self.backend != "reference":
            from crossfield.kernels.operations import spherical

            Y = spherical(unit.T, self.l_max, self.backend).T
            return [Y[:, l * l : (l + 1) ** 2] for l in range(self.l_max + 1)]
        out = []
        for l in range(self.l_max + 1):
            monomials: Tensor = self.get_buffer(f"monomials_{l}")  # (P, l)
            values = unit.new_ones(unit.shape[0], monomials.shape[0])
            for d in range(l):
                values = values * unit.index_select(1, monomials[:, d])
            out.append(values @ self.get_buffer(f"coefficients_{l}"))
        return out
