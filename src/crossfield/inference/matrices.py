"""Matrices and rows in the layout of the kernels: channels filled up to whole vectors."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.kernels.native.gemm import pack


def filled(size: int, lanes: int) -> int:
    """The next multiple of the lanes of a vector."""
    return -(-size // lanes) * lanes


class Columns(NamedTuple):
    """Columns of a row: `times` as many as `size` numbers, which are filled up to `padded`."""

    times: int
    size: int
    padded: int


class Rows(NamedTuple):
    """Where rows of numbers are: `components` of every atom, `step` apart and beginning at `first`.

    `stride` is the distance from one atom to the next. All are counted in real numbers.
    """

    stride: int
    first: int
    step: int
    components: int

    def of(self, atoms: Tensor) -> Tensor:
        """Places for these atoms, one component after the other."""
        inner = self.first + self.step * torch.arange(self.components)
        return (atoms.unsqueeze(1) * self.stride + inner).flatten()

    def all(self, atoms: int) -> Tensor:
        """Places for the first atoms."""
        return _all(self, atoms)


@cache
def _all(rows: Rows, atoms: int) -> Tensor:
    return rows.of(torch.arange(atoms))


class Matrix:
    """A matrix, or one for each group of atoms, packed for products in both directions.

    Args:
        values: (groups, inputs, outputs).
        inputs, outputs: how its rows and columns lie in memory.
        lanes: of a vector.
        dtype: of the packed numbers.
    """

    def __init__(
        self, values: Tensor, inputs: Columns, outputs: Columns, lanes: int, dtype: torch.dtype
    ) -> None:
        groups = len(values)
        full = torch.zeros(groups, inputs.times, inputs.padded, outputs.times, outputs.padded, dtype=dtype)
        full[:, :, : inputs.size, :, : outputs.size] = values.reshape(
            groups, inputs.times, inputs.size, outputs.times, outputs.size
        ).to(dtype)
        full = full.reshape(groups, inputs.times * inputs.padded, outputs.times * outputs.padded)
        self.inputs, self.outputs = full.shape[1], full.shape[2]
        self.forward = [pack(w, lanes) for w in full]
        self.reverse = [pack(w.T, lanes) for w in full]

    @property
    def groups(self) -> int:
        return len(self.forward)
