"""Layer normalisation and SiLU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossfield.kernels.native import norm as code
from crossfield.kernels.native import pool
from crossfield.kernels.native.launch.common import compiled, ones
from crossfield.kernels.operations.interface import Four
from crossfield.kernels.writing import Write


def norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """See `interface.Norm`."""
    kernel = compiled(code.FORWARD, x.dtype, Write(code.forward, width=x.shape[1]))
    y = torch.empty_like(x)

    def work(part: int, begin: int, end: int) -> None:
        kernel(begin, end, x.data_ptr(), scale.data_ptr(), shift.data_ptr(), y.data_ptr())

    pool.share(ones(x), work)
    return y


def norm_backward(g: Tensor, x: Tensor, scale: Tensor, shift: Tensor, moving: Sequence[Tensor] = ()) -> Four:
    """See `interface.NormBackward`."""
    width = x.shape[1]
    arguments = code.TANGENT if moving else code.BACKWARD
    kernel = compiled(arguments, x.dtype, Write(code.backward, width=width, tangent=bool(moving)))
    parts = pool.cut(ones(x), max(1, min(pool.threads(), len(x))))
    gx, sums = torch.empty_like(x), x.new_zeros(len(parts), 2, width)
    y = torch.empty_like(x) if moving else x.new_empty(0)
    extra = [v.data_ptr() for v in (*moving, y)] if moving else []

    def work(part: int) -> None:
        kernel(
            *(*parts[part], x.data_ptr(), scale.data_ptr(), shift.data_ptr(), g.data_ptr(), gx.data_ptr()),
            *(sums[part, 0].data_ptr(), sums[part, 1].data_ptr(), *extra),
        )

    pool.run(work, len(parts) if len(x) else 0)
    gscale, gshift = sums.sum(dim=0).unbind()
    return gx, gscale.clone(), gshift.clone(), y
