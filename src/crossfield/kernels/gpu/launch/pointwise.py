"""Spherical harmonics, the gate, and normalisation with SiLU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossfield.kernels.gpu import pointwise
from crossfield.kernels.gpu.build import Source, launch
from crossfield.kernels.gpu.launch.tiles import Tiles, blocks, edges_at_once, power_of_two, rows_of
from crossfield.kernels.operations.interface import Four, Two
from crossfield.kernels.writing import Write


def harmonics(x: Tensor, l_max: int) -> Tensor:
    """Of unit vectors."""
    Y, B = x.new_empty((l_max + 1) ** 2, x.shape[1]), edges_at_once(x)
    source = Source(pointwise.HARMONICS, x.dtype, Write(pointwise.harmonics, l_max=l_max))
    launch(source, [blocks(x.shape[1], B)], x, Y, x.shape[1], EDGES=B)
    return Y


def harmonics_backward(g: Tensor, x: Tensor, l_max: int, v: Tensor | None = None) -> Two:
    """Their gradient, or its change and theirs."""
    gunit, vY, B = torch.empty_like(x), torch.empty_like(g), edges_at_once(x)
    names = pointwise.HARMONICS_BACKWARD if v is None else pointwise.HARMONICS_TANGENT
    write = Write(pointwise.harmonics_backward, l_max=l_max, tangent=v is not None)
    places = (gunit,) if v is None else (v, gunit, vY)
    launch(Source(names, x.dtype, write), [blocks(x.shape[1], B)], x, g, *places, x.shape[1], EDGES=B)
    return gunit, vY


def gate(x: Tensor, l_max: int) -> Tensor:
    """Of rows of features."""
    y = x.new_empty(len(x), (l_max + 1) ** 2, x.shape[2])
    tiles = Tiles.of(len(x), x.shape[2], x)
    source = Source(pointwise.GATE, x.dtype, Write(pointwise.gate, l_max=l_max, channels=x.shape[2]))
    launch(source, tiles.grid, x, y, len(x), **tiles.sizes)
    return y


def gate_backward(g: Tensor, x: Tensor, l_max: int, v: Tensor | None = None) -> Two:
    """Its gradient, or its change and that of the result."""
    gx, y = torch.empty_like(x), torch.empty_like(g)
    tiles = Tiles.of(len(x), x.shape[2], x)
    names = pointwise.GATE_BACKWARD if v is None else pointwise.GATE_TANGENT
    write = Write(pointwise.gate_backward, l_max=l_max, channels=x.shape[2], tangent=v is not None)
    places = (gx,) if v is None else (v, gx, y)
    launch(Source(names, x.dtype, write), tiles.grid, x, g, *places, len(x), **tiles.sizes)
    return gx, y


def norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """See `interface.Norm`."""
    y, (R, B) = torch.empty_like(x), _rows(x)
    source = Source(pointwise.NORM, x.dtype, Write(pointwise.norm, width=x.shape[1]))
    launch(source, [blocks(len(x), R)], x, scale, shift, y, len(x), ROWS=R, CHANNELS=B)
    return y


def norm_backward(g: Tensor, x: Tensor, scale: Tensor, shift: Tensor, moving: Sequence[Tensor] = ()) -> Four:
    """See `interface.NormBackward`."""
    R, B = _rows(x)
    gx, y = torch.empty_like(x), torch.empty_like(x) if moving else x.new_empty(0)
    # not two halves of one: the second would be aligned for some numbers of rows, and compiled for both
    gscale, gshift = (x.new_empty(blocks(len(x), R), x.shape[1]) for _ in range(2))
    names = pointwise.NORM_TANGENT if moving else pointwise.NORM_BACKWARD
    write = Write(pointwise.norm_backward, width=x.shape[1], tangent=bool(moving))
    places = (*moving, gx, gscale, gshift, y) if moving else (gx, gscale, gshift)
    launch(
        Source(names, x.dtype, write),
        [blocks(len(x), R)],
        x,
        scale,
        shift,
        g,
        *places,
        len(x),
        ROWS=R,
        CHANNELS=B,
    )
    return gx, gscale.sum(dim=0), gshift.sum(dim=0), y


def _rows(x: Tensor) -> tuple[int, int]:
    """Rows of a program, and their width filled up."""
    B = power_of_two(x.shape[1])
    return rows_of(len(x), max(1, 2048 // B), x), B
