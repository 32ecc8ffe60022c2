"""The convolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossfield.kernels.connectivity import Edges, Outgoing
from crossfield.kernels.formulas.convolution import Product
from crossfield.kernels.gpu import tensor_product
from crossfield.kernels.gpu.build import Source, launch
from crossfield.kernels.gpu.launch.tiles import WIDEST, Tiles
from crossfield.kernels.operations.interface import Three
from crossfield.kernels.writing import Write

ROWS = 24  # of messages that a program sums at most: each takes four registers of a thread


def convolve(
    product: Product, h: Tensor, Y: Tensor, w: Tensor, edges: Edges, moving: Sequence[Tensor] = ()
) -> Tensor:
    """See `interface.Convolve`."""
    atoms, tangent = len(edges.first) - 1, bool(moving)
    names = tensor_product.FORWARD_TANGENT if tangent else tensor_product.FORWARD
    m = h.new_empty(atoms, product.rows_out, product.channels)
    tiles = Tiles.of(atoms, product.channels, h, widest=WIDEST)
    for paths in product.groups(lambda p: 2 * product.paths[p].l3 + 1, ROWS):
        write = Write(tensor_product.forward, product=product, paths=tuple(paths), tangent=tangent)
        launch(
            Source(names, h.dtype, write),
            tiles.grid,
            *(edges.first, edges.sender, h, Y, w, *moving, m, atoms, Y.shape[1]),
            **tiles.sizes,
        )
    return m


def convolve_backward(
    product: Product,
    g: Tensor,
    h: Tensor,
    Y: Tensor,
    w: Tensor,
    edges: Edges,
    out: Outgoing | None,
    moving: Sequence[Tensor] = (),
) -> Three:
    """See `interface.ConvolveBackward`."""
    atoms, tangent = len(h), bool(moving)
    names = tensor_product.BACKWARD_TANGENT if tangent else tensor_product.BACKWARD
    assert out is not None  # this back end is `by_sender`
    tiles = Tiles.of(atoms, product.channels, h, widest=WIDEST)
    groups = product.groups(lambda p: 0, 1)  # by l1
    gh, gw = torch.empty_like(h), torch.empty_like(w)
    gY = Y.new_zeros(len(groups) * tiles.grid[1], *Y.shape)
    for number, paths in enumerate(groups):
        write = Write(tensor_product.backward, product=product, paths=tuple(paths), tangent=tangent)
        launch(
            Source(names, h.dtype, write),
            tiles.grid,
            *(out.first, out.order, out.receiver, g, h, Y, w, *moving, gh, gY, gw),
            *(number * tiles.grid[1], atoms, Y.shape[1]),
            **tiles.sizes,
        )
    return gh, gY.sum(dim=0), gw
