"""Numbers that describe a set of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossfield.data.frame import Frame
from crossfield.data.reference import per_atom
from crossfield.errors import InputError


@dataclass(frozen=True)
class Summary:
    """A line of a table about frames."""

    frames: int
    atoms: int
    groups: int
    elements: tuple[int, ...]  # atomic numbers, ascending
    with_energy: int  # frames
    with_forces: int
    with_stress: int
    mean_force: float  # eV/Å, mean of |F| over atoms; NaN without forces
    energy_spread: float  # eV per atom, standard deviation relative to E0; NaN without energies


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


def summary(frames: Sequence[Frame], E0: Mapping[int, float] | None = None) -> Summary:
    """Counts and spreads of frames.

    Args:
        frames: any number of them.
        E0: reference energies, eV, that energies are taken relative to; without them the spread is that of
            the energy per atom itself.
    """
    elements = sorted({int(z) for f in frames for z in f.Z})
    zero = dict.fromkeys(elements, 0.0) if E0 is None else E0
    forces = [np.linalg.norm(f.forces, axis=1) for f in frames if f.forces is not None]
    energies = [per_atom(f, zero) for f in frames if f.energy is not None]
    return Summary(
        frames=len(frames),
        atoms=sum(f.num_atoms for f in frames),
        groups=len({f.group for f in frames}),
        elements=tuple(elements),
        with_energy=len(energies),
        with_forces=len(forces),
        with_stress=sum(f.stress is not None for f in frames),
        mean_force=float(np.concatenate(forces).mean()) if forces else float("nan"),
        energy_spread=float(np.std(energies)) if energies else float("nan"),
    )
