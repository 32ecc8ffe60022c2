"""One labelled structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Weights:
    """Factors on the terms of the loss; they multiply the weights of the training configuration."""

    structure: float = 1.0  # on every term of this structure
    energy: float = 1.0
    forces: float = 1.0
    stress: float = 1.0


@dataclass(frozen=True)
class Frame:
    """One structure with the labels it has. A label that is missing is None, never zero."""

    Z: NDArray[np.int64]  # (N,) atomic numbers
    positions: NDArray[np.float64]  # (N, 3) Å
    cell: NDArray[np.float64]  # (3, 3) Å, rows are lattice vectors; zeros where there is none
    pbc: NDArray[np.bool_]  # (3,)
    theory: str  # name of the level of theory
    charge: int  # e
    spin: int  # multiplicity 2S+1
    energy: float | None  # eV
    forces: NDArray[np.float64] | None  # (N, 3) eV/Å
    stress: NDArray[np.float64] | None  # (3, 3) eV/Å^3, symmetric, tensile positive
    group: str  # frames of one group are never split between training and test
    domain: str  # crystals, surfaces, molecules, ...
    weights: Weights
    file: str  # where it was read
    index: int  # frame number in that file, from 0
    inputs: Mapping[str, float] = field(default_factory=dict)  # what the theory declares besides charge, spin

    @property
    def num_atoms(self) -> int:
        return len(self.Z)
