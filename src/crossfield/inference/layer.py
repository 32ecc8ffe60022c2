"""One layer of a plan: its matrices and kernels, and what is done for a block of atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.inference.freeze import FrozenLayer, Kinds
from crossfield.inference.layout import Layout
from crossfield.inference.matrices import Matrix, Products, lanes_of
from crossfield.inference.memory import Scratch
from crossfield.kernels.native import contraction, gemm, pointwise
from crossfield.kernels.native import tensor_product as product
from crossfield.kernels.native.build import PRECISIONS, Function, Source

LARGEST_BLOCK = 64  # atoms


class Kernels(NamedTuple):
    """Compiled code of a layer."""

    messages: Function
    messages_reverse: Function
    divisor: Function
    divisor_reverse: Function
    scale: Function
    scale_reverse: Function
    gate: Function
    gate_reverse: Function
    contract: Function
    contract_reverse: Function
    multiply: Function
    gather: Function
    add: Function


class Table(NamedTuple):
    """Radial functions as the kernels read them: a spline, or values and derivatives for every edge."""

    weights: Tensor  # (rows, paths, channels)
    density: Tensor | None  # (rows,)
    first_row: int  # number of the row that is there first


@dataclass
class State:
    """The structures in hand, and what is kept of them between passes over the layers.

    Arrays of whole numbers are int64; others are in the precision of the plan.
    """

    first: Tensor  # (N+1,) first edge of each atom
    sender: Tensor  # (E,)
    kind: Tensor  # (N,) row of `kinds`
    kind_of_sender: Tensor  # (E,)
    element: Tensor  # (N,) index among the plan's elements
    kinds: Kinds  # padded
    stride: int  # from one row of Y to the next; edges and some more, since vectors are read past the end
    Y: Tensor  # (components, stride) harmonics
    gY: Tensor  # (components, stride) gradient by them
    slope: Tensor  # (stride,) derivative by the length of an edge
    knot: Tensor  # (E,) row of the table
    t: Tensor  # (stride,) and how far from there to the next
    arrays: dict[tuple[str, int], Tensor]  # of layers: (N, size), or (parts, N, size) where parts add up
    energy: Tensor  # (N,) of the readouts, without scale


class Block(NamedTuple):
    """Some neighbouring atoms, in the hands of one thread."""

    state: State
    scratch: Scratch
    part: int
    begin: int
    end: int

    @property
    def size(self) -> int:
        """Number of its atoms."""
        return self.end - self.begin

    def array(self, name: str, layer: int, size: int) -> int:
        """Address of the block's rows: where they are kept for all atoms, or of scratch memory."""
        kept = self.state.arrays.get((name, layer))
        if kept is None:
            return self.scratch.get(name, self.size, size).data_ptr()
        if kept.ndim == 3:
            kept = kept[self.part]
        return kept.data_ptr() + self.begin * size * kept.itemsize

    def groups(self) -> Iterator[tuple[int, Tensor]]:
        """The elements in the block, and which of its atoms they are."""
        element = self.state.element[self.begin : self.end]
        for z in element.unique().tolist():
            yield z, torch.nonzero(element == z).squeeze(1)


class Layer:
    """One layer in the layout of the kernels.

    Args:
        frozen: the layer.
        index: which one, from 0.
        channels: of the features.
        dtype: float32 or float64.
        table_rows: rows of the radial tables that an edge combines.
    """

    def __init__(
        self, frozen: FrozenLayer, index: int, channels: int, dtype: torch.dtype, table_rows: int
    ) -> None:
        self.frozen, self.index, self.dtype, self.table_rows = frozen, index, dtype, table_rows
        self.lanes = lanes_of(dtype)
        self.layout = Layout(frozen, index, channels, self.lanes)
        self.law = torch.tensor(frozen.divisor or (1.0, 0.0), dtype=dtype)
        self.weights = torch.zeros(*frozen.product.shape[:2], self.layout.contraction.channels, dtype=dtype)
        self.weights[:, :, :channels] = frozen.product
        self.products: dict[str, Products] = {}
        for name, m in self.layout.maps.items():
            packed = [
                Matrix(w, a, b, self.lanes, dtype)
                for w, a, b in zip(m.matrices, m.inputs, m.outputs, strict=False)
            ]
            products = partial(Products, packed, lanes=self.lanes, atoms=LARGEST_BLOCK)
            self.products[name] = products(m.x, m.y, add=m.add)
            self.products[f"{name} back"] = products(m.y, m.x, add=m.add_back, back=True)
        self.kernels: Kernels  # given by the plan, which compiles all layers at once

    def sources(self) -> list[Source]:
        """The code of `Kernels`, in their order."""
        source = partial(Source, precision=PRECISIONS[self.dtype])
        C, rows = self.layout.contraction.channels, self.table_rows
        return [
            source(product.FORWARD, write=partial(product.forward, product=self.layout.product, rows=rows)),
            source(
                product.REVERSE,
                write=partial(
                    product.reverse, product=self.layout.product, rows=rows, to_sender=self.index > 0
                ),
            ),
            source(pointwise.DIVISOR, write=partial(pointwise.divisor, rows=rows)),
            source(pointwise.DIVISOR_REVERSE, write=partial(pointwise.divisor_reverse, rows=rows)),
            source(pointwise.SCALE, write=partial(pointwise.scale, size=self.layout.message_size)),
            source(
                pointwise.SCALE_REVERSE, write=partial(pointwise.scale_reverse, size=self.layout.message_size)
            ),
            source(pointwise.GATE, write=partial(pointwise.gate, l_max=self.layout.l_max, channels=C)),
            source(
                pointwise.GATE_REVERSE,
                write=partial(pointwise.gate_reverse, l_max=self.layout.l_max, channels=C),
            ),
            source(contraction.FORWARD, write=partial(contraction.forward, c=self.layout.contraction)),
            source(contraction.REVERSE, write=partial(contraction.reverse, c=self.layout.contraction)),
            source(gemm.ARGUMENTS, write=gemm.gemm),
            source(pointwise.GATHER, write=pointwise.gather),
            source(pointwise.ADD, write=pointwise.add),
        ]

    # -- a block of atoms

    def forward(self, b: Block, table: Table) -> None:
        """From what travels to what is handed on: `u` and `carry` of the next layer."""
        A = self._many_body(b, self._messages(b, table))
        B = b.array("B", self.index, self.layout.product_size)
        self.kernels.contract(0, b.size, A, self._group(b), self.weights.data_ptr(), B)
        self._hand_on(b, B)

    def _messages(self, b: Block, table: Table) -> int:
        s, k = b.state, self.kernels
        m = b.array("m", self.index, self.layout.message_size)
        knots = (s.knot.data_ptr(), s.t.data_ptr())
        if table.density is not None:
            density = self._from_first(table.density, table, 1)
            inverse = s.arrays["inverse", self.index].data_ptr()
            k.divisor(s.first.data_ptr(), b.begin, b.end, *knots, density, self.law.data_ptr(), inverse)
        k.messages(*self._edges(b, table), m)
        if table.density is not None:
            k.scale(0, b.size, inverse + b.begin * self.dtype.itemsize, m)
        return m

    def _edges(self, b: Block, table: Table) -> tuple[int, ...]:
        """Arguments that both kernels of the convolution begin with."""
        s = b.state
        sender, h = (s.sender, s.arrays["u", self.index]) if self.index else (s.kind_of_sender, s.kinds.u)
        weights = self._from_first(
            table.weights, table, len(self.layout.product.paths) * self.layout.product.channels
        )
        edges = (
            s.first.data_ptr(),
            b.begin,
            b.end,
            sender.data_ptr(),
            h.data_ptr(),
            s.Y.data_ptr(),
            s.stride,
        )
        return (*edges, s.knot.data_ptr(), s.t.data_ptr(), weights)

    def _from_first(self, rows: Tensor, table: Table, size: int) -> int:
        """Address that row 0 would have."""
        return rows.data_ptr() - table.first_row * size * self.dtype.itemsize

    def _many_body(self, b: Block, m: int) -> int:
        """What enters the product, from messages."""
        A = b.array("A", self.index, self.layout.feature_size)
        if not self.layout.gated:
            self._multiply(b, "mix", m, A)
            return A
        x, y = (
            b.array("x", self.index, self.layout.gate_size),
            b.array("y", self.index, self.layout.feature_size),
        )
        if self.index:
            u = b.array("u", self.index, self.layout.u_in_size)
            self._multiply(b, "res", u, x)
        else:
            self._gather(b, b.state.kinds.res, x, self.layout.gate_size)
        self._multiply(b, "mix", m, x)
        self.kernels.gate(0, b.size, x, y)
        self._multiply(b, "second", y, A)
        return A

    def _hand_on(self, b: Block, B: int) -> None:
        u, carry = self._next(b, "u", self.layout.u_size), self._next(b, "carry", self.layout.carry_size)
        if self.index:
            before = b.array("carry", self.index, self.layout.carry_in_size)
            self._multiply(b, "carry_up", before, u)
            self._multiply(b, "carry_on", before, carry)
        else:
            if self.frozen.up:
                self._gather(b, b.state.kinds.u_next, u, self.layout.u_size)
            self._gather(b, b.state.kinds.carry, carry, self.layout.carry_size)
        self._multiply(b, "up", B, u)
        self._multiply(b, "carry", B, carry)

    def reverse(self, b: Block, table: Table) -> None:
        """From the gradients by what is handed on to those by harmonics, lengths and what travels."""
        s, k = b.state, self.kernels
        gu, gcarry = self._next(b, "gu", self.layout.u_size), self._next(b, "gcarry", self.layout.carry_size)
        if ("gu", self.index + 1) in s.arrays:
            self._add_parts(b, s.arrays["gu", self.index + 1])
            gu = (
                s.arrays["gu", self.index + 1].data_ptr() + b.begin * self.layout.u_size * self.dtype.itemsize
            )
        gB, gA = (
            b.array("gB", self.index, self.layout.product_size),
            b.array("gA", self.index, self.layout.feature_size),
        )
        # what is handed on of every l comes from the products of that l
        self._multiply(b, "up back", gu, gB)
        self._multiply(b, "carry back", gcarry, gB)
        if self.index:
            before = b.array("gcarry", self.index, self.layout.carry_in_size)
            self._multiply(b, "carry_on back", gcarry, before)
            self._multiply(b, "carry_up back", gu, before)
        A = b.array("A", self.index, self.layout.feature_size)
        k.contract_reverse(0, b.size, A, self._group(b), self.weights.data_ptr(), gB, gA)
        self._reverse_messages(b, table, self._reverse_many_body(b, gA))

    def _reverse_many_body(self, b: Block, gA: int) -> int:
        gm = b.array("gm", self.index, self.layout.message_size)
        if not self.layout.gated:
            self._multiply(b, "mix back", gA, gm)
            return gm
        gx, gy = (
            b.array("gx", self.index, self.layout.gate_size),
            b.array("gy", self.index, self.layout.feature_size),
        )
        self._multiply(b, "second back", gA, gy)
        self.kernels.gate_reverse(0, b.size, b.array("x", self.index, self.layout.gate_size), gy, gx)
        self._multiply(b, "mix back", gx, gm)
        if self.index:
            gu = b.array("gu", self.index, self.layout.u_in_size)
            self._multiply(b, "res back", gx, gu)
        return gm

    def _reverse_messages(self, b: Block, table: Table, gm: int) -> None:
        s, k = b.state, self.kernels
        knots = (s.knot.data_ptr(), s.t.data_ptr())
        slope = s.slope.data_ptr()
        if table.density is not None:
            density = self._from_first(table.density, table, 1)
            inverse = s.arrays["inverse", self.index].data_ptr() + b.begin * self.dtype.itemsize
            grho = b.array("grho", self.index, 1)
            m = b.array("m", self.index, self.layout.message_size)
            k.scale_reverse(0, b.size, inverse, self.law.data_ptr(), m, gm, grho)
            grho -= b.begin * self.dtype.itemsize
            k.divisor_reverse(s.first.data_ptr(), b.begin, b.end, *knots, density, grho, slope)
        gu = s.arrays["gu", self.index][b.part].data_ptr() if self.index else 0
        k.messages_reverse(*self._edges(b, table), gm, gu, s.gY.data_ptr(), slope)

    # -- inside

    def _next(self, b: Block, name: str, size: int) -> int:
        """Address of what is handed on, which belongs to the next layer."""
        return b.array(name, self.index + 1, size)

    def _group(self, b: Block) -> int:
        """Address of the index of the product's weights, for each atom of the block."""
        index = b.state.element if len(self.weights) > 1 else b.state.arrays["zero", 0]
        return index.data_ptr() + b.begin * index.itemsize

    def _gather(self, b: Block, table: Tensor | None, y: int, step: int) -> None:
        assert table is not None
        kind = b.state.kind.data_ptr() + b.begin * b.state.kind.itemsize
        self.kernels.gather(0, b.size, table.data_ptr(), kind, table.shape[1], y, step)

    def _add_parts(self, b: Block, parts: Tensor) -> None:
        """Add up what the threads found, into the first part."""
        at, size = b.begin * parts.shape[2], b.size * parts.shape[2]
        for part in parts[1:]:
            shift = at * parts.itemsize
            self.kernels.add(size, part.data_ptr() + shift, parts.data_ptr() + shift)

    def _multiply(self, b: Block, name: str, x: int, y: int) -> None:
        self.products[name](self.kernels.multiply, x, y, b.size, b.groups)
