"""The convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from crossfield.kernels.connectivity import Edges, Outgoing
from crossfield.kernels.formulas.convolution import Product
from crossfield.kernels.operations import interface
from crossfield.kernels.operations.common import alike, save
from crossfield.kernels.operations.interface import Four, Three


@torch.library.custom_op("crossfield::convolution", mutates_args=())
def convolution(
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    sender: Tensor,
    first: Tensor,
    out: Sequence[Tensor],
    paths: Sequence[int],
    backend: str,
) -> Tensor:
    """Messages, summed at their receivers.

    Args:
        h: (N, components, C) features of the atoms.
        Y: (components, E) harmonics of the edges.
        w: (E, paths, C) radial weights.
        sender: (E,) atom index.
        first: (N+1,) number of each atom's first edge as receiver.
        out: the tensors of `Outgoing` for a back end that is `by_sender`, else nothing.
        paths: l1, l2, l3 of each path, one after the other, ordered by l3.
        backend: whose code runs.

    Returns:
        (N, rows, C), in the order of `Product.row`.
    """
    h, Y, w = alike(h, Y, w)
    product, edges, _ = _checked(h, Y, w, sender, first, out, paths)
    return interface.of(backend).convolve(product, h, Y, w, edges)


@torch.library.custom_op("crossfield::convolution_backward", mutates_args=())
def convolution_backward(
    g: Tensor,
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    sender: Tensor,
    first: Tensor,
    out: Sequence[Tensor],
    paths: Sequence[int],
    backend: str,
) -> Three:
    """Gradients by h, Y and w from that by the messages, g."""
    g, h, Y, w = alike(g, h, Y, w)
    product, edges, outgoing = _checked(h, Y, w, sender, first, out, paths)
    return interface.of(backend).convolve_backward(product, g, h, Y, w, edges, outgoing)


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
    out: Sequence[Tensor],
    paths: Sequence[int],
    backend: str,
) -> Four:
    """Change of the messages, and of the gradients by h, Y and w, as these move along vh, vY and vw."""
    vh, vY, vw, g, h, Y, w = alike(vh, vY, vw, g, h, Y, w)
    product, edges, outgoing = _checked(h, Y, w, sender, first, out, paths)
    run, moving = interface.of(backend), (vh, vY, vw)
    messages = run.convolve(product, h, Y, w, edges, moving)
    return (messages, *run.convolve_backward(product, g, h, Y, w, edges, outgoing, moving))


def _checked(
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    sender: Tensor,
    first: Tensor,
    out: Sequence[Tensor],
    paths: Sequence[int],
) -> tuple[Product, Edges, Outgoing | None]:
    """Kernels do not look where they read."""
    sizes = Product.of(paths, h.shape[2])
    edges = len(sender)
    shapes = (h.shape[1:], Y.shape, w.shape)
    expected = (
        (sizes.rows_in, sizes.channels),
        (sizes.harmonics, edges),
        (edges, len(sizes.paths), sizes.channels),
    )
    if tuple(map(tuple, shapes)) != expected:
        raise ValueError(f"features, harmonics and weights of shapes {shapes}, not {expected}")
    if sender.dtype != torch.int64 or first.dtype != torch.int64 or not len(first):
        raise ValueError("indices must be int64, and the last edge must have a receiver")
    # where numbers lie on another device, looking at them would wait for it: graphs are checked when made
    if first.device.type == "cpu":
        if int(first[-1]) != edges:
            raise ValueError("indices must be int64, and the last edge must have a receiver")
        if edges and not bool((sender.min() >= 0) & (sender.max() < len(h)) & (first.diff() >= 0).all()):
            raise ValueError("edges must be between atoms, in the order of their receivers")
    outgoing = _checked_outgoing(out, len(h), edges) if out else None
    return sizes, Edges(sender.contiguous(), first.contiguous()), outgoing


def _checked_outgoing(out: Sequence[Tensor], atoms: int, edges: int) -> Outgoing:
    """Likewise of the order by sender."""
    found = Outgoing(*(x.contiguous() for x in out))
    wrong = ValueError("edges must also be given in the order of their senders, as `Outgoing.of` finds it")
    if any(x.dtype != torch.int64 for x in found):
        raise wrong
    if tuple(map(len, found)) != (atoms + 1, edges, edges):
        raise wrong
    if found.first.device.type == "cpu" and edges:
        inside = [
            x.min() >= 0 and x.max() < end for x, end in ((found.order, edges), (found.receiver, atoms))
        ]
        if not (all(inside) and bool((found.first.diff() >= 0).all()) and int(found.first[-1]) == edges):
            raise wrong
    return found


def _convolution_gradient(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    return (*convolution_backward(g, *ctx.saved_tensors, *ctx.constants), *_nothing(ctx))


def _convolution_second(ctx: Any, vh: Tensor, vY: Tensor, vw: Tensor) -> tuple[Any, ...]:
    found = convolution_tangent(vh, vY, vw, *ctx.saved_tensors, *ctx.constants)
    return (*found, *_nothing(ctx))


def _nothing(ctx: Any) -> tuple[Any, ...]:
    """In place of gradients by sender, first, out, paths and backend."""
    return None, None, [None] * len(ctx.constants[0]), None, None


def _convolution_third(ctx: Any, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Any, ...]:
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
    return (*(total[name] for name in ("vh", "vY", "vw", "g", "h", "Y", "w")), *_nothing(ctx))


convolution.register_autograd(_convolution_gradient, setup_context=save)
convolution_backward.register_autograd(_convolution_second, setup_context=save)
convolution_tangent.register_autograd(_convolution_third, setup_context=save)


@convolution.register_fake
def _(
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    sender: Tensor,
    first: Tensor,
    out: Sequence[Tensor],
    paths: Sequence[int],
    backend: str,
) -> Tensor:
    return h.new_empty(len(first) - 1, Product.of(paths, h.shape[2]).rows_out, h.shape[2])


@convolution_backward.register_fake
def _(g: Tensor, h: Tensor, Y: Tensor, w: Tensor, *rest: Any) -> Three:
    return torch.empty_like(h), torch.empty_like(Y), torch.empty_like(w)


@convolution_tangent.register_fake
def _(vh: Tensor, vY: Tensor, vw: Tensor, g: Tensor, h: Tensor, Y: Tensor, w: Tensor, *rest: Any) -> Four:
    return torch.empty_like(g), torch.empty_like(h), torch.empty_like(Y), torch.empty_like(w)
