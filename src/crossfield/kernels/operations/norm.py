"""Layer normalisation and SiLU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from crossfield.kernels.formulas.norm import EPSILON
from crossfield.kernels.operations import interface
from crossfield.kernels.operations.common import alike, by_torch, save, tangents
from crossfield.kernels.operations.interface import Four, Three


@torch.library.custom_op("crossfield::norm_silu", mutates_args=())
def norm_silu(x: Tensor, scale: Tensor, shift: Tensor, backend: str) -> Tensor:
    """SiLU of normalised rows x (E, width), with scale and shift (width,)."""
    x, scale, shift = alike(x, scale, shift)
    return interface.of(backend).norm(x, scale, shift)


@torch.library.custom_op("crossfield::norm_silu_backward", mutates_args=())
def norm_silu_backward(g: Tensor, x: Tensor, scale: Tensor, shift: Tensor, backend: str) -> Three:
    """Gradients by x, scale and shift from that by the result, g."""
    g, x, scale, shift = alike(g, x, scale, shift)
    return interface.of(backend).norm_backward(g, x, scale, shift)[:3]


@torch.library.custom_op("crossfield::norm_silu_tangent", mutates_args=())
def norm_silu_tangent(
    vx: Tensor,
    vscale: Tensor,
    vshift: Tensor,
    g: Tensor,
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    backend: str,
) -> Four:
    """Change of the result, and of the gradients, as x, scale and shift move along vx, vscale and vshift."""
    *moving, g, x, scale, shift = alike(vx, vscale, vshift, g, x, scale, shift)
    gx, gscale, gshift, y = interface.of(backend).norm_backward(g, x, scale, shift, moving)
    return y, gx, gscale, gshift


def _norm_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return (*norm_silu_backward(g, *ctx.saved_tensors, *ctx.constants), None)


def _norm_second(ctx: Any, *moving: Tensor) -> tuple[Tensor | None, ...]:
    return (*norm_silu_tangent(*moving, *ctx.saved_tensors, *ctx.constants), None)


def _norm_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    # written out: torch's own layer_norm is wrong from its third derivative on
    def plain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
        return functional.silu(centred * (variance + EPSILON).rsqrt() * scale + shift)

    def function(*given: Tensor) -> tuple[Tensor, ...]:
        return tangents(plain, given[4:], given[:3], given[3])

    return (*by_torch(ctx.saved_tensors, function, cotangents), None)


norm_silu.register_autograd(_norm_gradient, setup_context=save)
norm_silu_backward.register_autograd(_norm_second, setup_context=save)
norm_silu_tangent.register_autograd(_norm_third, setup_context=save)


@norm_silu.register_fake
def _(x: Tensor, scale: Tensor, shift: Tensor, backend: str) -> Tensor:
    return torch.empty_like(x)


@norm_silu_backward.register_fake
def _(g: Tensor, x: Tensor, scale: Tensor, shift: Tensor, backend: str) -> Three:
    return torch.empty_like(x), torch.empty_like(scale), torch.empty_like(shift)


@norm_silu_tangent.register_fake
def _(vx: Tensor, vscale: Tensor, vshift: Tensor, g: Tensor, x: Tensor, scale: Tensor, *rest: Any) -> Four:
    return torch.empty_like(x), torch.empty_like(x), torch.empty_like(scale), torch.empty_like(scale)
