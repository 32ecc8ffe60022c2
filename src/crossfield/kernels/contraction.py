"""Symmetric contraction: the many-body product of a channel with itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from crossfield.algebra import SymmetricBasis, symmetric_basis
from crossfield.kernels.backend import Kernel


class SymmetricContraction(Kernel):
    """B[n, L, c] = sum over degrees and couplings k of weights[L][k, c] * U_k(A[n, :, c], ..., A[n, :, c]).

    Evaluated as a sparse polynomial: the distinct monomials of the (l_max+1)^2 components of a channel, each
    formed from a shorter one, times a table of coefficients.

    Args:
        l_max: highest l of the input.
        L_max: highest l of the output.
        correlation: highest degree.

    Attributes:
        sizes: per L, the number of couplings of degree 1, 2, ...; weights list them in this order.
    """

    def __init__(self, l_max: int, L_max: int, correlation: int) -> None:
        super().__init__()
        self.l_max, self.L_max, self.correlation = l_max, L_max, correlation
        bases = [[symmetric_basis(l_max, L, d) for d in range(1, correlation + 1)] for L in range(L_max + 1)]
        self.sizes = [[basis.size for basis in degrees] for degrees in bases]

        monomials = _monomials([b for degrees in bases for b in degrees], (l_max + 1) ** 2, correlation)
        for d in range(2, correlation + 1):
            shorter = [monomials[d - 1][key[:-1]] for key in monomials[d]]
            self.register_buffer(f"shorter_{d}", torch.tensor(shorter), persistent=False)
            self.register_buffer(f"last_{d}", torch.tensor([k[-1] for k in monomials[d]]), persistent=False)

        column: dict[tuple[int, ...], int] = {}
        total = 0
        for positions in monomials[1:]:
            column |= {key: total + p for key, p in positions.items()}
            total += len(positions)
        for L, degrees in enumerate(bases):
            table = np.zeros((sum(self.sizes[L]), 2 * L + 1, total))
            row = 0
            for basis in degrees:
                columns = [column[tuple(m)] for m in basis.monomials.tolist()]
                table[row : row + basis.size, :, columns] = basis.coefficients
                row += basis.size
            self.register_buffer(f"coefficients_{L}", torch.from_numpy(table), persistent=False)

    def forward(self, A: Tensor, weights: Sequence[Tensor], group: Tensor) -> list[Tensor]:
        """Contract.

        Args:
            A: features of all l, joined: (N, (l_max+1)^2, C).
            weights: per L (groups, K, C); K runs over `sizes`.
            group: (N,) which weights an atom has; ignored where there is one group.

        Returns:
            Per L (N, 2L+1, C).
        """
        if self.backend != "reference":
            from crossfield.kernels.operations import contract

            w = torch.cat(list(weights), dim=1)
            group = group if len(w) > 1 else torch.zeros_like(group)
            B = contract(A, w, group, [self.l_max, self.L_max, self.correlation], self.backend)
            return list(B.split([2 * L + 1 for L in range(self.L_max + 1)], dim=1))
        products = [A]
        for d in range(2, self.correlation + 1):
            shorter = products[-1].index_select(1, self.get_buffer(f"shorter_{d}"))
            products.append(shorter * A.index_select(1, self.get_buffer(f"last_{d}")))
        all_products = torch.cat(products, dim=1)  # (N, P, C)
        out = []
        for L, w in enumerate(weights):
            table = self.get_buffer(f"coefficients_{L}")  # (K, 2L+1, P)
            couplings = torch.matmul(table.flatten(0, 1), all_products).unflatten(1, table.shape[:2])
            chosen = w.index_select(0, group) if len(w) > 1 else w[0]  # (N, K, C) or (K, C)
            out.append((couplings * chosen.unsqueeze(-2)).sum(dim=1))
        return out


def _monomials(
    bases: list[SymmetricBasis], components: int, correlation: int
) -> list[dict[tuple[int, ...], int]]:
    """Per degree, the monomials that the bases use or that longer ones grow from, with their positions."""
    needed: list[set[tuple[int, ...]]] = [set() for _ in range(correlation + 1)]
    needed[1] = {(i,) for i in range(components)}
    for basis in bases:
        for row in basis.monomials.tolist():
            for d in range(2, len(row) + 1):
                needed[d].add(tuple(row[:d]))
    return [{key: p for p, key in enumerate(sorted(keys))} for keys in needed]
