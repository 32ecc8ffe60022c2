"""The symmetric contraction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossfield.kernels.formulas.contraction import Contraction
from crossfield.kernels.gpu import contraction
from crossfield.kernels.gpu.build import Source, launch
from crossfield.kernels.gpu.launch.tiles import Tiles
from crossfield.kernels.operations.interface import Three
from crossfield.kernels.writing import Write

LANES = 32  # channels of a program: with more than one to a thread, registers do not hold the polynomial
TOGETHER = 4  # atoms of a program


def contract(c: Contraction, A: Tensor, w: Tensor, group: Tensor) -> Tensor:
    """See `interface.Contract`."""
    B = A.new_empty(len(A), c.rows_out, c.channels)
    tiles = Tiles.of(len(A), c.channels, A, each=TOGETHER, widest=LANES)
    source = Source(contraction.FORWARD, A.dtype, Write(contraction.forward, c=c))
    launch(source, tiles.grid, A, group, w, B, len(A), **tiles.sizes)
    return B


def contract_backward(
    c: Contraction, g: Tensor, A: Tensor, w: Tensor, group: Tensor, moving: Sequence[Tensor] = ()
) -> Three:
    """See `interface.ContractBackward`."""
    tangent = bool(moving)
    tiles = Tiles.of(len(A), c.channels, A, each=TOGETHER, widest=LANES)
    gA, vB = torch.empty_like(A), torch.empty_like(g) if tangent else g.new_empty(0)
    names: tuple[str, ...] = contraction.BY_FEATURES_TANGENT if tangent else contraction.BY_FEATURES
    source = Source(names, A.dtype, Write(contraction.by_features, c=c, tangent=tangent))
    launch(source, tiles.grid, A, group, w, g, *moving, gA, len(A), **tiles.sizes)

    each = len(w) > 1
    gw = w.new_empty(len(A) if each else tiles.grid[0], *w.shape[1:])
    names = contraction.BY_WEIGHTS_TANGENT if tangent else contraction.BY_WEIGHTS
    for L in range(c.L_max + 1):
        rows = tuple(range(L * L, (L + 1) ** 2))
        write = Write(contraction.by_weights, c=c, rows=rows, each=each, tangent=tangent)
        places = (*moving, gw, vB) if tangent else (gw,)
        launch(Source(names, A.dtype, write), tiles.grid, A, group, w, g, *places, len(A), **tiles.sizes)
    if not each:
        return gA, gw.sum(dim=0, keepdim=True), vB
    # as a product of matrices: additions to one place, in whatever order, would not give the same twice
    mine = (group == torch.arange(len(w), device=group.device).unsqueeze(1)).to(w.dtype)
    return gA, (mine @ gw.flatten(1)).view_as(w), vB
