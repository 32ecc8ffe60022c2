"""The convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.algebra import Path
from crossfield.kernels.native import pool
from crossfield.kernels.native import tensor_product as product
from crossfield.kernels.native.operations.common import (
    Four,
    Three,
    Write,
    beyond,
    checked,
    compiled,
    contiguous,
    save,
)


@torch.library.custom_op("crossfield::convolution", mutates_args=())
def convolution(
    h: Tensor, Y: Tensor, w: Tensor, sender: Tensor, first: Tensor, paths: Sequence[int]
) -> Tensor:
    """Messages, summed at their receivers.

    Args:
        h: (N, components, C) features of the atoms.
        Y: (components, E) harmonics of the edges.
        w: (E, paths, C) radial weights.
        sender: (E,) atom index.
        first: (N+1,) number of each atom's first edge as receiver.
        paths: l1, l2, l3 of each path, one after the other, ordered by l3.

    Returns:
        (N, rows, C), in the order of `Product.row`.
    """
    return _forward(product.TRAINING_FORWARD, h, Y, w, sender, first, paths)


@torch.library.custom_op("crossfield::convolution_backward", mutates_args=())
def convolution_backward(
    g: Tensor, h: Tensor, Y: Tensor, w: Tensor, sender: Tensor, first: Tensor, paths: Sequence[int]
) -> Three:
    """Gradients by h, Y and w from that by the messages, g."""
    return _backward(product.TRAINING_BACKWARD, (), g, h, Y, w, sender, first, paths)


@torch.library.custom_op("crossfield::convolution_tangent", mutates_args=())
def convolution_tangent(
    vh: Tensor,
    vY: Tensor,
    vw: Tensor,
    g: Tensor,
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    sender: Tensor,
    first: Tensor,
    paths: Sequence[int],
) -> Four:
    """Change of the messages, and of the gradients by h, Y and w, as these move along vh, vY and vw."""
    moving = (vh, vY, vw)
    messages = _forward(product.TRAINING_FORWARD_TANGENT, h, Y, w, sender, first, paths, moving)
    gradients = _backward(product.TRAINING_BACKWARD_TANGENT, moving, g, h, Y, w, sender, first, paths)
    return (messages, *gradients)


def _product(paths: Sequence[int], channels: int) -> product.Product:
    triples = [Path(*paths[k : k + 3]) for k in range(0, len(paths), 3)]
    return product.Product(tuple(triples), channels)


def _check(sizes: product.Product, h: Tensor, Y: Tensor, w: Tensor, sender: Tensor, first: Tensor) -> None:
    """Kernels do not look where they read."""
    edges, paths = len(sender), len(sizes.paths)
    shapes = (h.shape[1:], Y.shape, w.shape)
    expected = ((sizes.rows_in, sizes.channels), (sizes.harmonics, edges), (edges, paths, sizes.channels))
    if tuple(map(tuple, shapes)) != expected:
        raise ValueError(f"features, harmonics and weights of shapes {shapes}, not {expected}")
    if sender.dtype != torch.int64 or first.dtype != torch.int64 or int(first[-1]) != edges:
        raise ValueError("indices must be int64, and the last edge must have a receiver")
    if edges and not bool((sender.min() >= 0) & (sender.max() < len(h)) & (first.diff() >= 0).all()):
        raise ValueError("edges must be between atoms, in the order of their receivers")


def _forward(
    arguments: tuple[str, ...],
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    sender: Tensor,
    first: Tensor,
    paths: Sequence[int],
    moving: Sequence[Tensor] = (),
) -> Tensor:
    sizes = _product(paths, h.shape[2])
    dtype = checked(h, Y, w, *moving)
    _check(sizes, h, Y, w, sender, first)
    kernel = compiled(arguments, dtype, Write(product.forward, product=sizes, tangent=bool(moving)))
    h, w, sender, first = contiguous(h, w, sender, first)
    Y = beyond(Y)
    if moving:
        vh, vY, vw = moving
        moving = (vh.contiguous(), beyond(vY), vw.contiguous())
    atoms = len(first) - 1
    m = h.new_empty(atoms, sizes.rows_out, sizes.channels)
    row = m.stride(0) * m.itemsize
    extra = [x.data_ptr() for x in moving]

    def work(part: int, begin: int, end: int) -> None:
        kernel(
            *(first.data_ptr(), begin, end, sender.data_ptr(), h.data_ptr(), Y.data_ptr(), Y.shape[1]),
            *(w.data_ptr(), *extra, m.data_ptr() + begin * row),
        )

    pool.share(_edges_of(first), work)
    return m


def _backward(
    arguments: tuple[str, ...],
    moving: Sequence[Tensor],
    g: Tensor,
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    sender: Tensor,
    first: Tensor,
    paths: Sequence[int],
) -> Three:
    sizes = _product(paths, h.shape[2])
    dtype = checked(g, h, Y, w, *moving)
    _check(sizes, h, Y, w, sender, first)
    kernel = compiled(arguments, dtype, Write(product.reverse, product=sizes, tangent=bool(moving)))
    g, h, w, sender, first = contiguous(g, h, w, sender, first)
    edges, Y = Y.shape[1], beyond(Y)
    if moving:
        vh, vY, vw = moving
        moving = (vh.contiguous(), beyond(vY), vw.contiguous())
    extra = [x.data_ptr() for x in moving]
    gY, gw = torch.zeros_like(Y), torch.empty_like(w)
    parts = pool.cut(_edges_of(first), max(1, min(pool.threads(), len(first) - 1)))
    gh = h.new_zeros(len(parts), *h.shape)
    row = g.stride(0) * g.itemsize

    def work(part: int) -> None:
        begin, end = parts[part]
        kernel(
            *(first.data_ptr(), begin, end, sender.data_ptr(), h.data_ptr(), Y.data_ptr(), Y.shape[1]),
            *(w.data_ptr(), *extra, g.data_ptr() + begin * row),
            *(gh[part].data_ptr(), gY.data_ptr(), gw.data_ptr()),
        )

    pool.run(work, len(parts) if len(first) > 1 else 0)
    return gh.sum(dim=0), gY[:, :edges].contiguous(), gw


def _edges_of(first: Tensor) -> NDArray[np.int64]:
    """What a receiver costs: its edges, and a little besides."""
    return first.diff().numpy() + 1


def _convolution_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    h, Y, w, sender, first = ctx.saved_tensors
    return (*convolution_backward(g, h, Y, w, sender, first, *ctx.constants), None, None, None)


def _convolution_second(ctx: Any, vh: Tensor, vY: Tensor, vw: Tensor) -> tuple[Tensor | None, ...]:
    found = convolution_tangent(vh, vY, vw, *ctx.saved_tensors, *ctx.constants)
    return (*found, None, None, None)


def _convolution_third(ctx: Any, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor | None, ...]:
    """The tangent is a sum of terms linear in features, harmonics, weights and g; so are its gradients."""
    vh, vY, vw, g, h, Y, w, sender, first = ctx.saved_tensors
    value = {"vh": vh, "vY": vY, "vw": vw, "g": g, "h": h, "Y": Y, "w": w, "a": a, "b": b, "c": c, "d": d}
    terms = (
        ("vh", "Y", "w", "a"),
        ("h", "vY", "w", "a"),
        ("h", "Y", "vw", "a"),
        ("b", "vY", "w", "g"),
        ("b", "Y", "vw", "g"),
        ("vh", "c", "w", "g"),
        ("h", "c", "vw", "g"),
        ("vh", "Y", "d", "g"),
        ("h", "vY", "d", "g"),
    )
    total: dict[str, Tensor] = {}
    for names in terms:
        x, y, z, q = (value[name] for name in names)
        gradients = convolution_backward(q, x, y, z, sender, first, *ctx.constants)
        messages = convolution(x, y, z, sender, first, *ctx.constants)
        for name, found in zip(names, (*gradients, messages), strict=True):
            total[name] = total[name] + found if name in total else found
    return (*(total[name] for name in ("vh", "vY", "vw", "g", "h", "Y", "w")), None, None, None)


convolution.register_autograd(_convolution_gradient, setup_context=save)
convolution_backward.register_autograd(_convolution_second, setup_context=save)
convolution_tangent.register_autograd(_convolution_third, setup_context=save)


@convolution.register_fake
def _(h: Tensor, Y: Tensor, w: Tensor, sender: Tensor, first: Tensor, paths: Sequence[int]) -> Tensor:
    return h.new_empty(len(first) - 1, _product(paths, h.shape[2]).rows_out, h.shape[2])


@convolution_backward.register_fake
def _(
    g: Tensor, h: Tensor, Y: Tensor, w: Tensor, sender: Tensor, first: Tensor, paths: Sequence[int]
) -> Three:
    return torch.empty_like(h), torch.empty_like(Y), torch.empty_like(w)


@convolution_tangent.register_fake
def _(vh: Tensor, vY: Tensor, vw: Tensor, g: Tensor, h: Tensor, Y: Tensor, w: Tensor, *rest: Any) -> Four:
    return torch.empty_like(g), torch.empty_like(h), torch.empty_like(Y), torch.empty_like(w)
