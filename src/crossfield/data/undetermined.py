"""What compositions do not determine, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

ROUND_OFF = 1e-6  # relative to the largest entry
LISTED = 3  # combinations that are told

Matrix = NDArray[np.float64]


def reduced(combinations: Matrix) -> Matrix:
    """Combinations (rows) that span the same space with as few unknowns in each as elimination gives.

    Args:
        combinations: (rows, unknowns) of full rank.
    """
    rows = combinations / np.abs(combinations).max(axis=1, keepdims=True)
    done = 0
    for column in range(rows.shape[1]):
        if done == len(rows):
            break
        pivot = done + int(np.abs(rows[done:, column]).argmax())
        if abs(rows[pivot, column]) < ROUND_OFF:
            continue
        rows[[done, pivot]] = rows[[pivot, done]]
        rows[done] /= rows[done, column]
        others = np.arange(len(rows)) != done
        rows[others] -= np.outer(rows[others, column], rows[done])
        done += 1
    rows[np.abs(rows) < ROUND_OFF] = 0.0
    return rows


def describe(combinations: Matrix, elements: Sequence[int]) -> str:
    """What may change in the energies of elements without a change in the energy of any frame.

    Args:
        combinations: (rows, elements) changes in energy, at least one; see `reduced`.
        elements: their atomic numbers.
    """
    told = [_sentence(row, elements) for row in combinations[:LISTED]]
    if more := len(combinations) - len(told):
        told.append(f"and {more} more such {'combinations' if more > 1 else 'combination'}")
    return "; ".join(told)


def _sentence(row: NDArray[np.float64], elements: Sequence[int]) -> str:
    involved = [int(k) for k in np.flatnonzero(row)]
    names = [chemical_symbols[elements[k]] for k in involved]
    change = row[involved] / np.abs(row[involved]).min()
    if len(involved) == 2 and change[0] * change[1] < 0:
        # a change of energy is the inverse of the amount
        a, b = np.abs(change[::-1])
        known = f"{_times(a)}E0({names[0]}) + {_times(b)}E0({names[1]})"
        return f"{names[0]} and {names[1]} occur only as {a:.3g}:{b:.3g}, so that only {known} is known"
    change *= np.sign(change[0])
    up = [f"{name} by {x:.3g} eV" for name, x in zip(names, change, strict=True) if x > 0]
    down = [f"{name} by {-x:.3g} eV" for name, x in zip(names, change, strict=True) if x < 0]
    return f"to raise E0 of {', '.join(up)} and to lower that of {', '.join(down)} would change no energy"


def _times(factor: float) -> str:
    return "" if abs(factor - 1) < ROUND_OFF else f"{factor:.3g} "
