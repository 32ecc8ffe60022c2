"""The gate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from crossfield.kernels.gate import SIGMOID_SCALE, SILU_SCALE
from crossfield.kernels.native import pointwise, pool
from crossfield.kernels.native.operations.common import (
    Write,
    by_torch,
    checked,
    compiled,
    contiguous,
    ones,
    save,
    tangents,
)

SCALES = (SILU_SCALE, SIGMOID_SCALE)


@torch.library.custom_op("crossfield::gate", mutates_args=())
def gate(x: Tensor, l_max: int) -> Tensor:
    """SiLU on scalars, and every other l times the logistic function of scalars of its own.

    Args:
        x: (N, rows, C): scalars, gates of l = 1, 2, ..., and components of l = 1, 2, ...
        l_max: highest l.

    Returns:
        (N, components, C).
    """
    write = Write(pointwise.gate, l_max=l_max, channels=x.shape[2], scales=SCALES)
    kernel, x = compiled(pointwise.GATE, checked(x), write), x.contiguous()
    y = x.new_empty(len(x), (l_max + 1) ** 2, x.shape[2])
    pool.share(ones(x), lambda part, begin, end: kernel(begin, end, x.data_ptr(), y.data_ptr()))
    return y


@torch.library.custom_op("crossfield::gate_backward", mutates_args=())
def gate_backward(g: Tensor, x: Tensor, l_max: int) -> Tensor:
    """The gradient by x from that by the result, g."""
    write = Write(pointwise.gate_reverse, l_max=l_max, channels=x.shape[2], scales=SCALES)
    kernel = compiled(pointwise.GATE_REVERSE, checked(g, x), write)
    g, x = contiguous(g, x)
    gx = torch.empty_like(x)
    places = [t.data_ptr() for t in (x, g, gx)]
    pool.share(ones(x), lambda part, begin, end: kernel(begin, end, *places))
    return gx


@torch.library.custom_op("crossfield::gate_tangent", mutates_args=())
def gate_tangent(v: Tensor, g: Tensor, x: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    """Change of the result, and of the gradient by x, as x moves along v."""
    write = Write(pointwise.gate_reverse, l_max=l_max, channels=x.shape[2], scales=SCALES, tangent=True)
    kernel = compiled(pointwise.GATE_TANGENT, checked(v, g, x), write)
    v, g, x = contiguous(v, g, x)
    gx, y = torch.empty_like(x), torch.empty_like(g)
    places = [t.data_ptr() for t in (x, g, gx, v, y)]
    pool.share(ones(x), lambda part, begin, end: kernel(begin, end, *places))
    return y, gx


def _gate_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return gate_backward(g, *ctx.saved_tensors, *ctx.constants), None


def _gate_second(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
    return (*gate_tangent(v, *ctx.saved_tensors, *ctx.constants), None)


gate.register_autograd(_gate_gradient, setup_context=save)
gate_backward.register_autograd(_gate_second, setup_context=save)


def _gate_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    (l_max,) = ctx.constants

    def plain(x: Tensor) -> Tensor:
        scalars, gates, others = x.split([1, l_max, (l_max + 1) ** 2 - 1], dim=1)
        sizes = torch.tensor([2 * l + 1 for l in range(1, l_max + 1)], dtype=torch.int64)
        spread = gates.repeat_interleave(sizes, dim=1)
        return torch.cat([functional.silu(scalars) * SCALES[0], others * spread.sigmoid() * SCALES[1]], dim=1)

    def function(v: Tensor, g: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        return tangents(plain, (x,), (v,), g)

    return (*by_torch(ctx.saved_tensors, function, cotangents), None)


gate_tangent.register_autograd(_gate_third, setup_context=save)


@gate.register_fake
def _(x: Tensor, l_max: int) -> Tensor:
    return x.new_empty(len(x), (l_max + 1) ** 2, x.shape[2])


@gate_backward.register_fake
def _(g: Tensor, x: Tensor, l_max: int) -> Tensor:
    return torch.empty_like(x)


@gate_tangent.register_fake
def _(v: Tensor, g: Tensor, x: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(g), torch.empty_like(x)
