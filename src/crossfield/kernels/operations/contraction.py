"""The symmetric contraction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from crossfield.kernels.formulas.contraction import Contraction
from crossfield.kernels.operations import interface
from crossfield.kernels.operations.common import alike, by_torch, save, tangents
from crossfield.kernels.operations.interface import Three, Two


@torch.library.custom_op("crossfield::contraction", mutates_args=())
def contract(A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int], backend: str) -> Tensor:
    """Symmetric contraction of every atom's features with themselves.

    Args:
        A: (N, components, C).
        w: (groups, couplings, C).
        group: (N,) index of the weights.
        sizes: l_max, L_max and correlation.
        backend: whose code runs.

    Returns:
        (N, components, C).
    """
    A, w = alike(A, w)
    return interface.of(backend).contract(_checked(A, w, group, sizes), A, w, group.contiguous())


@torch.library.custom_op("crossfield::contraction_backward", mutates_args=())
def contract_backward(
    g: Tensor, A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int], backend: str
) -> Two:
    """Gradients by A and w from that by the result, g."""
    g, A, w = alike(g, A, w)
    c = _checked(A, w, group, sizes)
    gA, gw, _ = interface.of(backend).contract_backward(c, g, A, w, group.contiguous())
    return gA, gw


@torch.library.custom_op("crossfield::contraction_tangent", mutates_args=())
def contract_tangent(
    vA: Tensor,
    vw: Tensor,
    g: Tensor,
    A: Tensor,
    w: Tensor,
    group: Tensor,
    sizes: Sequence[int],
    backend: str,
) -> Three:
    """Change of the result, and of the gradients by A and w, as these move along vA and vw."""
    vA, vw, g, A, w = alike(vA, vw, g, A, w)
    c = _checked(A, w, group, sizes)
    gA, gw, B = interface.of(backend).contract_backward(c, g, A, w, group.contiguous(), (vA, vw))
    return B, gA, gw


def _checked(A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]) -> Contraction:
    l_max, L_max, correlation = sizes
    c = Contraction(l_max, L_max, correlation, A.shape[2])
    if A.shape[1] != c.rows_in or tuple(w.shape[1:]) != (c.couplings, c.channels):
        raise ValueError(f"features {tuple(A.shape)} and weights {tuple(w.shape)} do not fit {c}")
    if group.dtype != torch.int64 or len(group) != len(A):
        raise ValueError("every atom needs the index of its weights, int64")
    if group.device.type == "cpu" and len(group) and not bool((group.min() >= 0) & (group.max() < len(w))):
        raise ValueError("an index of weights that are not there")
    return c


def _contract_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return (*contract_backward(g, *ctx.saved_tensors, *ctx.constants), None, None, None)


def _contract_second(ctx: Any, vA: Tensor, vw: Tensor) -> tuple[Tensor | None, ...]:
    return (*contract_tangent(vA, vw, *ctx.saved_tensors, *ctx.constants), None, None, None)


def _contract_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, group = ctx.saved_tensors
    sizes, _ = ctx.constants

    def function(vA: Tensor, vw: Tensor, g: Tensor, A: Tensor, w: Tensor) -> tuple[Tensor, ...]:
        plain = _plain_contraction(tuple(sizes), A.dtype, A.device)
        return tangents(lambda A, w: plain(A, w, group), (A, w), (vA, vw), g)

    return (*by_torch(tensors, function, cotangents), None, None, None)


@cache
def _plain_contraction(
    sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Callable[..., Tensor]:
    from crossfield.kernels.contraction import SymmetricContraction

    module = SymmetricContraction(*sizes).to(device, dtype)
    couplings = [sum(size) for size in module.sizes]
    return lambda A, w, group: torch.cat(module(A, w.split(couplings, dim=1), group), dim=1)


contract.register_autograd(_contract_gradient, setup_context=save)
contract_backward.register_autograd(_contract_second, setup_context=save)
contract_tangent.register_autograd(_contract_third, setup_context=save)


@contract.register_fake
def _(A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int], backend: str) -> Tensor:
    return A.new_empty(len(A), (sizes[1] + 1) ** 2, A.shape[2])


@contract_backward.register_fake
def _(g: Tensor, A: Tensor, w: Tensor, *rest: Any) -> Two:
    return torch.empty_like(A), torch.empty_like(w)


@contract_tangent.register_fake
def _(vA: Tensor, vw: Tensor, g: Tensor, A: Tensor, w: Tensor, *rest: Any) -> Three:
    return torch.empty_like(g), torch.empty_like(A), torch.empty_like(w)
