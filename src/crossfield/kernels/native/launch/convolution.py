"""The convolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.kernels.connectivity import Edges, Outgoing
from crossfield.kernels.formulas.convolution import Product
from crossfield.kernels.native import pool
from crossfield.kernels.native import tensor_product as product_code
from crossfield.kernels.native.launch.common import beyond, compiled
from crossfield.kernels.operations.interface import Three
from crossfield.kernels.writing import Write


def convolve(
    product: Product, h: Tensor, Y: Tensor, w: Tensor, edges: Edges, moving: Sequence[Tensor] = ()
) -> Tensor:
    """See `interface.Convolve`."""
    arguments = product_code.TRAINING_FORWARD_TANGENT if moving else product_code.TRAINING_FORWARD
    kernel = compiled(arguments, h.dtype, Write(product_code.forward, product=product, tangent=bool(moving)))
    Y, moving = beyond(Y), _beyond(moving)
    sender, first = edges
    m = h.new_empty(len(first) - 1, product.rows_out, product.channels)
    row = m.stride(0) * m.itemsize
    extra = [x.data_ptr() for x in moving]

    def work(part: int, begin: int, end: int) -> None:
        kernel(
            *(first.data_ptr(), begin, end, sender.data_ptr(), h.data_ptr(), Y.data_ptr(), Y.shape[1]),
            *(w.data_ptr(), *extra, m.data_ptr() + begin * row),
        )

    pool.share(_edges_of(first), work)
    return m


def convolve_backward(
    product: Product,
    g: Tensor,
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    edges: Edges,
    out: Outgoing | None,
    moving: Sequence[Tensor] = (),
) -> Three:
    """See `interface.ConvolveBackward`."""
    arguments = product_code.TRAINING_BACKWARD_TANGENT if moving else product_code.TRAINING_BACKWARD
    kernel = compiled(arguments, h.dtype, Write(product_code.reverse, product=product, tangent=bool(moving)))
    count, Y, moving = Y.shape[1], beyond(Y), _beyond(moving)
    sender, first = edges
    extra = [x.data_ptr() for x in moving]
    gY, gw = torch.zeros_like(Y), torch.empty_like(w)
    parts = pool.cut(_edges_of(first), max(1, min(pool.threads(), len(first) - 1)))
    gh = h.new_zeros(len(parts), *h.shape)
    row = g.stride(0) * g.itemsize

    def work(part: int) -> None:
        begin, end = parts[part]
        kernel(
            *(first.data_ptr(), begin, end, sender.data_ptr(), h.data_ptr(), Y.data_ptr(), Y.shape[1]),
            *(w.data_ptr(), *extra, g.data_ptr() + begin * row),
            *(gh[part].data_ptr(), gY.data_ptr(), gw.data_ptr()),
        )

    pool.run(work, len(parts) if len(first) > 1 else 0)
    return gh.sum(dim=0), gY[:, :count].contiguous(), gw


def _beyond(moving: Sequence[Tensor]) -> Sequence[Tensor]:
    return [moving[0], beyond(moving[1]), moving[2]] if moving else []


def _edges_of(first: Tensor) -> NDArray[np.int64]:
    """What a receiver costs: its edges, and a little besides."""
    return first.diff().numpy() + 1
