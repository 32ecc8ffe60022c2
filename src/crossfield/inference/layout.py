"""Where the numbers of a layer are: rows of every l, and the matrices between them.

An atom has a row of numbers of each kind, and in it, for every l, one row of channels for each component.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.inference.freeze import FrozenLayer, Kinds, Matrices
from crossfield.kernels.formulas.contraction import Contraction
from crossfield.kernels.formulas.convolution import Product


def filled(size: int, lanes: int) -> int:
    """The next multiple of the lanes of a vector."""
    return -(-size // lanes) * lanes


class Columns(NamedTuple):
    """Columns of a row: `times` as many as `size` numbers, which are filled up to `padded`."""

    times: int
    size: int
    padded: int

    @property
    def width(self) -> int:
        return self.times * self.padded


class Rows(NamedTuple):
    """Where rows of numbers are: `components` of every atom, `step` apart and beginning at `first`.

    `stride` is the distance from one atom to the next. All are counted in real numbers.
    """

    stride: int
    first: int
    step: int
    components: int


def padded(values: Tensor, inputs: Columns, outputs: Columns) -> Tensor:
    """Matrices (groups, inputs, outputs) with zeros where rows and columns are filled up."""
    groups = len(values)
    full = values.new_zeros(groups, inputs.times, inputs.padded, outputs.times, outputs.padded)
    full[:, :, : inputs.size, :, : outputs.size] = values.reshape(
        groups, inputs.times, inputs.size, outputs.times, outputs.size
    )
    return full.reshape(groups, inputs.width, outputs.width)


def padded_kinds(kinds: Kinds, channels: int, lanes: int, dtype: torch.dtype) -> Kinds:
    """What atoms start with, in rows that are filled up.

    Args:
        kinds: as frozen.
        channels: of the features.
        lanes: of a vector.
        dtype: of the result.
    """

    def fill(x: Tensor | None, size: int | None = None) -> Tensor | None:
        if x is None:
            return None
        size = size or x.shape[1]
        x = x.unflatten(1, (-1, size))
        out = torch.zeros(*x.shape[:2], filled(size, lanes), dtype=dtype)
        out[:, :, :size] = x
        return out.flatten(1)

    u, carry = fill(kinds.u), fill(kinds.carry)
    assert u is not None
    assert carry is not None
    return Kinds(u, fill(kinds.res, channels), fill(kinds.u_next), carry, kinds.offset)


class Map(NamedTuple):
    """A linear map of rows, for every l."""

    matrices: Matrices
    inputs: list[Columns]
    outputs: list[Columns]
    x: list[Rows]
    y: list[Rows]
    add: int = 0  # forward, the first so many l are added to what is there
    add_back: int = 0  # and in reverse


class Layout:
    """Sizes, rows and maps of one layer.

    Args:
        frozen: the layer.
        index: which one, from 0.
        channels: of the features.
        lanes: of a vector: rows of channels are filled up to whole ones.
    """

    def __init__(self, frozen: FrozenLayer, index: int, channels: int, lanes: int) -> None:
        self.frozen, self.index = frozen, index
        self.l_max = max(p.l3 for p in frozen.paths)
        self.L_in, self.L_out = max(p.l1 for p in frozen.paths), frozen.L_out
        self.gated = bool(frozen.second)
        C, Ce = filled(channels, lanes), filled(frozen.edge_channels, lanes)
        self.product = Product(frozen.paths, Ce)
        self.contraction = Contraction(self.l_max, self.L_out, frozen.correlation, C)
        ls = range(self.l_max + 1)
        paths = [sum(p.l3 == l for p in frozen.paths) for l in ls]

        def columns(matrices: Sequence[Tensor], axis: int) -> list[Columns]:
            return [Columns(1, w.shape[axis], filled(w.shape[axis], lanes)) for w in matrices]

        feature = [Columns(1, channels, C) for _ in ls]
        message = [Columns(n, frozen.edge_channels, Ce) for n in paths]
        gate = [Columns(1 + self.l_max if self.gated and l == 0 else 1, channels, C) for l in ls]
        u_in = [Columns(1, frozen.edge_channels, Ce) for _ in range(self.L_in + 1)]
        # behind the last layer there are only scalars
        carry_in = columns(max(frozen.carry_on, frozen.carry_up, key=len), 1)
        u, carry = columns(frozen.up, 2), columns(frozen.carry, 2)

        self.message_size, self.message_rows = _by_l([c.width for c in message])
        # the gates follow the scalars
        self.gate_size, self.gate_rows = _by_l([c.width for c in gate])
        self.feature_size, self.feature_rows = _by_l([C] * (self.l_max + 1))
        self.product_size, self.product_rows = _by_l([C] * (self.L_out + 1))
        self.u_in_size, self.u_in_rows = _by_l([c.width for c in u_in])
        self.u_size, self.u_rows = _by_l([c.width for c in u])
        self.carry_size, self.carry_rows = _by_l([c.width for c in carry])
        self.carry_in_size, self.carry_in_rows = _by_l([c.width for c in carry_in])

        # what travels in the first layer is a constant of the kind of atom, and so is what follows from it
        first = not index
        res = [] if first else frozen.res
        mixed = self.gate_rows if self.gated else self.feature_rows
        self.maps = {
            "res": Map(res, u_in, gate, self.u_in_rows, self.gate_rows, 0, len(res)),
            "mix": Map(
                frozen.mix,
                message,
                gate,
                self.message_rows,
                mixed,
                (1 if first else len(res)) if self.gated else 0,
            ),
            "second": Map(frozen.second, feature, feature, self.feature_rows, self.feature_rows),
            "carry_up": Map(
                frozen.carry_up, carry_in, u, self.carry_in_rows, self.u_rows, 0, len(frozen.carry_on)
            ),
            "carry_on": Map(frozen.carry_on, carry_in, carry, self.carry_in_rows, self.carry_rows),
            "up": Map(
                frozen.up, feature, u, self.product_rows, self.u_rows, 1 if first else len(frozen.carry_up)
            ),
            "carry": Map(
                frozen.carry,
                feature,
                carry,
                self.product_rows,
                self.carry_rows,
                1 if first else len(frozen.carry_on),
                len(frozen.up),
            ),
        }


def _by_l(widths: Sequence[int]) -> tuple[int, list[Rows]]:
    """Size of an atom's numbers, and rows of every l of a width each."""
    size = sum((2 * l + 1) * width for l, width in enumerate(widths))
    rows, at = [], 0
    for l, width in enumerate(widths):
        rows.append(Rows(size, at, width, 2 * l + 1))
        at += (2 * l + 1) * width
    return size, rows
