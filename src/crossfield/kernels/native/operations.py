"""The contract as torch operations that run compiled code on the CPU, any derivative included.

Of each operation there are three: its value, its gradient, and the `tangent` of both, their change along a
direction in which all inputs move. Gradients of the gradient are exactly such tangents, so that forces,
training on forces and Hessians run on compiled code. Beyond that, the derivatives of a convolution's tangent
are convolutions and their gradients again, since it is linear in each of its inputs; those of the others are
found by the plain formulas of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from crossfield.algebra import Path
from crossfield.kernels.gate import SIGMOID_SCALE, SILU_SCALE
from crossfield.kernels.native import build, contraction, harmonics, norm, pointwise, pool
from crossfield.kernels.native import tensor_product as product
from crossfield.kernels.native.build import PRECISIONS, Function, Source
from crossfield.kernels.native.emit import Code

SCALES = (SILU_SCALE, SIGMOID_SCALE)
PAST = 64  # numbers that kernels read past the last edge, and do not use
Three = tuple[Tensor, Tensor, Tensor]
Four = tuple[Tensor, Tensor, Tensor, Tensor]


@cache
def compiled(arguments: tuple[str, ...], dtype: torch.dtype, write: Callable[[Code], None]) -> Function:
    """One kernel; `write` is a partial of hashable arguments, or a function."""
    (function,) = build.functions([Source(arguments, PRECISIONS[dtype], write)], more=True)
    return function


class Write(partial[None]):
    """A partial that equals another one of the same function and arguments."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Write) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self.func, self.args, tuple(sorted(self.keywords.items())))


def _contiguous(*tensors: Tensor) -> list[Tensor]:
    return [x.contiguous() for x in tensors]


def _checked(*tensors: Tensor) -> torch.dtype:
    """The precision that all have in common."""
    kinds = {x.dtype for x in tensors}
    if len(kinds) != 1 or not kinds <= set(PRECISIONS):
        raise TypeError(f"float32 or float64, and the same for all, not {', '.join(map(str, kinds))}")
    return kinds.pop()


# -- convolution


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


def _beyond(Y: Tensor) -> Tensor:
    """Rows of edges with room behind them."""
    out = Y.new_zeros(Y.shape[0], Y.shape[1] + PAST)
    out[:, : Y.shape[1]] = Y
    return out


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
    dtype = _checked(h, Y, w, *moving)
    _check(sizes, h, Y, w, sender, first)
    kernel = compiled(arguments, dtype, Write(product.forward, product=sizes, tangent=bool(moving)))
    h, w, sender, first = _contiguous(h, w, sender, first)
    Y = _beyond(Y)
    if moving:
        vh, vY, vw = moving
        moving = (vh.contiguous(), _beyond(vY), vw.contiguous())
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
    dtype = _checked(g, h, Y, w, *moving)
    _check(sizes, h, Y, w, sender, first)
    kernel = compiled(arguments, dtype, Write(product.reverse, product=sizes, tangent=bool(moving)))
    g, h, w, sender, first = _contiguous(g, h, w, sender, first)
    edges, Y = Y.shape[1], _beyond(Y)
    if moving:
        vh, vY, vw = moving
        moving = (vh.contiguous(), _beyond(vY), vw.contiguous())
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


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*(x for x in inputs if isinstance(x, Tensor)))
    ctx.constants = tuple(x for x in inputs if not isinstance(x, Tensor))


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


convolution.register_autograd(_convolution_gradient, setup_context=_save)
convolution_backward.register_autograd(_convolution_second, setup_context=_save)
convolution_tangent.register_autograd(_convolution_third, setup_context=_save)


# -- symmetric contraction


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
    kernel = compiled(contraction.FORWARD, _checked(A, w), Write(contraction.forward, c=c))
    A, w, group = _contiguous(A, w, group)
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
    dtype = _checked(g, A, w, *moving)
    _check_contraction(c, A, w, group)
    kernel = compiled(arguments, dtype, Write(contraction.training, c=c, tangent=bool(moving)))
    g, A, w, group, *moving = _contiguous(g, A, w, group, *moving)
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


contract.register_autograd(_contract_gradient, setup_context=_save)
contract_backward.register_autograd(_contract_second, setup_context=_save)


# -- spherical harmonics


@torch.library.custom_op("crossfield::harmonics", mutates_args=())
def spherical(unit: Tensor, l_max: int) -> Tensor:
    """Harmonics (components, E) of unit vectors (3, E)."""
    kernel = compiled(harmonics.FORWARD, _checked(unit), Write(harmonics.forward, l_max=l_max))
    edges, unit = unit.shape[1], _beyond(unit)
    Y = unit.new_empty((l_max + 1) ** 2, unit.shape[1])
    kernel(edges, unit.shape[1], unit.data_ptr(), Y.data_ptr())
    return Y[:, :edges].contiguous()


@torch.library.custom_op("crossfield::harmonics_backward", mutates_args=())
def spherical_backward(g: Tensor, unit: Tensor, l_max: int) -> Tensor:
    """The gradient by unit vectors from that by the harmonics, g."""
    kernel = compiled(
        harmonics.BACKWARD, _checked(g, unit), Write(harmonics.backward, l_max=l_max, tangent=False)
    )
    edges, unit, g = unit.shape[1], _beyond(unit), _beyond(g)
    gunit = torch.empty_like(unit)
    kernel(edges, unit.shape[1], unit.data_ptr(), g.data_ptr(), gunit.data_ptr())
    return gunit[:, :edges].contiguous()


@torch.library.custom_op("crossfield::harmonics_tangent", mutates_args=())
def spherical_tangent(v: Tensor, g: Tensor, unit: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    """Change of the harmonics, and of the gradient by the unit vectors, as these move along v."""
    kernel = compiled(
        harmonics.TANGENT, _checked(v, g, unit), Write(harmonics.backward, l_max=l_max, tangent=True)
    )
    edges, unit, g, v = unit.shape[1], _beyond(unit), _beyond(g), _beyond(v)
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


spherical.register_autograd(_spherical_gradient, setup_context=_save)
spherical_backward.register_autograd(_spherical_second, setup_context=_save)


# -- normalisation


@torch.library.custom_op("crossfield::norm_silu", mutates_args=())
def norm_silu(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """SiLU of normalised rows x (E, width), with scale and shift (width,)."""
    dtype, width = _checked(x, scale, shift), x.shape[1]
    kernel = compiled(norm.FORWARD, dtype, Write(norm.forward, width=width))
    x, scale, shift = _contiguous(x, scale, shift)
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
    dtype, width = _checked(g, x, scale, shift, *moving), x.shape[1]
    kernel = compiled(arguments, dtype, Write(norm.backward, width=width, tangent=bool(moving)))
    g, x, scale, shift, *moving = _contiguous(g, x, scale, shift, *moving)
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


norm_silu.register_autograd(_norm_gradient, setup_context=_save)
norm_silu_backward.register_autograd(_norm_second, setup_context=_save)


# -- gate


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
    kernel, x = compiled(pointwise.GATE, _checked(x), write), x.contiguous()
    y = x.new_empty(len(x), (l_max + 1) ** 2, x.shape[2])
    pool.share(_ones(x), lambda part, begin, end: kernel(begin, end, x.data_ptr(), y.data_ptr()))
    return y


@torch.library.custom_op("crossfield::gate_backward", mutates_args=())
def gate_backward(g: Tensor, x: Tensor, l_max: int) -> Tensor:
    """The gradient by x from that by the result, g."""
    write = Write(pointwise.gate_reverse, l_max=l_max, channels=x.shape[2], scales=SCALES)
    kernel = compiled(pointwise.GATE_REVERSE, _checked(g, x), write)
    g, x = _contiguous(g, x)
    gx = torch.empty_like(x)
    places = [t.data_ptr() for t in (x, g, gx)]
    pool.share(_ones(x), lambda part, begin, end: kernel(begin, end, *places))
    return gx


@torch.library.custom_op("crossfield::gate_tangent", mutates_args=())
def gate_tangent(v: Tensor, g: Tensor, x: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    """Change of the result, and of the gradient by x, as x moves along v."""
    write = Write(pointwise.gate_reverse, l_max=l_max, channels=x.shape[2], scales=SCALES, tangent=True)
    kernel = compiled(pointwise.GATE_TANGENT, _checked(v, g, x), write)
    v, g, x = _contiguous(v, g, x)
    gx, y = torch.empty_like(x), torch.empty_like(g)
    places = [t.data_ptr() for t in (x, g, gx, v, y)]
    pool.share(_ones(x), lambda part, begin, end: kernel(begin, end, *places))
    return y, gx


def _ones(x: Tensor) -> NDArray[np.int64]:
    return np.ones(len(x), dtype=np.int64)


def _gate_gradient(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    return gate_backward(g, *ctx.saved_tensors, *ctx.constants), None


def _gate_second(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
    return (*gate_tangent(v, *ctx.saved_tensors, *ctx.constants), None)


gate.register_autograd(_gate_gradient, setup_context=_save)
gate_backward.register_autograd(_gate_second, setup_context=_save)


# -- beyond the second derivative, and shapes alone


def _tangents(
    value: Callable[..., Tensor], inputs: Sequence[Tensor], moving: Sequence[Tensor], g: Tensor
) -> tuple[Tensor, ...]:
    """Change of value(*inputs) and of the gradients of its product with g, by torch's own derivatives."""
    gradients = torch.autograd.grad((value(*inputs) * g).sum(), inputs, create_graph=True)
    change = torch.stack([(x * v).sum() for x, v in zip(gradients, moving, strict=True)]).sum()
    return torch.autograd.grad(change, (g, *inputs), create_graph=True, materialize_grads=True)


def _by_torch(
    tensors: Sequence[Tensor], function: Callable[..., tuple[Tensor, ...]], cotangents: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Gradients by tensors of a function of them, differentiable again where that is asked for."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        given = [x if again and x.requires_grad else x.detach().requires_grad_() for x in tensors]
        return torch.autograd.grad(
            function(*given), given, cotangents, create_graph=again, materialize_grads=True
        )


def _contract_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, group = ctx.saved_tensors

    def function(vA: Tensor, vw: Tensor, g: Tensor, A: Tensor, w: Tensor) -> tuple[Tensor, ...]:
        plain = _plain_contraction(tuple(*ctx.constants), A.dtype)
        return _tangents(lambda A, w: plain(A, w, group), (A, w), (vA, vw), g)

    return (*_by_torch(tensors, function, cotangents), None, None)


def _spherical_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    def function(v: Tensor, g: Tensor, unit: Tensor) -> tuple[Tensor, ...]:
        plain = _plain_harmonics(*ctx.constants, unit.dtype)
        return _tangents(plain, (unit,), (v,), g)

    return (*_by_torch(ctx.saved_tensors, function, cotangents), None)


def _norm_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, ...]:
    # written out: torch's own layer_norm is wrong from its third derivative on
    def plain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
        return functional.silu(centred * (variance + norm.EPSILON).rsqrt() * scale + shift)

    def function(*given: Tensor) -> tuple[Tensor, ...]:
        return _tangents(plain, given[4:], given[:3], given[3])

    return _by_torch(ctx.saved_tensors, function, cotangents)


def _gate_third(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
    (l_max,) = ctx.constants

    def plain(x: Tensor) -> Tensor:
        scalars, gates, others = x.split([1, l_max, (l_max + 1) ** 2 - 1], dim=1)
        sizes = torch.tensor([2 * l + 1 for l in range(1, l_max + 1)], dtype=torch.int64)
        spread = gates.repeat_interleave(sizes, dim=1)
        return torch.cat([functional.silu(scalars) * SCALES[0], others * spread.sigmoid() * SCALES[1]], dim=1)

    def function(v: Tensor, g: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        return _tangents(plain, (x,), (v,), g)

    return (*_by_torch(ctx.saved_tensors, function, cotangents), None)


@cache
def _plain_contraction(sizes: tuple[int, ...], dtype: torch.dtype) -> Callable[..., Tensor]:
    from crossfield.kernels.contraction import SymmetricContraction

    module = SymmetricContraction(*sizes).to(dtype)
    couplings = [sum(size) for size in module.sizes]
    return lambda A, w, group: torch.cat(module(A, w.split(couplings, dim=1), group), dim=1)


@cache
def _plain_harmonics(l_max: int, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    from crossfield.kernels.harmonics import SphericalHarmonics

    module = SphericalHarmonics(l_max).to(dtype)
    return lambda unit: torch.cat(module(unit.T), dim=1).T


contract_tangent.register_autograd(_contract_third, setup_context=_save)
gate_tangent.register_autograd(_gate_third, setup_context=_save)
norm_silu_tangent.register_autograd(_norm_third, setup_context=_save)
spherical_tangent.register_autograd(_spherical_third, setup_context=_save)


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


@contract.register_fake
def _(A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]) -> Tensor:
    return A.new_empty(len(A), (sizes[1] + 1) ** 2, A.shape[2])


@contract_backward.register_fake
def _(g: Tensor, A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    return torch.empty_like(A), torch.empty_like(w)


@contract_tangent.register_fake
def _(vA: Tensor, vw: Tensor, g: Tensor, A: Tensor, w: Tensor, group: Tensor, sizes: Sequence[int]) -> Three:
    return torch.empty_like(g), torch.empty_like(A), torch.empty_like(w)


@gate.register_fake
def _(x: Tensor, l_max: int) -> Tensor:
    return x.new_empty(len(x), (l_max + 1) ** 2, x.shape[2])


@gate_backward.register_fake
def _(g: Tensor, x: Tensor, l_max: int) -> Tensor:
    return torch.empty_like(x)


@gate_tangent.register_fake
def _(v: Tensor, g: Tensor, x: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(g), torch.empty_like(x)


@norm_silu.register_fake
def _(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.empty_like(x)


@norm_silu_backward.register_fake
def _(g: Tensor, x: Tensor, scale: Tensor, shift: Tensor) -> Three:
    return torch.empty_like(x), torch.empty_like(scale), torch.empty_like(shift)


@norm_silu_tangent.register_fake
def _(vx: Tensor, vscale: Tensor, vshift: Tensor, g: Tensor, x: Tensor, scale: Tensor, shift: Tensor) -> Four:
    return torch.empty_like(x), torch.empty_like(x), torch.empty_like(scale), torch.empty_like(shift)


@spherical.register_fake
def _(unit: Tensor, l_max: int) -> Tensor:
    return unit.new_empty((l_max + 1) ** 2, unit.shape[1])


@spherical_backward.register_fake
def _(g: Tensor, unit: Tensor, l_max: int) -> Tensor:
    return torch.empty_like(unit)


@spherical_tangent.register_fake
def _(v: Tensor, g: Tensor, unit: Tensor, l_max: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(g), torch.empty_like(unit)
