"""Products with one matrix per group of rows, such as the weights of each element."""

from __future__ import annotations

import torch
from torch import Tensor

from crossfield.kernels.product import product


def grouped_product(x: Tensor, weights: Tensor, group: Tensor, *, in_tf32: bool = False) -> Tensor:
    """Multiply every row by the matrix of its group.

    Args:
        x: (N, M, C_in).
        weights: (G, C_in, C_out).
        group: (N,) index of the matrix.
        in_tf32: as of `product`.

    Returns:
        (N, M, C_out).
    """
    order = group.argsort(stable=True)
    sizes = torch.bincount(group, minlength=weights.shape[0]).tolist()
    parts = x.index_select(0, order).split(sizes)
    pairs = zip(parts, weights.unbind(0), strict=True)
    products = [product(part, w, in_tf32=in_tf32) for part, w in pairs if part.shape[0]]
    if not products:
        return x.new_zeros(0, x.shape[1], weights.shape[2])
    return torch.cat(products).index_select(0, order.argsort())
