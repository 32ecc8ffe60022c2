"""Numbers that describe a set of frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfield.data.frame import Frame
from crossfield.errors import InputError


def rms_force(frames: Sequence[Frame]) -> float:
    """Root mean square of all force components, eV/Å: the scale of a head. Missing forces do not count.

    Raises:
        InputError: no frame has forces, or all are zero, so that they give no scale.
    """
    squares = [float(np.sum(f.forces**2)) for f in frames if f.forces is not None]
    count = sum(f.forces.size for f in frames if f.forces is not None)
    if count == 0:
        raise InputError("no frame has forces, so that the scale of the head must be given")
    rms = float(np.sqrt(sum(squares) / count))
    if rms == 0:
        raise InputError("all forces are zero, so that the scale of the head must be given")
    return rms
