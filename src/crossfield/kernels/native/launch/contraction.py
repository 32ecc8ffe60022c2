"""The symmetric contraction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossfield.kernels.formulas.contraction import Contraction
from crossfield.kernels.native import contraction, pool
from crossfield.kernels.native.launch.common import compiled, ones
from crossfield.kernels.operations.interface import Three
from crossfield.kernels.writing import Write


def contract(c: Contraction, A: Tensor, w: Tensor, group: Tensor) -> Tensor:
    """See `interface.Contract`."""
    kernel = compiled(contraction.FORWARD, A.dtype, Write(contraction.forward, c=c))
    B = A.new_empty(len(A), c.rows_out, c.channels)

    def work(part: int, begin: int, end: int) -> None:
        kernel(begin, end, A.data_ptr(), group.data_ptr(), w.data_ptr(), B.data_ptr())

    pool.share(ones(A), work)
    return B


def contract_backward(
    c: Contraction, g: Tensor, A: Tensor, w: Tensor, group: Tensor, moving: Sequence[Tensor] = ()
) -> Three:
    """See `interface.ContractBackward`."""
    arguments = contraction.TANGENT if moving else contraction.TRAINING
    kernel = compiled(arguments, A.dtype, Write(contraction.training, c=c, tangent=bool(moving)))
    parts = pool.cut(ones(A), max(1, min(pool.threads(), len(A))))
    gA, gw = torch.empty_like(A), w.new_zeros(len(parts), *w.shape)
    B = torch.empty_like(g) if moving else g.new_empty(0)
    extra = [x.data_ptr() for x in (*moving, B)] if moving else []

    def work(part: int) -> None:
        kernel(
            *(*parts[part], A.data_ptr(), group.data_ptr(), w.data_ptr(), g.data_ptr()),
            *(gA.data_ptr(), gw[part].data_ptr(), *extra),
        )

    pool.run(work, len(parts) if len(A) else 0)
    return gA, gw.sum(dim=0), B
