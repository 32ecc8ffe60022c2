"""Ziegler-Biersack-Littmark repulsion at short range."""

from __future__ import annotations

import torch
from ase.data import covalent_radii
from torch import Tensor, nn

from crossfield.kernels import segment_sum
from crossfield.model.radial import polynomial_cutoff


class ZBLRepulsion(nn.Module):
    """Screened nuclear repulsion, cut off smoothly at the sum of the covalent radii.

    Half of the energy of an edge goes to its receiver; the reverse edge gives the other half.
    """

    screening = ((0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4028), (0.02817, 0.2016))
    coulomb = 14.3996  # e^2 / (4 pi eps0), eV Å
    prefactor = 0.4543
    length = prefactor * 0.529  # Å
    exponent = 0.3

    def __init__(self, power: int) -> None:
        super().__init__()
        self.power = power
        self.register_buffer("radii", torch.from_numpy(covalent_radii.copy()), persistent=False)

    def forward(self, d: Tensor, Z: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
        """Energy of each atom, (N,) eV, from edge lengths (E,) Å and atomic numbers (N,)."""
        return segment_sum(self.edges(d, Z, sender, receiver), receiver, Z.shape[0])

    def edges(self, d: Tensor, Z: Tensor, sender: Tensor, receiver: Tensor) -> Tensor:
        """Half of the energy of each edge, (E,) eV."""
        Z_s, Z_r = Z[sender], Z[receiver]
        z_s, z_r = Z_s.to(d.dtype), Z_r.to(d.dtype)
        x = d * (z_s**self.exponent + z_r**self.exponent) / self.length
        phi = torch.stack([c * torch.exp(-b * x) for c, b in self.screening]).sum(dim=0)
        radii = self.get_buffer("radii")
        envelope = polynomial_cutoff(d, radii[Z_s] + radii[Z_r], self.power)
        return 0.5 * self.coulomb * z_s * z_r / d * phi * envelope
