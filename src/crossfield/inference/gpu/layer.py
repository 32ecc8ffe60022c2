"""One layer of a plan on a GPU: its kernels, and what is done for a block of atoms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.inference.freeze import FrozenLayer, Kinds
from crossfield.inference.gpu.products import Groups, Precision, Products
from crossfield.inference.layout import Layout
from crossfield.inference.memory import Memory
from crossfield.kernels.connectivity import Edges, Outgoing
from crossfield.kernels.formulas.convolution import Coefficients
from crossfield.kernels.gpu import contraction, pointwise, rows, tensor_product
from crossfield.kernels.gpu.build import Source, launch
from crossfield.kernels.gpu.launch.contraction import LANES as NARROW
from crossfield.kernels.gpu.launch.contraction import TOGETHER
from crossfield.kernels.gpu.launch.convolution import ROWS
from crossfield.kernels.gpu.launch.tiles import Tiles, blocks, rows_of
from crossfield.kernels.writing import Write

LANES = 16  # numbers that rows are filled up to: threads read four at once, and matrices are in tiles
ENTRIES = 40  # coefficients of the harmonics of a program in reverse: what registers hold, with any Triton


class Table(NamedTuple):
    """Radial functions of a layer: polynomials, or values and slopes for every edge."""

    weights: Tensor  # (rows, numbers, paths, channels)
    density: Tensor | None  # (rows, numbers)

    @property
    def numbers(self) -> int:
        return self.weights.shape[1]


@dataclass
class State:
    """The structures in hand, and what is kept of them between passes over the layers."""

    memory: Memory
    edges: Edges
    out: Outgoing
    kind: Tensor  # (N,) row of `kinds`
    kind_of_sender: Tensor  # (E,)
    element: Tensor  # (N,) index among the plan's elements
    zero: Tensor  # (N,) zeros, int64
    groups: list[Groups | None]  # of each block of atoms
    kinds: Kinds
    Y: Tensor  # (components, E) harmonics
    gY: Tensor  # (parts, components, E) gradient by them, to be added to
    slope: Tensor  # (parts, E) derivative by the length of an edge, likewise
    knot: Tensor  # (E,) row of the table
    s: Tensor  # (E,) and how far behind its knot

    @property
    def num_atoms(self) -> int:
        return len(self.element)

    def take(self, other: State) -> None:
        """Become the same as another of as many atoms, structures and edges, where it is."""
        pairs = [
            (getattr(self, name), getattr(other, name)) for name in ("kind", "kind_of_sender", "element")
        ]
        pairs += zip(self.kinds, other.kinds, strict=True)
        for mine, theirs in zip(self.groups, other.groups, strict=True):
            pairs += zip(mine or (), theirs or (), strict=True)
        for to, value in pairs:
            if to is not None and to is not value:
                to.copy_(value)

    def array(self, name: str, layer: int, size: int) -> Tensor:
        """Of all atoms (N, size)."""
        return self.memory.array(name, layer, (self.num_atoms, size))

    @property
    def num_edges(self) -> int:
        return self.Y.shape[1]


class Block(NamedTuple):
    """Some neighbouring atoms."""

    state: State
    begin: int
    end: int
    groups: Groups | None
    scratch: Callable[[str, int, int], Tensor]  # of the block's atoms: name, layer, numbers of an atom

    @property
    def size(self) -> int:
        return self.end - self.begin

    def of_all(self, name: str, layer: int, size: int) -> Tensor:
        """The block's rows of an array of all atoms."""
        return self.state.array(name, layer, size)[self.begin : self.end]


class GpuLayer:
    """One layer in the layout of the kernels.

    Args:
        frozen: the layer.
        index: which one, from 0.
        channels: of the features.
        dtype: float32 or float64.
        device: where it is.
        precision: of products with matrices in single precision.
    """

    def __init__(
        self,
        frozen: FrozenLayer,
        index: int,
        channels: int,
        dtype: torch.dtype,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.frozen, self.index, self.dtype = frozen, index, dtype
        self.layout = Layout(frozen, index, channels, LANES)
        self.law = torch.tensor(frozen.divisor or (1.0, 0.0), dtype=dtype, device=device)
        weights = torch.zeros(*frozen.product.shape[:2], self.layout.contraction.channels, dtype=dtype)
        weights[:, :, :channels] = frozen.product
        self.weights = weights.to(device)
        self.products = {name: Products(m, dtype, device, precision) for name, m in self.layout.maps.items()}

    @property
    def scratch_size(self) -> int:
        """Numbers of an atom in scratch memory."""
        x = self.layout
        return 2 * x.message_size + 2 * x.gate_size + 3 * x.feature_size + x.product_size

    @property
    def groups(self) -> int:
        """How many groups of atoms have matrices of their own."""
        return max(p.groups for p in self.products.values())

    # -- forward

    def forward(self, b: Block, table: Table) -> None:
        """From what travels to what is handed on: `u` and `carry` of the next layer."""
        self._many_body(b, table)
        B, A = b.scratch("B", self.index, self.layout.product_size), self._features(b)
        self._contract(b, contraction.FORWARD, contraction.forward, A, self.weights, B)
        self._hand_on(b, B)

    def _features(self, b: Block) -> Tensor:
        """What enters the product."""
        return b.scratch("A", self.index, self.layout.feature_size)

    def _many_body(self, b: Block, table: Table) -> None:
        """What enters the product, from what travels."""
        layout = self.layout
        m, A = b.scratch("m", self.index, layout.message_size), self._features(b)
        self._messages(b, table, m)
        if not layout.gated:
            self._multiply(b, "mix", m, A)
            return
        x = b.scratch("x", self.index, layout.gate_size)
        if self.index:
            self._multiply(b, "res", b.of_all("u", self.index, layout.u_in_size), x)
        else:
            self._gather(b, b.state.kinds.res, x)
        self._multiply(b, "mix", m, x)
        y = b.scratch("y", self.index, layout.feature_size)
        self._pointwise(b, pointwise.GATE, pointwise.gate, x, y)
        self._multiply(b, "second", y, A)

    def _messages(self, b: Block, table: Table, m: Tensor) -> None:
        s, product = b.state, self.layout.product
        divided = table.density is not None
        inverse = s.array("inverse", self.index, 1) if divided else s.Y
        if table.density is not None:
            R = rows_of(b.size, 128, m)
            launch(
                rows.divisor,
                [blocks(b.size, R)],
                *(s.edges.first, s.knot, s.s, table.density, self.law, inverse, b.begin, b.end),
                KNOT=table.numbers,
                ROWS=R,
            )
        tiles = Tiles.of(b.size, product.channels, m)
        sender, h = self._senders(s)
        for paths in product.groups(lambda p: 2 * product.paths[p].l3 + 1, ROWS):
            write = Write(
                tensor_product.messages,
                product=product,
                paths=tuple(paths),
                knot=table.numbers,
                divided=divided,
            )
            launch(
                Source(tensor_product.MESSAGES, self.dtype, write),
                tiles.grid,
                *(s.edges.first, sender, h, s.Y, s.knot, s.s, table.weights, inverse, m),
                *(b.begin, b.end, s.num_edges),
                **tiles.sizes,
            )

    def _senders(self, s: State) -> tuple[Tensor, Tensor]:
        """Which rows travel along the edges; in the first layer, those of the sender's kind."""
        if self.index:
            return s.edges.sender, s.array("u", self.index, self.layout.u_in_size)
        return s.kind_of_sender, s.kinds.u

    def _hand_on(self, b: Block, B: Tensor) -> None:
        u, carry = self._next(b, "u", self.layout.u_size), self._next(b, "carry", self.layout.carry_size)
        if self.index:
            before = b.of_all("carry", self.index, self.layout.carry_in_size)
            self._multiply(b, "carry_up", before, u)
            self._multiply(b, "carry_on", before, carry)
        else:
            if self.frozen.up:
                self._gather(b, b.state.kinds.u_next, u)
            self._gather(b, b.state.kinds.carry, carry)
        self._multiply(b, "up", B, u)
        self._multiply(b, "carry", B, carry)

    # -- reverse

    def reverse(self, b: Block, table: Table, *, again: bool) -> None:
        """From the gradients by what is handed on to those by the messages, `gm`, and past them.

        With `again`, what the forward pass left in scratch memory is not there any more.
        """
        if again:
            self._many_body(b, table)
        layout = self.layout
        gu, gcarry = self._next(b, "gu", layout.u_size), self._next(b, "gcarry", layout.carry_size)
        gB = b.scratch("gB", self.index, layout.product_size)
        # what is handed on of every l comes from the products of that l
        self._multiply(b, "up", gB, gu, back=True)
        self._multiply(b, "carry", gB, gcarry, back=True)
        if self.index:
            before = b.of_all("gcarry", self.index, layout.carry_in_size)
            self._multiply(b, "carry_on", before, gcarry, back=True)
            self._multiply(b, "carry_up", before, gu, back=True)
        A, gA = self._features(b), b.scratch("gA", self.index, layout.feature_size)
        self._contract(b, contraction.BY_FEATURES, contraction.by_features, A, self.weights, gB, gA)
        gm = self.by_messages(b)
        if not layout.gated:
            self._multiply(b, "mix", gm, gA, back=True)
        else:
            x, gx = (b.scratch(name, self.index, layout.gate_size) for name in ("x", "gx"))
            gy = b.scratch("gy", self.index, layout.feature_size)
            self._multiply(b, "second", gy, gA, back=True)
            self._pointwise(b, pointwise.GATE_BACKWARD, pointwise.gate_backward, x, gy, gx)
            self._multiply(b, "mix", gm, gx, back=True)
            if self.index:
                self._multiply(b, "res", b.of_all("gu", self.index, layout.u_in_size), gx, back=True)
        if table.density is not None:
            self._divided(b, gm)

    def by_messages(self, b: Block) -> Tensor:
        """The gradient by messages: of all atoms, where these are found through their senders."""
        place = b.of_all if self.index else b.scratch
        return place("gm", self.index, self.layout.message_size)

    def _divided(self, b: Block, gm: Tensor) -> None:
        """Past the divisor of the messages."""
        s = b.state
        R, C = rows_of(b.size, 4, gm), rows_of(gm.shape[1], 256, gm)
        launch(
            rows.scale_reverse,
            [blocks(b.size, R)],
            *(b.of_all("inverse", self.index, 1), self.law, b.scratch("m", self.index, gm.shape[1]), gm),
            *(s.array("grho", self.index, 1)[b.begin :], b.size, gm.shape[1]),
            ROWS=R,
            COLUMNS=C,
        )

    def reverse_messages(self, s: State, table: Table, begin: int, end: int, gm: Tensor) -> None:
        """From the gradient by messages to those by harmonics and lengths.

        In the first layer, for the edges that the atoms begin <= i < end receive, of which gm is; in others
        for all edges, and by what travels, `gu`, to which it is added.
        """
        product, to_sender = self.layout.product, self.index > 0
        tiles = Tiles.of(end - begin, product.channels, gm)
        sender, h = self._senders(s)
        entries = [len(t) for t in Coefficients(product.paths).entries]
        for paths in product.groups(lambda p: entries[p], ENTRIES):
            write = Write(
                tensor_product.messages_reverse,
                product=product,
                paths=tuple(paths),
                knot=table.numbers,
                to_sender=to_sender,
            )
            given = (h, s.Y, s.knot, s.s, table.weights, gm)
            if to_sender:
                gu = s.array("gu", self.index, self.layout.u_in_size)
                source = Source(tensor_product.MESSAGES_TO_SENDER, self.dtype, write)
                arguments: tuple[Tensor, ...] = (*s.out, *given, gu)
            else:
                source = Source(tensor_product.MESSAGES_REVERSE, self.dtype, write)
                arguments = (s.edges.first, sender, *given)
            found = (s.gY, s.slope, begin, end, s.num_edges)
            launch(source, tiles.grid, *arguments, *found, **tiles.sizes)

    # -- inside

    def _next(self, b: Block, name: str, size: int) -> Tensor:
        """What is handed on, which belongs to the next layer."""
        return b.of_all(name, self.index + 1, size)

    def _multiply(self, b: Block, name: str, x: Tensor, y: Tensor, *, back: bool = False) -> None:
        self.products[name](x, y, b.groups, back=back)

    def _contract(
        self, b: Block, names: tuple[str, ...], write: Callable[..., None], A: Tensor, *others: Tensor
    ) -> None:
        c, s = self.layout.contraction, b.state
        tiles = Tiles.of(b.size, c.channels, A, each=TOGETHER, widest=NARROW)
        group = (s.element if len(self.weights) > 1 else s.zero)[b.begin : b.end]
        source = Source(names, self.dtype, Write(write, c=c))
        launch(source, tiles.grid, A, group, *others, b.size, **tiles.sizes)

    def _pointwise(
        self, b: Block, names: tuple[str, ...], write: Callable[..., None], *arrays: Tensor
    ) -> None:
        C = self.layout.contraction.channels
        tiles = Tiles.of(b.size, C, arrays[0])
        source = Source(names, self.dtype, Write(write, l_max=self.layout.l_max, channels=C))
        launch(source, tiles.grid, *arrays, b.size, **tiles.sizes)

    def _gather(self, b: Block, table: Tensor | None, y: Tensor) -> None:
        assert table is not None
        tiles = Tiles.of(b.size, table.shape[1], y)
        R, C = tiles.sizes["ROWS"], tiles.sizes["CHANNELS"]
        launch(
            rows.gather,
            tiles.grid,
            *(table, b.state.kind[b.begin : b.end], y, b.size, table.shape[1], y.stride(0)),
            ROWS=R,
            COLUMNS=C,
        )
