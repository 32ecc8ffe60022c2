"""Symmetric contraction: the many-body product of a channel with itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossfield.algebra import symmetric_basis


class SymmetricContraction(nn.Module):
    """B[n, L, c] = sum over degrees and couplings k of weights[k, c] * U_k(A[n, :, c], ..., A[n, :, c]).

    Evaluated as a sparse polynomial: distinct monomials of the (l_max+1)^2 components, times coefficients.

    Args:
        l_max: highest l of the input.
        L_max: highest l of the output.
        correlation: highest degree.
    """

    def __init__(self, l_max: int, L_max: int, correlation: int) -> None:
        super().__init__()
        self.L_max, self.correlation = L_max, correlation
        for L in range(L_max + 1):
            for degree in range(1, correlation + 1):
                basis = symmetric_basis(l_max, L, degree)
                name = f"{L}_{degree}"
                self.register_buffer(f"monomials_{name}", torch.from_numpy(basis.monomials), persistent=False)
                self.register_buffer(
                    f"coefficients_{name}", torch.from_numpy(basis.coefficients), persistent=False
                )

    def sizes(self, L: int) -> list[int]:
        """Number of couplings to L for degrees 1, 2, ...: the layout of the weights."""
        return [
            self.get_buffer(f"coefficients_{L}_{degree}").shape[0]
            for degree in range(1, self.correlation + 1)
        ]

    def forward(self, A: Tensor, weights: list[list[Tensor]]) -> list[Tensor]:
        """Contract.

        Args:
            A: features of all l, joined: (N, (l_max+1)^2, C).
            weights: per L and degree (K, C), or (N, K, C) where they depend on the atom.

        Returns:
            Per L (N, 2L+1, C).
        """
        return [
            sum(
                (self._term(A, L, degree, w) for degree, w in enumerate(weights[L], start=1)),
                start=A.new_zeros(A.shape[0], 2 * L + 1, A.shape[2]),
            )
            for L in range(self.L_max + 1)
        ]

    def _term(self, A: Tensor, L: int, degree: int, w: Tensor) -> Tensor:
        monomials = self.get_buffer(f"monomials_{L}_{degree}")  # (P, degree)
        coefficients = self.get_buffer(f"coefficients_{L}_{degree}")  # (K, 2L+1, P)
        products = A.index_select(1, monomials[:, 0])  # (N, P, C)
        for d in range(1, degree):
            products = products * A.index_select(1, monomials[:, d])
        couplings = torch.matmul(coefficients.flatten(0, 1), products)  # (N, K * (2L+1), C)
        couplings = couplings.unflatten(1, coefficients.shape[:2])
        return (couplings * w.unsqueeze(-2)).sum(dim=1)
