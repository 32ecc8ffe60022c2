"""Labels and predictions of one property as pairs of numbers, with the place that each comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from crossfield.theory.units import GPA_PER_EV_A3, MEV
from crossfield.train.head_data import SPLITS
from crossfield.train.predictions import Predictions
from crossfield.zoo.card import Quantity
from crossfield.zoo.card_parts import QUANTITIES

AXES = "xyz"
Key = tuple[str, str, Quantity]  # head, split, property


class Shown(NamedTuple):
    """How numbers of a property are written."""

    what: str
    unit: str  # of the numbers
    error_unit: str  # of their errors
    factor: float  # from the one to the other


SHOWN: Mapping[Quantity, Shown] = {
    "energy": Shown("energy relative to E0", "eV/atom", "meV/atom", MEV),
    "forces": Shown("force components", "eV/Å", "meV/Å", MEV),
    "stress": Shown("stress components", "GPa", "GPa", 1.0),
}


@dataclass(frozen=True)
class Pairs:
    """n pairs of numbers: energies per atom relative to E0 (eV/atom), forces (eV/Å) or stress (GPa)."""

    quantity: Quantity
    reference: NDArray[np.float64]  # (n,)
    predicted: NDArray[np.float64]  # (n,)
    frame: NDArray[np.int64]  # (n,) which frame of the predictions
    atom: NDArray[np.int64]  # (n,) which atom of that frame, from 0; -1 except for forces
    Z: NDArray[np.int64]  # (n,) its element; 0 except for forces
    component: NDArray[np.int64]  # (n,) 0-2 of forces, 0-8 of the stress; 0 for energies
    missing: NDArray[np.int64]  # (m,) frames of labels for which the model has no finite answer; not in the n

    def __len__(self) -> int:
        return len(self.reference)

    @property
    def unanswered(self) -> int:
        """Labels for which the model has no finite answer."""
        return len(self.missing)

    @property
    def error(self) -> NDArray[np.float64]:
        """(n,) predicted minus reference."""
        return self.predicted - self.reference

    @property
    def mae(self) -> float:
        """Mean absolute error; NaN without pairs."""
        return float(np.abs(self.error).mean()) if len(self) else math.nan

    @property
    def rmse(self) -> float:
        """Root mean square error; NaN without pairs."""
        return float(np.sqrt(np.square(self.error).mean())) if len(self) else math.nan

    @property
    def r2(self) -> float:
        """1 - squares of errors / squares of deviations from the mean label; NaN if all labels are equal."""
        if not len(self):
            return math.nan
        apart = float(np.square(self.reference - self.reference.mean()).sum())
        return 1.0 - float(np.square(self.error).sum()) / apart if apart > 0 else math.nan

    def of(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Pairs:
        """Some of the pairs."""
        names = ("reference", "predicted", "frame", "atom", "Z", "component")
        chosen = {name: getattr(self, name)[which] for name in names}
        return replace(self, **chosen, missing=np.zeros(0, dtype=np.int64))

    def place(self, k: int) -> str:
        """Which atom and component a pair is of, in words; empty for energies."""
        axes = self.component[k]
        if self.quantity == "forces":
            return f"atom {self.atom[k]} ({chemical_symbols[self.Z[k]]}), {AXES[axes]}"
        return AXES[axes // 3] + AXES[axes % 3] if self.quantity == "stress" else ""


def pairs_of(predictions: Predictions, head: str, split: str, quantity: Quantity) -> Pairs:
    """The pairs of one head, split and property.

    Args:
        predictions: of a run.
        head: name of the head.
        split: "train", "validation" or "test".
        quantity: the property.
    """
    frames = np.flatnonzero(predictions.chosen(split, head))
    return _pairs(predictions, frames, quantity, np.cumsum(predictions.atoms) - predictions.atoms)


def all_pairs(predictions: Predictions) -> Mapping[Key, Pairs]:
    """The pairs of every head, split and property that has labels, by these, in one pass over the frames."""
    p = predictions
    groups = [(head, split) for head in p.heads for split in SPLITS]
    group = p.head * len(SPLITS) + p.split
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(len(groups) + 1)).tolist()
    first = np.cumsum(p.atoms) - p.atoms
    found = {}
    for (head, split), (begin, end) in zip(groups, pairwise(ends), strict=True):
        for quantity in QUANTITIES if end > begin else ():
            pairs = _pairs(p, order[begin:end], quantity, first)
            if len(pairs) or pairs.unanswered:
                found[head, split, quantity] = pairs
    return found


def _pairs(p: Predictions, frames: NDArray[np.int64], quantity: Quantity, first: NDArray[np.int64]) -> Pairs:
    """Of some frames; `first` is the first atom of every frame."""
    if quantity == "forces":
        sizes = p.atoms[frames]
        of_atom = np.repeat(frames, sizes)
        inside = np.arange(len(of_atom)) - np.repeat(
            np.cumsum(sizes) - sizes, sizes
        )  # which atom of its frame
        atoms = first[of_atom] + inside
        both = [values[atoms].ravel() for values in p.forces]
        frame, atom = np.repeat(of_atom, 3), np.repeat(inside, 3)
        Z, component = np.repeat(p.Z[atoms], 3), np.tile(np.arange(3), len(atoms))
    else:
        size = 1 if quantity == "energy" else 9
        values, factor = (p.energy_per_atom, 1.0) if size == 1 else (p.stress, GPA_PER_EV_A3)
        both = [factor * value[frames].ravel() for value in values]
        frame = np.repeat(frames, size)
        atom, Z = np.full(len(frame), -1), np.zeros(len(frame), dtype=np.int64)
        component = np.tile(np.arange(size), len(frames))
    labelled, answered = (np.isfinite(value) for value in both)
    everything = Pairs(quantity, both[0], both[1], frame, atom, Z, component, missing=frame[:0])
    return replace(everything.of(labelled & answered), missing=frame[labelled & ~answered])
