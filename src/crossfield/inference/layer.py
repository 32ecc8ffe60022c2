"""One layer of a plan: its matrices and kernels, and what is done for a block of atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.inference.freeze import FrozenLayer, Kinds, Matrices
from crossfield.inference.matrices import Columns, Matrix, Products, Rows, filled, lanes_of
from crossfield.kernels.formulas.contraction import Contraction
from crossfield.kernels.formulas.convolution import Product
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


class Scratch:
    """Memory of one thread, for one block of atoms."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._kept: dict[str, Tensor] = {}

    def get(self, name: str, rows: int, size: int) -> Tensor:
        """An array (rows, size); what is in it is left over from before."""
        have = self._kept.get(name)
        if have is None or have.numel() < rows * size:
            have = self._kept[name] = torch.empty(rows * size, dtype=self.dtype)
        return have[: rows * size].view(rows, size)


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
        self.l_max = max(p.l3 for p in frozen.paths)
        self.L_in, self.L_out = max(p.l1 for p in frozen.paths), frozen.L_out
        self.gated = bool(frozen.second)
        self.law = torch.tensor(frozen.divisor or (1.0, 0.0), dtype=dtype)
        self._matrices(channels)
        C, Ce = filled(channels, self.lanes), filled(frozen.edge_channels, self.lanes)
        self.product = Product(frozen.paths, Ce)
        self.contraction = Contraction(self.l_max, self.L_out, frozen.correlation, C)
        self._rows(C, Ce)
        self.products = self._products()
        self.kernels: Kernels  # given by the plan, which compiles all layers at once

    def _matrices(self, channels: int) -> None:
        frozen, lanes = self.frozen, self.lanes

        def packed(matrices: Matrices, inputs: list[Columns], outputs: list[Columns]) -> list[Matrix]:
            return [
                Matrix(w, a, b, lanes, self.dtype) for w, a, b in zip(matrices, inputs, outputs, strict=False)
            ]

        def columns(matrices: Matrices, axis: int) -> list[Columns]:
            return [Columns(1, w.shape[axis], filled(w.shape[axis], lanes)) for w in matrices]

        ls = range(self.l_max + 1)
        C, Ce = filled(channels, lanes), filled(frozen.edge_channels, lanes)
        features = [Columns(1, channels, C) for _ in ls]
        messages = [Columns(sum(p.l3 == l for p in frozen.paths), frozen.edge_channels, Ce) for l in ls]
        gate = [Columns(1 + self.l_max if self.gated and l == 0 else 1, channels, C) for l in ls]
        self.mix = packed(frozen.mix, messages, gate)
        # what travels in the first layer is a constant of the kind of atom, and so is what follows from it
        res = frozen.res if self.index else []
        self.res = packed(res, [Columns(1, frozen.edge_channels, Ce) for _ in res], gate)
        self.second = packed(frozen.second, features, features)
        self.up = packed(frozen.up, features, columns(frozen.up, 2))
        self.carry = packed(frozen.carry, features, columns(frozen.carry, 2))
        self.carry_up = packed(frozen.carry_up, columns(frozen.carry_up, 1), columns(frozen.carry_up, 2))
        self.carry_on = packed(frozen.carry_on, columns(frozen.carry_on, 1), columns(frozen.carry_on, 2))
        self.weights = torch.zeros(*frozen.product.shape[:2], C, dtype=self.dtype)
        self.weights[:, :, :channels] = frozen.product

    def _rows(self, C: int, Ce: int) -> None:
        ls = range(self.l_max + 1)
        self.message_size = self.product.rows_out * Ce
        self.message_rows, at = [], 0
        for l in ls:
            paths = sum(p.l3 == l for p in self.frozen.paths)
            self.message_rows.append(Rows(self.message_size, at * Ce, paths * Ce, 2 * l + 1))
            at += paths * (2 * l + 1)
        self.gate_size = ((self.l_max + 1) ** 2 + self.l_max) * C
        self.gate_rows = [
            Rows(self.gate_size, (self.l_max + l * l) * C if l else 0, C, 2 * l + 1) for l in ls
        ]
        self.feature_size, self.feature_rows = _by_l([C] * (self.l_max + 1))
        self.product_size, self.product_rows = _by_l([C] * (self.L_out + 1))
        self.u_in_size, self.u_in_rows = _by_l([Ce] * (self.L_in + 1))
        self.u_size, self.u_rows = _by_l([m.outputs for m in self.up])
        self.carry_size, self.carry_rows = _by_l([m.outputs for m in self.carry])
        before = max(self.carry_on, self.carry_up, key=len)  # behind the last layer there are only scalars
        self.carry_in_size, self.carry_in_rows = _by_l([m.inputs for m in before])

    def _products(self) -> dict[str, Products]:
        """All products of matrices, forward and back."""
        mixed = self.gate_rows if self.gated else self.feature_rows
        first = not self.index  # whose atoms begin with constants of their kinds, where others have products
        through: dict[str, tuple[list[Matrix], list[Rows], list[Rows]]] = {
            "res": (self.res, self.u_in_rows, self.gate_rows),
            "mix": (self.mix, self.message_rows, mixed),
            "second": (self.second, self.feature_rows, self.feature_rows),
            "carry_up": (self.carry_up, self.carry_in_rows, self.u_rows),
            "carry_on": (self.carry_on, self.carry_in_rows, self.carry_rows),
            "up": (self.up, self.product_rows, self.u_rows),
            "carry": (self.carry, self.product_rows, self.carry_rows),
        }
        add = {
            "mix": (1 if first else len(self.res)) if self.gated else 0,
            "up": 1 if first else len(self.carry_up),
            "carry": 1 if first else len(self.carry_on),
            "carry back": len(self.up),
            "carry_up back": len(self.carry_on),
            "res back": len(self.res),
        }
        found = {}
        for name, (matrices, x, y) in through.items():
            back = f"{name} back"
            products = partial(Products, matrices, lanes=self.lanes, atoms=LARGEST_BLOCK)
            found[name] = products(x, y, add=add.get(name, 0))
            found[back] = products(y, x, add=add.get(back, 0), back=True)
        return found

    def sources(self) -> list[Source]:
        """The code of `Kernels`, in their order."""
        source = partial(Source, precision=PRECISIONS[self.dtype])
        C, rows = self.contraction.channels, self.table_rows
        return [
            source(product.FORWARD, write=partial(product.forward, product=self.product, rows=rows)),
            source(
                product.REVERSE,
                write=partial(product.reverse, product=self.product, rows=rows, to_sender=self.index > 0),
            ),
            source(pointwise.DIVISOR, write=partial(pointwise.divisor, rows=rows)),
            source(pointwise.DIVISOR_REVERSE, write=partial(pointwise.divisor_reverse, rows=rows)),
            source(pointwise.SCALE, write=partial(pointwise.scale, size=self.message_size)),
            source(pointwise.SCALE_REVERSE, write=partial(pointwise.scale_reverse, size=self.message_size)),
            source(pointwise.GATE, write=partial(pointwise.gate, l_max=self.l_max, channels=C)),
            source(
                pointwise.GATE_REVERSE,
                write=partial(pointwise.gate_reverse, l_max=self.l_max, channels=C),
            ),
            source(contraction.FORWARD, write=partial(contraction.forward, c=self.contraction)),
            source(contraction.REVERSE, write=partial(contraction.reverse, c=self.contraction)),
            source(gemm.ARGUMENTS, write=gemm.gemm),
            source(pointwise.GATHER, write=pointwise.gather),
            source(pointwise.ADD, write=pointwise.add),
        ]

    # -- a block of atoms

    def forward(self, b: Block, table: Table) -> None:
        """From what travels to what is handed on: `u` and `carry` of the next layer."""
        A = self._many_body(b, self._messages(b, table))
        B = b.array("B", self.index, self.product_size)
        self.kernels.contract(0, b.size, A, self._group(b), self.weights.data_ptr(), B)
        self._hand_on(b, B)

    def _messages(self, b: Block, table: Table) -> int:
        s, k = b.state, self.kernels
        m = b.array("m", self.index, self.message_size)
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
        weights = self._from_first(table.weights, table, len(self.product.paths) * self.product.channels)
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
        A = b.array("A", self.index, self.feature_size)
        if not self.gated:
            self._multiply(b, "mix", m, A)
            return A
        x, y = b.array("x", self.index, self.gate_size), b.array("y", self.index, self.feature_size)
        if self.index:
            u = b.array("u", self.index, self.u_in_size)
            self._multiply(b, "res", u, x)
        else:
            self._gather(b, b.state.kinds.res, x, self.gate_size)
        self._multiply(b, "mix", m, x)
        self.kernels.gate(0, b.size, x, y)
        self._multiply(b, "second", y, A)
        return A

    def _hand_on(self, b: Block, B: int) -> None:
        u, carry = self._next(b, "u", self.u_size), self._next(b, "carry", self.carry_size)
        if self.index:
            before = b.array("carry", self.index, self.carry_in_size)
            self._multiply(b, "carry_up", before, u)
            self._multiply(b, "carry_on", before, carry)
        else:
            if self.up:
                self._gather(b, b.state.kinds.u_next, u, self.u_size)
            self._gather(b, b.state.kinds.carry, carry, self.carry_size)
        self._multiply(b, "up", B, u)
        self._multiply(b, "carry", B, carry)

    def reverse(self, b: Block, table: Table) -> None:
        """From the gradients by what is handed on to those by harmonics, lengths and what travels."""
        s, k = b.state, self.kernels
        gu, gcarry = self._next(b, "gu", self.u_size), self._next(b, "gcarry", self.carry_size)
        if ("gu", self.index + 1) in s.arrays:
            self._add_parts(b, s.arrays["gu", self.index + 1])
            gu = s.arrays["gu", self.index + 1].data_ptr() + b.begin * self.u_size * self.dtype.itemsize
        gB, gA = b.array("gB", self.index, self.product_size), b.array("gA", self.index, self.feature_size)
        # what is handed on of every l comes from the products of that l
        self._multiply(b, "up back", gu, gB)
        self._multiply(b, "carry back", gcarry, gB)
        if self.index:
            before = b.array("gcarry", self.index, self.carry_in_size)
            self._multiply(b, "carry_on back", gcarry, before)
            self._multiply(b, "carry_up back", gu, before)
        A = b.array("A", self.index, self.feature_size)
        k.contract_reverse(0, b.size, A, self._group(b), self.weights.data_ptr(), gB, gA)
        self._reverse_messages(b, table, self._reverse_many_body(b, gA))

    def _reverse_many_body(self, b: Block, gA: int) -> int:
        gm = b.array("gm", self.index, self.message_size)
        if not self.gated:
            self._multiply(b, "mix back", gA, gm)
            return gm
        gx, gy = b.array("gx", self.index, self.gate_size), b.array("gy", self.index, self.feature_size)
        self._multiply(b, "second back", gA, gy)
        self.kernels.gate_reverse(0, b.size, b.array("x", self.index, self.gate_size), gy, gx)
        self._multiply(b, "mix back", gx, gm)
        if self.index:
            gu = b.array("gu", self.index, self.u_in_size)
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
            m = b.array("m", self.index, self.message_size)
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


def _by_l(widths: list[int]) -> tuple[int, list[Rows]]:
    """Size of an atom's numbers, and rows of every l of a width each."""
    size = sum((2 * l + 1) * width for l, width in enumerate(widths))
    rows, at = [], 0
    for l, width in enumerate(widths):
        rows.append(Rows(size, at, width, 2 * l + 1))
        at += (2 * l + 1) * width
    return size, rows
