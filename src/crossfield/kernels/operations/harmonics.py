"""Spherical harmonics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from crossfield.kernels.operations import interface
from crossfield.kernels.operations.common import alike, by_torch, save, tangents
from crossfield.kernels.operations.interface import Two


@torch.library.custom_op("crossfield::harmonics", mutates_args=())
def spherical(unit: Tensor, l_max: int, backend: str) -> Tensor:
    """Harmonics (components, E) of unit vectors (3, E)."""
    (unit,) = alike(unit)
    return interface.of(backend).harmonics(unit, l_max)


@torch.library.custom_op("crossfield::harmonics_backward", mutates_args=())
def spherical_backward(g: Tensor, unit: Tensor, l_max: int, backend: str) -> Tensor:
    """The gradient by unit vectors from that by the harmonics, g."""
    g, unit = alike(g, unit)
    return interface.of(backend).harmonics_backward(g, unit, l_max)[0]


@torch.library.custom_op("crossfield::harmonics_tangent", mutates_args=())
def spherical_tangent(v: Tensor, g: Tensor, unit: Tensor, l_max: int, backend: str) -> Two:
    """Change of the harmonics, and of the gradient by the unit vectors, as these move along v."""
    v, g, unit = alike(v, g, unit)
    gunit, vY = interface.of(backend).harmonics_backward(g, unit, l_max, v)
    return vY, gunit


def _spherical_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return spherical_backward(g, *ctx.saved_tensors, *ctx.constants), None, None


def _spherical_second(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
    return (*spherical_tangent(v, *ctx.saved_tensors, *ctx.constants), None, None)


def _spherical_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    l_max, _ = ctx.constants

    def function(v: Tensor, g: Tensor, unit: Tensor) -> tuple[Tensor, ...]:
        return tangents(_plain_harmonics(l_max, unit.dtype, unit.device), (unit,), (v,), g)

    return (*by_torch(ctx.saved_tensors, function, cotangents), None, None)


@cache
def _plain_harmonics(l_max: int, dtype: torch.dtype, device: torch.device) -> Callable[[Tensor], Tensor]:
    from crossfield.kernels.harmonics import SphericalHarmonics

    module = SphericalHarmonics(l_max).to(device, dtype)
    return lambda unit: torch.cat(module(unit.T), dim=1).T


spherical.register_autograd(_spherical_gradient, setup_context=save)
spherical_backward.register_autograd(_spherical_second, setup_context=save)
spherical_tangent.register_autograd(_spherical_third, setup_context=save)


@spherical.register_fake
def _(unit: Tensor, l_max: int, backend: str) -> Tensor:
    return unit.new_empty((l_max + 1) ** 2, unit.shape[1])


@spherical_backward.register_fake
def _(g: Tensor, unit: Tensor, l_max: int, backend: str) -> Tensor:
    return torch.empty_like(unit)


@spherical_tangent.register_fake
def _(v: Tensor, g: Tensor, unit: Tensor, l_max: int, backend: str) -> Two:
    return torch.empty_like(g), torch.empty_like(unit)
