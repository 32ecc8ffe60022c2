"""Matrices and rows in the layout of the kernels: channels filled up to whole vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.inference.layout import Columns, Rows, padded
from crossfield.kernels.native.build import Function, host
from crossfield.kernels.native.gemm import JOB, pack


def lanes_of(dtype: torch.dtype) -> int:
    """Lanes of a vector on this machine."""
    return host().machine.vector_bytes // dtype.itemsize


def places(rows: Rows, atoms: Tensor) -> Tensor:
    """Places of rows of these atoms, one component after the other."""
    inner = rows.first + rows.step * torch.arange(rows.components)
    return (atoms.unsqueeze(1) * rows.stride + inner).flatten()


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
        full = padded(values, inputs, outputs).to(dtype)
        self.inputs, self.outputs = full.shape[1], full.shape[2]
        self.forward = [pack(w, lanes) for w in full]
        self.reverse = [pack(w.T, lanes) for w in full]

    @property
    def groups(self) -> int:
        return len(self.forward)


class Products:
    """Rows of every l times its matrix, in one call.

    Args:
        matrices: per l.
        x_rows, y_rows: where the rows of every l are.
        lanes: of a vector.
        back: whether the matrices are transposed, so that y and x change places.
        add: the first so many l are added to what is there.
        atoms: at most so many are worked on at a time.
    """

    def __init__(
        self,
        matrices: Sequence[Matrix],
        x_rows: Sequence[Rows],
        y_rows: Sequence[Rows],
        lanes: int,
        *,
        atoms: int,
        back: bool = False,
        add: int = 0,
    ) -> None:
        self._jobs = [
            _Job(
                packed=m.reverse if back else m.forward,
                inner=m.outputs if back else m.inputs,
                vectors=(m.inputs if back else m.outputs) // lanes,
                x_rows=x_rows[l],
                y_rows=y_rows[l],
                add=l < add,
            )
            for l, m in enumerate(matrices)
        ]
        groups = max((m.groups for m in matrices), default=1)
        self._all = None if groups > 1 else _Table([job.of(None, atoms) for job in self._jobs])

    def __call__(self, kernel: Function, x: int, y: int, atoms: int, groups: Groups) -> None:
        """Multiply.

        Args:
            kernel: of `gemm`.
            x, y: addresses.
            atoms: how many.
            groups: which of them have which matrix, where these differ.
        """
        if not self._jobs:
            return
        if self._all is not None:
            self._all.run(kernel, atoms, x, y)
            return
        for number, members in groups():
            table = _Table([job.of(number, members) for job in self._jobs])
            table.run(kernel, len(members), x, y)


Groups = Callable[[], Iterable[tuple[int, Tensor]]]


class _Job(NamedTuple):
    packed: list[Tensor]
    inner: int
    vectors: int
    x_rows: Rows
    y_rows: Rows
    add: bool

    def of(self, group: int | None, atoms: Tensor | int) -> _Written:
        """For the first atoms, or for the atoms of a group."""
        chosen = torch.arange(atoms) if isinstance(atoms, int) else atoms
        x, y = places(self.x_rows, chosen), places(self.y_rows, chosen)
        packed = self.packed[group or 0] if len(self.packed) > 1 else self.packed[0]
        components, addresses = self.x_rows.components, (x.data_ptr(), packed.data_ptr(), y.data_ptr())
        numbers = (components, self.inner, *addresses[:2], self.vectors, addresses[2], int(self.add))
        return _Written(numbers, (x, y))


class _Written(NamedTuple):
    numbers: tuple[int, ...]  # as `gemm.JOB`
    kept: tuple[Tensor, ...]  # what they point to


class _Table:
    """Jobs as the kernel reads them."""

    def __init__(self, jobs: Sequence[_Written]) -> None:
        self._jobs = jobs
        self._numbers = torch.tensor([job.numbers for job in jobs], dtype=torch.int64).reshape(-1, len(JOB))
        self._address = self._numbers.data_ptr()

    def run(self, kernel: Function, atoms: int, x: int, y: int) -> None:
        kernel(self._address, len(self._jobs), atoms, x, y)
