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
ARGUMENTS = ("jobs", "count", "atoms", "x", "y")
JOB = ("components", "inner", "x_rows", "packed", "vectors", "y_rows", "add")


def tile_rows(registers: int) -> list[int]:
    """Rows of a tile, as many as the registers hold and then fewer for what is left."""
    return [8, 4, 2, 1] if registers >= 32 else [6, 3, 1]


def gemm(code: Code) -> None:
    """y[r] = x[r] @ W, or y[r] += x[r] @ W, for a number of jobs that share x and y.

    `jobs` has the whole numbers of `JOB` for each: there are `atoms * components` rows, whose places, counted
    in real numbers, are in `x_rows` and `y_rows`; W has `inner` rows and `vectors` vectors of columns, packed
    by `pack`; and with `add` 1 the product is added to what is there.
    """
    with code.loop(0, code.argument("count")) as number:
        at = code.argument("jobs") + number * (len(JOB) * 8)
        _Job(code, {name: code.index(at, k) for k, name in enumerate(JOB)}).write()


class _Job:
    """One product."""

    def __init__(self, code: Code, job: dict[str, Value]) -> None:
        self.code, self.job = code, job
        self.rows = code.argument("atoms") * job["components"]

    def write(self) -> None:
        """The product in panels of columns, whose part of W stays in the cache."""
        code, inner, packed, vectors = self.code, *(self.job[k] for k in ("inner", "packed", "vectors"))
        pairs = vectors.shifted(COLUMNS)
        wide = COLUMNS * code.lanes
        with code.loop(0, pairs) as p:
            self._panel(packed + p * inner * (wide * code.bytes), p * wide, COLUMNS)
        with code.loop(pairs * COLUMNS, vectors) as v:
            self._panel(packed + pairs * inner * (wide * code.bytes), v * code.lanes, 1)

    def _panel(self, panel: Value, column: Value, columns: int) -> None:
        start: Value | int = 0
        for rows in tile_rows(self.code.machine.registers):
            left = self.code.instruction("i64", f"srem i64 {(self.rows - start).text}, {rows}")
            end = self.rows - left
            with self.code.loop(start, end, rows) as r:
                self._tile(panel, column, columns, r, rows)
            start = end

    def _tile(self, panel: Value, column: Value, columns: int, first: Value, rows: int) -> None:
        code, L = self.code, self.code.lanes
        x, y = (
            [
                code.argument(name) + code.index(self.job[f"{name}_rows"], first + r) * code.bytes
                for r in range(rows)
            ]
            for name in ("x", "y")
        )
        sums = [[code.variable(code.number(0.0)) for _ in range(columns)] for _ in range(rows)]
        with code.loop(0, self.job["inner"]) as k:
            w = [code.load(panel, k * (columns * L) + c * L) for c in range(columns)]
            for r in range(rows):
                value = code.spread(code.scalar(x[r], k))
                for c in range(columns):
                    sums[r][c].add(value * w[c])
        with code.when(code.less(code.whole(0), self.job["add"])):
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
