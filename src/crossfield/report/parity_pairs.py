"""Labels and predictions of one property as pairs of numbers, with the place that each comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from crossfield.theory.units import GPA_PER_EV_A3, MEV
from crossfield.train.forgetting import Quantity
from crossfield.train.predictions import Predictions

AXES = "xyz"


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
    unanswered: int  # labels for which the model has no finite answer; not among the n

    def __len__(self) -> int:
        return len(self.reference)

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
        return replace(self, **{name: getattr(self, name)[which] for name in names}, unanswered=0)

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
    p, frames = predictions, np.flatnonzero(predictions.chosen(split, head))
    if quantity == "forces":
        of_atom = p.frame_of_atom
        atoms = np.flatnonzero(p.chosen(split, head)[of_atom])
        first = np.cumsum(p.atoms) - p.atoms
        both = [values[atoms].ravel() for values in p.forces]
        frame = np.repeat(of_atom[atoms], 3)
        atom = np.repeat(atoms - first[of_atom[atoms]], 3)
        Z, component = np.repeat(p.Z[atoms], 3), np.tile(np.arange(3), len(atoms))
    else:
        size = 1 if quantity == "energy" else 9
        values, factor = (p.energy_per_atom, 1.0) if size == 1 else (p.stress, GPA_PER_EV_A3)
        both = [factor * value[frames].ravel() for value in values]
        frame = np.repeat(frames, size)
        atom, Z = np.full(len(frame), -1), np.zeros(len(frame), dtype=np.int64)
        component = np.tile(np.arange(size), len(frames))
    labelled, answered = (np.isfinite(value) for value in both)
    everything = Pairs(quantity, both[0], both[1], frame, atom, Z, component, unanswered=0)
    return replace(everything.of(labelled & answered), unanswered=int((labelled & ~answered).sum()))
