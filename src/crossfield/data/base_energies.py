"""What a base head says of the frames from which another head is to start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from crossfield.data.composition import Vector, counts, element_names, elements_of
from crossfield.data.frame import Frame
from crossfield.errors import InputError


@dataclass(frozen=True)
class BaseEnergies:
    """Predictions of a base head for a sequence of frames."""

    predicted: Vector  # (frames,) total energies, eV, in the order of the frames
    E0: Mapping[int, float]  # of that head, eV, contained in `predicted`

    def check(self, frames: Sequence[Frame]) -> None:
        """Check that these are predictions for such frames.

        Raises:
            InputError: another number of frames, an energy that is not finite, or an element without E0.
        """
        if len(self.predicted) != len(frames):
            raise InputError(
                f"{len(frames)} frames need as many predictions of the base, not {len(self.predicted)}"
            )
        for frame, energy in zip(frames, self.predicted, strict=True):
            if not math.isfinite(energy):
                raise InputError(
                    "the base head predicts no finite energy", file=frame.file, frame=frame.index
                )
        for z, energy in self.E0.items():
            if not math.isfinite(energy):
                raise InputError(f"the base head's E0 of {chemical_symbols[z]} is not finite")
        lacking = [z for z in sorted(elements_of(frames)) if z not in self.E0]
        if lacking:
            raise InputError(
                f"the base head has no E0 for {element_names(lacking)}, which the frames contain: add the "
                "elements to the model first, and state which E0 its predictions contain for them"
            )

    def interactions(self, frames: Sequence[Frame]) -> Vector:
        """(frames,) what the base predicts beyond its E0, eV."""
        table = np.array([self.E0.get(z, 0.0) for z in range(119)])
        energies: Vector = np.asarray(self.predicted, dtype=np.float64) - counts(frames) @ table
        return energies
