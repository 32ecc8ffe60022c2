"""Sums over the edges of an atom and the atoms of a structure."""

from __future__ import annotations

from torch import Tensor


def segment_sum(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Sum the rows of `values` (E, ...) that share an `index` (E,): (size, ...); empty rows are zero."""
    return values.new_zeros(size, *values.shape[1:]).index_add(0, index, values)
