"""The symmetric contraction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossfield.kernels.native import contraction, pool
from crossfield.kernels.native.operations.common import (
    Three,
    Write,
    by_torch,
    checked,
    compiled,
    contiguous,
    save,
    tangents,
)


@torch.library.custom_op("crossfield::contraction", mutates_args=())
def contract(A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]) -> Tensor:
    """Symmetric contraction of every atom's features with themselves.

    Args:
        A: (N, components, C).
        w: (groups, couplings, C).
        group: (N,) index of the weights.
        sizes: l_max, L_max and correlation.

    Returns:
        (N, components, C).
    """
    l_max, L_max, correlation = sizes
    c = contraction.Contraction(l_max, L_max, correlation, A.shape[2])
    _check_contraction(c, A, w, group)
    kernel = compiled(contraction.FORWARD, checked(A, w), Write(contraction.forward, c=c))
    A, w, group = contiguous(A, w, group)
    B = A.new_empty(len(A), c.rows_out, c.channels)

    def work(part: int, begin: int, end: int) -> None:
        kernel(begin, end, A.data_ptr(), group.data_ptr(), w.data_ptr(), B.data_ptr())

    pool.share(np.ones(len(A), dtype=np.int64), work)
    return B


def _check_contraction(c: contraction.Contraction, A: Tensor, w: Tensor, group: Tensor) -> None:
    if A.shape[1] != c.rows_in or tuple(w.shape[1:]) != (c.couplings, c.channels):
        raise ValueError(f"features {tuple(A.shape)} and weights {tuple(w.shape)} do not fit {c}")
    if group.dtype != torch.int64 or len(group) != len(A):
        raise ValueError("every atom needs the index of its weights, int64")
    if len(group) and not bool((group.min() >= 0) & (group.max() < len(w))):
        raise ValueError("an index of weights that are not there")


@torch.library.custom_op("crossfield::contraction_backward", mutates_args=())
def contract_backward(
    g: Tensor, A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Gradients by A and w from that by the result, g."""
    gA, gw, _ = _contract_backward(contraction.TRAINING, (), g, A, w, group, sizes)
    return gA, gw


@torch.library.custom_op("crossfield::contraction_tangent", mutates_args=())
def contract_tangent(
    vA: Tensor, vw: Tensor, g: Tensor, A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]
) -> Three:
    """Change of the result, and of the gradients by A and w, as these move along vA and vw."""
    gA, gw, B = _contract_backward(contraction.TANGENT, (vA, vw), g, A, w, group, sizes)
    return B, gA, gw


def _contract_backward(
    arguments: tuple[str, ...],
    moving: Sequence[Tensor],
    g: Tensor,
    A: Tensor,
    w: Tensor,
    group: Tensor,
    sizes: Sequence[int],
) -> Three:
    l_max, L_max, correlation = sizes
    c = contraction.Contraction(l_max, L_max, correlation, A.shape[2])
    dtype = checked(g, A, w, *moving)
    _check_contraction(c, A, w, group)
    kernel = compiled(arguments, dtype, Write(contraction.training, c=c, tangent=bool(moving)))
    g, A, w, group, *moving = contiguous(g, A, w, group, *moving)
    parts = pool.cut(np.ones(len(A), dtype=np.int64), max(1, min(pool.threads(), len(A))))
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


def _contract_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return (*contract_backward(g, *ctx.saved_tensors, *ctx.constants), None, None)


def _contract_second(ctx: Any, vA: Tensor, vw: Tensor) -> tuple[Tensor | None, ...]:
    return (*contract_tangent(vA, vw, *ctx.saved_tensors, *ctx.constants), None, None)


contract.register_autograd(_contract_gradient, setup_context=save)
contract_backward.register_autograd(_contract_second, setup_context=save)


def _contract_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, group = ctx.saved_tensors

    def function(vA: Tensor, vw: Tensor, g: Tensor, A: Tensor, w: Tensor) -> tuple[Tensor, ...]:
        plain = _plain_contraction(tuple(*ctx.constants), A.dtype)
        return tangents(lambda A, w: plain(A, w, group), (A, w), (vA, vw), g)

    return (*by_torch(tensors, function, cotangents), None, None)


@cache
def _plain_contraction(sizes: tuple[int, ...], dtype: torch.dtype) -> Callable[..., Tensor]:
    from crossfield.kernels.contraction import SymmetricContraction

    module = SymmetricContraction(*sizes).to(dtype)
    couplings = [sum(size) for size in module.sizes]
    return lambda A, w, group: torch.cat(module(A, w.split(couplings, dim=1), group), dim=1)


contract_tangent.register_autograd(_contract_third, setup_context=save)


@contract.register_fake
def _(A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]) -> Tensor:
    return A.new_empty(len(A), (sizes[1] + 1) ** 2, A.shape[2])


@contract_backward.register_fake
def _(g: Tensor, A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    return torch.empty_like(A), torch.empty_like(w)


@contract_tangent.register_fake
def _(vA: Tensor, vw: Tensor, g: Tensor, A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]) -> Three:
    return torch.empty_like(g), torch.empty_like(A), torch.empty_like(w)
