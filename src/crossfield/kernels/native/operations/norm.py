"""Layer normalisation and SiLU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crossfield.kernels.native import norm, pool
from crossfield.kernels.native.operations.common import (
    Four,
    Three,
    Write,
    by_torch,
    checked,
    compiled,
    contiguous,
    save,
    tangents,
)


@torch.library.custom_op("crossfield::norm_silu", mutates_args=())
def norm_silu(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """SiLU of normalised rows x (E, width), with scale and shift (width,)."""
    dtype, width = checked(x, scale, shift), x.shape[1]
    kernel = compiled(norm.FORWARD, dtype, Write(norm.forward, width=width))
    x, scale, shift = contiguous(x, scale, shift)
    y = torch.empty_like(x)

    def work(part: int, begin: int, end: int) -> None:
        kernel(begin, end, x.data_ptr(), scale.data_ptr(), shift.data_ptr(), y.data_ptr())

    pool.share(np.ones(len(x), dtype=np.int64), work)
    return y


@torch.library.custom_op("crossfield::norm_silu_backward", mutates_args=())
def norm_silu_backward(g: Tensor, x: Tensor, scale: Tensor, shift: Tensor) -> Three:
    """Gradients by x, scale and shift from that by the result, g."""
    return _norm_backward(norm.BACKWARD, (), g, x, scale, shift)[:3]


@torch.library.custom_op("crossfield::norm_silu_tangent", mutates_args=())
def norm_silu_tangent(
    vx: Tensor, vscale: Tensor, vshift: Tensor, g: Tensor, x: Tensor, scale: Tensor, shift: Tensor
) -> Four:
    """Change of the result, and of the gradients, as x, scale and shift move along vx, vscale and vshift."""
    gx, gscale, gshift, y = _norm_backward(norm.TANGENT, (vx, vscale, vshift), g, x, scale, shift)
    return y, gx, gscale, gshift


def _norm_backward(
    arguments: tuple[str, ...], moving: Sequence[Tensor], g: Tensor, x: Tensor, scale: Tensor, shift: Tensor
) -> Four:
    dtype, width = checked(g, x, scale, shift, *moving), x.shape[1]
    kernel = compiled(arguments, dtype, Write(norm.backward, width=width, tangent=bool(moving)))
    g, x, scale, shift, *moving = contiguous(g, x, scale, shift, *moving)
    parts = pool.cut(np.ones(len(x), dtype=np.int64), max(1, min(pool.threads(), len(x))))
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


def _norm_gradient(ctx: Any, g: Tensor) -> tuple[Tensor, ...]:
    return norm_silu_backward(g, *ctx.saved_tensors)


def _norm_second(ctx: Any, *moving: Tensor) -> tuple[Tensor, ...]:
    return norm_silu_tangent(*moving, *ctx.saved_tensors)


norm_silu.register_autograd(_norm_gradient, setup_context=save)
norm_silu_backward.register_autograd(_norm_second, setup_context=save)


def _norm_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, ...]:
    # written out: torch's own layer_norm is wrong from its third derivative on
    def plain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
        return functional.silu(centred * (variance + norm.EPSILON).rsqrt() * scale + shift)

    def function(*given: Tensor) -> tuple[Tensor, ...]:
        return tangents(plain, given[4:], given[:3], given[3])

    return by_torch(ctx.saved_tensors, function, cotangents)


norm_silu_tangent.register_autograd(_norm_third, setup_context=save)


@norm_silu.register_fake
def _(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.empty_like(x)


@norm_silu_backward.register_fake
def _(g: Tensor, x: Tensor, scale: Tensor, shift: Tensor) -> Three:
    return torch.empty_like(x), torch.empty_like(scale), torch.empty_like(shift)


@norm_silu_tangent.register_fake
def _(vx: Tensor, vscale: Tensor, vshift: Tensor, g: Tensor, x: Tensor, scale: Tensor, shift: Tensor) -> Four:
    return torch.empty_like(x), torch.empty_like(x), torch.empty_like(scale), torch.empty_like(shift)
