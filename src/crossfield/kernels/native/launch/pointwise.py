"""Spherical harmonics and the gate."""

from __future__ import annotations

import torch
from torch import Tensor

from crossfield.kernels.native import harmonics as harmonics_code
from crossfield.kernels.native import pointwise, pool
from crossfield.kernels.native.launch.common import beyond, compiled, ones
from crossfield.kernels.operations.interface import Two
from crossfield.kernels.writing import Write


def harmonics(x: Tensor, l_max: int) -> Tensor:
    """Of unit vectors."""
    kernel = compiled(harmonics_code.FORWARD, x.dtype, Write(harmonics_code.forward, l_max=l_max))
    edges, unit = x.shape[1], beyond(x)
    Y = unit.new_empty((l_max + 1) ** 2, unit.shape[1])
    kernel(edges, unit.shape[1], unit.data_ptr(), Y.data_ptr())
    return Y[:, :edges].contiguous()


def harmonics_backward(g: Tensor, x: Tensor, l_max: int, v: Tensor | None = None) -> Two:
    """Their gradient, or its change and theirs."""
    arguments = harmonics_code.BACKWARD if v is None else harmonics_code.TANGENT
    write = Write(harmonics_code.backward, l_max=l_max, tangent=v is not None)
    kernel = compiled(arguments, x.dtype, write)
    edges, unit, g = x.shape[1], beyond(x), beyond(g)
    gunit, vY = torch.empty_like(unit), torch.empty_like(g)
    moving = None if v is None else beyond(v)
    extra = () if moving is None else (moving.data_ptr(), vY.data_ptr())
    kernel(edges, unit.shape[1], unit.data_ptr(), g.data_ptr(), gunit.data_ptr(), *extra)
    return gunit[:, :edges].contiguous(), vY[:, :edges].contiguous()


def gate(x: Tensor, l_max: int) -> Tensor:
    """Of rows of features."""
    write = Write(pointwise.gate, l_max=l_max, channels=x.shape[2])
    kernel = compiled(pointwise.GATE, x.dtype, write)
    y = x.new_empty(len(x), (l_max + 1) ** 2, x.shape[2])
    pool.share(ones(x), lambda part, begin, end: kernel(begin, end, x.data_ptr(), y.data_ptr()))
    return y


def gate_backward(g: Tensor, x: Tensor, l_max: int, v: Tensor | None = None) -> Two:
    """Its gradient, or its change and that of the result."""
    arguments = pointwise.GATE_REVERSE if v is None else pointwise.GATE_TANGENT
    write = Write(pointwise.gate_reverse, l_max=l_max, channels=x.shape[2], tangent=v is not None)
    kernel = compiled(arguments, x.dtype, write)
    gx, y = torch.empty_like(x), torch.empty_like(g)
    places = [t.data_ptr() for t in (x, g, gx, *(() if v is None else (v, y)))]
    pool.share(ones(x), lambda part, begin, end: kernel(begin, end, *places))
    return gx, y
