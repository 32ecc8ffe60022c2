"""Spherical harmonics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from crossfield.kernels.native import harmonics
from crossfield.kernels.native.operations.common import (
    Write,
    beyond,
    by_torch,
    checked,
    compiled,
    save,
    tangents,
)


@torch.library.custom_op("crossfield::harmonics", mutates_args=())
def spherical(unit: Tensor, l_max: int) -> Tensor:
    """Harmonics (components, E) of unit vectors (3, E)."""
    kernel = compiled(harmonics.FORWARD, checked(unit), Write(harmonics.forward, l_max=l_max))
    edges, unit = unit.shape[1], beyond(unit)
    Y = unit.new_empty((l_max + 1) ** 2, unit.shape[1])
    kernel(edges, unit.shape[1], unit.data_ptr(), Y.data_ptr())
    return Y[:, :edges].contiguous()


@torch.library.custom_op("crossfield::harmonics_backward", mutates_args=())
def spherical_backward(g: Tensor, unit: Tensor, l_max: int) -> Tensor:
    """The gradient by unit vectors from that by the harmonics, g."""
    kernel = compiled(
        harmonics.BACKWARD, checked(g, unit), Write(harmonics.backward, l_max=l_max, tangent=False)
    )
    edges, unit, g = unit.shape[1], beyond(unit), beyond(g)
    gunit = torch.empty_like(unit)
    kernel(edges, unit.shape[1], unit.data_ptr(), g.data_ptr(), gunit.data_ptr())
    return gunit[:, :edges].contiguous()


@torch.library.custom_op("crossfield::harmonics_tangent", mutates_args=())
def spherical_tangent(v: Tensor, g: Tensor, unit: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    """Change of the harmonics, and of the gradient by the unit vectors, as these move along v."""
    kernel = compiled(
        harmonics.TANGENT, checked(v, g, unit), Write(harmonics.backward, l_max=l_max, tangent=True)
    )
    edges, unit, g, v = unit.shape[1], beyond(unit), beyond(g), beyond(v)
    gunit, vY = torch.empty_like(unit), torch.empty_like(g)
    kernel(
        *(edges, unit.shape[1], unit.data_ptr(), g.data_ptr(), gunit.data_ptr()),
        *(v.data_ptr(), vY.data_ptr()),
    )
    return vY[:, :edges].contiguous(), gunit[:, :edges].contiguous()


def _spherical_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return spherical_backward(g, *ctx.saved_tensors, *ctx.constants), None


def _spherical_second(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
    return (*spherical_tangent(v, *ctx.saved_tensors, *ctx.constants), None)


spherical.register_autograd(_spherical_gradient, setup_context=save)
spherical_backward.register_autograd(_spherical_second, setup_context=save)


def _spherical_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    def function(v: Tensor, g: Tensor, unit: Tensor) -> tuple[Tensor, ...]:
        plain = _plain_harmonics(*ctx.constants, unit.dtype)
        return tangents(plain, (unit,), (v,), g)

    return (*by_torch(ctx.saved_tensors, function, cotangents), None)


@cache
def _plain_harmonics(l_max: int, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    from crossfield.kernels.harmonics import SphericalHarmonics

    module = SphericalHarmonics(l_max).to(dtype)
    return lambda unit: torch.cat(module(unit.T), dim=1).T


spherical_tangent.register_autograd(_spherical_third, setup_context=save)


@spherical.register_fake
def _(unit: Tensor, l_max: int) -> Tensor:
    return unit.new_empty((l_max + 1) ** 2, unit.shape[1])


@spherical_backward.register_fake
def _(g: Tensor, unit: Tensor, l_max: int) -> Tensor:
    return torch.empty_like(unit)


@spherical_tangent.register_fake
def _(v: Tensor, g: Tensor, unit: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(g), torch.empty_like(unit)
