"""Frames made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from crossfield.data.frame import Frame, Weights

WATER = """3
{comment}
O  0.00 0.00 0.00  0.1 0.0 -0.1
H  0.96 0.00 0.00  0.0 0.2  0.0
H -0.24 0.93 0.00 -0.1 -0.2 0.1
"""
PROPERTIES = "Properties=species:S:1:pos:R:3:forces:R:3"


def frame(
    symbols: Sequence[str],
    *,
    energy: float | None = None,
    forces: bool = False,
    stress: float | None = None,
    charge: int = 0,
    group: str = "g",
    weights: Weights | None = None,
    index: int = 0,
) -> Frame:
    """Atoms 1.5 Å apart in a row, in a box of 30 Å where there is a stress."""
    Z = np.array([atomic_numbers[s] for s in symbols])
    positions = np.zeros((len(Z), 3))
    positions[:, 0] = 1.5 * np.arange(len(Z)) + 0.001 * index
    return Frame(
        Z=Z,
        positions=positions,
        cell=np.eye(3) * (0.0 if stress is None else 30.0),
        pbc=np.full(3, stress is not None),
        theory="made",
        charge=charge,
        spin=1,
        energy=energy,
        forces=0.1 * np.arange(3.0 * len(Z)).reshape(-1, 3) if forces else None,
        stress=None if stress is None else np.eye(3) * stress,
        group=group,
        domain="",
        weights=weights or Weights(),
        file="made.xyz",
        index=index,
    )


def write_water(path: Path, *comments: str) -> Path:
    """One water molecule with forces per comment line."""
    path.write_text("".join(WATER.format(comment=f"{PROPERTIES} {comment}") for comment in comments))
    return path
