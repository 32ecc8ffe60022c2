"""Products of rows with a packed matrix, and the packing.

The rows of the operands lie anywhere: a list gives the place of each. So one matrix is applied to one l of
all atoms of a block, or to the atoms of one element, without copying.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from crossfield.kernels.native.emit import Code, Value

COLUMNS = 2  # vectors of the result that a tile has
ARGUMENTS = ("count", "inner", "x", "x_rows", "packed", "vectors", "y", "y_rows", "add")


def tile_rows(registers: int) -> list[int]:
    """Rows of a tile, as many as the registers hold and then fewer for what is left."""
    return [8, 4, 2, 1] if registers >= 32 else [6, 3, 1]


def gemm(code: Code) -> None:
    """y[r] = x[r] @ W for `count` rows, or y[r] += x[r] @ W where `add` is 1.

    `x_rows` and `y_rows` are places of rows, counted in real numbers. W has `inner` rows and `vectors`
    vectors of columns, packed by `pack`.
    """
    L, size = code.lanes, code.bytes
    vectors, inner = code.argument("vectors"), code.argument("inner")
    pairs = vectors.shifted(COLUMNS)
    wide = COLUMNS * L
    with code.loop(0, pairs) as p:
        _panel(code, code.argument("packed") + p * inner * (wide * size), p * wide, COLUMNS)
    with code.loop(pairs * COLUMNS, vectors) as v:
        _panel(code, code.argument("packed") + pairs * inner * (wide * size), v * L, 1)


def _panel(code: Code, panel: Value, column: Value, columns: int) -> None:
    """All rows of the result, in a few vectors of columns."""
    count = code.argument("count")
    start: Value | int = 0
    for rows in tile_rows(code.machine.registers):
        end = count - _remainder(code, count, start, rows)
        with code.loop(start, end, rows) as r:
            _tile(code, panel, column, columns, r, rows)
        start = end


def _remainder(code: Code, count: Value, start: Value | int, rows: int) -> Value:
    return code.instruction("i64", f"srem i64 {(count - start).text}, {rows}")


def _tile(code: Code, panel: Value, column: Value, columns: int, first: Value, rows: int) -> None:
    L = code.lanes
    x = [
        code.argument("x") + code.index(code.argument("x_rows"), first + r) * code.bytes for r in range(rows)
    ]
    y = [
        code.argument("y") + code.index(code.argument("y_rows"), first + r) * code.bytes for r in range(rows)
    ]
    sums = [[code.variable(code.number(0.0)) for _ in range(columns)] for _ in range(rows)]
    with code.loop(0, code.argument("inner")) as k:
        w = [code.load(panel, k * (columns * L) + c * L) for c in range(columns)]
        for r in range(rows):
            value = code.spread(code.scalar(x[r], k))
            for c in range(columns):
                sums[r][c].add(value * w[c])
    with code.when(code.less(code.whole(0), code.argument("add"))):
        for r in range(rows):
            for c in range(columns):
                sums[r][c].add(code.load(y[r], column + c * L))
    for r in range(rows):
        for c in range(columns):
            code.store(sums[r][c].get(), y[r], column + c * L)


def pack(W: Tensor, lanes: int) -> Tensor:
    """A matrix (inner, columns), columns filled up with zeros to whole vectors, in the order it is read."""
    inner, columns = W.shape
    vectors = -(-columns // lanes)
    full = W.new_zeros(inner, vectors * lanes)
    full[:, :columns] = W
    return torch.cat([part.reshape(-1) for part in _panels(full, vectors, lanes)] or [W.new_zeros(0)])


def _panels(full: Tensor, vectors: int, lanes: int) -> Iterator[Tensor]:
    at = 0
    while at < vectors:
        columns = COLUMNS if at + COLUMNS <= vectors else 1
        yield full[:, at * lanes : (at + columns) * lanes].contiguous()
        at += columns
