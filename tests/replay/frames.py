"""Frames of awkward structures, and how two of them are compared."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from ase import Atoms

from crossfield.data.frame import Frame, Weights
from tests.structures import structures

FILE = "awkward.xyz"


def frame_of(atoms: Atoms, index: int = 0, **changes: Any) -> Frame:
    """A frame without labels."""
    values: dict[str, Any] = {
        "Z": atoms.numbers.astype(np.int64),
        "positions": atoms.positions.copy(),
        "cell": atoms.cell.array.copy(),
        "pbc": atoms.pbc.copy(),
        "theory": "",
        "charge": int(atoms.info.get("charge", 0)),
        "spin": int(atoms.info.get("spin", 1 if atoms.pbc.any() else 1 + atoms.numbers.sum() % 2)),
        "energy": None,
        "forces": None,
        "stress": None,
        "group": atoms.get_chemical_formula(),
        "domain": "crystals" if atoms.pbc.all() else "",
        "weights": Weights(),
        "file": FILE,
        "index": index,
    }
    return Frame(**values | changes)


def awkward_frames(copies: int = 1) -> list[Frame]:
    """Every structure of `tests.structures`, and rattled copies of them."""
    random = np.random.default_rng(11)
    found = []
    for copy in range(copies):
        for atoms in structures().values():
            if copy:
                atoms.positions += 0.02 * random.normal(size=atoms.positions.shape)
            found.append(frame_of(atoms, len(found)))
    return found


def assert_equal(found: Frame, expected: Frame, *, but: tuple[str, ...] = ()) -> None:
    """To the last bit, and of the same types."""
    for name in (f.name for f in fields(Frame) if f.name not in but):
        a, b = getattr(found, name), getattr(expected, name)
        if isinstance(b, np.ndarray):
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, err_msg=name)
        else:
            assert a == b, name
            assert type(a) is type(b), name
