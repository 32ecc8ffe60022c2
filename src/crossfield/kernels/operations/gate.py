"""The gate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from crossfield.kernels.formulas.gate import SIGMOID_SCALE, SILU_SCALE
from crossfield.kernels.operations import interface
from crossfield.kernels.operations.common import alike, by_torch, save, tangents
from crossfield.kernels.operations.interface import Two


@torch.library.custom_op("crossfield::gate", mutates_args=())
def gate(x: Tensor, l_max: int, backend: str) -> Tensor:
    """SiLU on scalars, and every other l times the logistic function of scalars of its own.

    Args:
        x: (N, rows, C): scalars, gates of l = 1, 2, ..., and components of l = 1, 2, ...
        l_max: highest l.
        backend: whose code runs.

    Returns:
        (N, components, C).
    """
    (x,) = alike(x)
    return interface.of(backend).gate(x, l_max)


@torch.library.custom_op("crossfield::gate_backward", mutates_args=())
def gate_backward(g: Tensor, x: Tensor, l_max: int, backend: str) -> Tensor:
    """The gradient by x from that by the result, g."""
    g, x = alike(g, x)
    return interface.of(backend).gate_backward(g, x, l_max)[0]


@torch.library.custom_op("crossfield::gate_tangent", mutates_args=())
def gate_tangent(v: Tensor, g: Tensor, x: Tensor, l_max: int, backend: str) -> Two:
    """Change of the result, and of the gradient by x, as x moves along v."""
    v, g, x = alike(v, g, x)
    gx, y = interface.of(backend).gate_backward(g, x, l_max, v)
    return y, gx


def _gate_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return gate_backward(g, *ctx.saved_tensors, *ctx.constants), None, None


def _gate_second(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
    return (*gate_tangent(v, *ctx.saved_tensors, *ctx.constants), None, None)


def _gate_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    l_max, _ = ctx.constants

    def plain(x: Tensor) -> Tensor:
        scalars, gates, others = x.split([1, l_max, (l_max + 1) ** 2 - 1], dim=1)
        sizes = torch.tensor([2 * l + 1 for l in range(1, l_max + 1)], dtype=torch.int64, device=x.device)
        spread = gates.repeat_interleave(sizes, dim=1)
        scaled = functional.silu(scalars) * SILU_SCALE
        return torch.cat([scaled, others * spread.sigmoid() * SIGMOID_SCALE], dim=1)

    def function(v: Tensor, g: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        return tangents(plain, (x,), (v,), g)

    return (*by_torch(ctx.saved_tensors, function, cotangents), None, None)


gate.register_autograd(_gate_gradient, setup_context=save)
gate_backward.register_autograd(_gate_second, setup_context=save)
gate_tangent.register_autograd(_gate_third, setup_context=save)


@gate.register_fake
def _(x: Tensor, l_max: int, backend: str) -> Tensor:
    return x.new_empty(len(x), (l_max + 1) ** 2, x.shape[2])


@gate_backward.register_fake
def _(g: Tensor, x: Tensor, l_max: int, backend: str) -> Tensor:
    return torch.empty_like(x)


@gate_tangent.register_fake
def _(v: Tensor, g: Tensor, x: Tensor, l_max: int, backend: str) -> Two:
    return torch.empty_like(g), torch.empty_like(x)
