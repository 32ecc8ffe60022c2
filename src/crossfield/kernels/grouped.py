"""Products with one matrix per group of rows, such as the weights of each element."""

from __future__ import annotations

import torch
from torch import Tensor


def grouped_matmul(x: Tensor, weights: Tensor, group: Tensor) -> Tensor:
    """Multiply every row by the matrix of its group.

    Args:
        x: (N, M, C_in).
        weights: (G, C_in, C_out).
        group: (N,) index of the matrix.

    Returns:
        (N, M, C_out).
    """
    order = group.argsort(stable=True)
    sizes = torch.bincount(group, minlength=weights.shape[0]).tolist()
    parts = x.index_select(0, order).split(sizes)
    products = [part @ w for part, w in zip(parts, weights.unbind(0), strict=True) if part.shape[0]]
    if not products:
        return x.new_zeros(0, x.shape[1], weights.shape[2])
    return torch.cat(products).index_select(0, order.argsort())
