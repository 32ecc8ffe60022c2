"""What is timed. Plain data and ASE: both environments import it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

COMMON: Mapping[str, Any] = {
    "elements": (1, 6, 8, 14),
    "cutoff": 5.0,
    "edge_channels": None,
    "max_L": 1,
    "correlation": 3,
    "layers": 2,
    "radial_basis": 10,
    "radial_network": (64, 64, 64),
    "density_width": 64,
    "readout_width": 16,
}
SIZES: Mapping[str, Mapping[str, Any]] = {  # fields of crossfield.model.ModelConfig
    "32 channels": {**COMMON, "channels": 32, "l_max": 2},
    "128 channels": {**COMMON, "channels": 128, "l_max": 3},
}
STRUCTURES = ("Si, 2 atoms", "Si, 64 atoms", "hexane, 20 atoms", "water, 192 atoms")
QUANTITIES = ("inference", "training")


def structure(name: str) -> Atoms:
    """A structure by name, rattled: nothing sits on a symmetry element or just at the cutoff."""
    made = {
        "Si, 2 atoms": lambda: bulk("Si", a=5.43),
        "Si, 64 atoms": lambda: bulk("Si", a=5.43, cubic=True) * 2,
        "hexane, 20 atoms": _hexane,
        "water, 192 atoms": _water,
    }[name]()
    made.rattle(0.03, seed=1)
    return made


def _hexane() -> Atoms:
    """C6H14, stretched out."""
    C, CH2 = [], np.array([[0.0, 0.63, 0.89], [0.0, 0.63, -0.89]])
    H = []
    for i in range(6):
        flip = np.array([1.0, (-1.0) ** i, 1.0])
        C.append(flip * [1.27 * i, 0.43, 0.0])
        H += [C[-1] + flip * step for step in CH2]
    ends = [C[0] + np.array([-1.03, -0.36, 0.0]), C[-1] + np.array([1.03, 0.36, 0.0])]
    return Atoms("C6H14", [*C, *H, *ends])


def _water() -> Atoms:
    """64 molecules of random orientation on a grid, at the density of the liquid."""
    random = np.random.default_rng(0)
    spacing = 3.105  # Å
    box = Atoms(cell=[4 * spacing] * 3, pbc=True)
    for corner in np.ndindex(4, 4, 4):
        water = molecule("H2O")
        Q, _ = np.linalg.qr(random.normal(size=(3, 3)))
        water.positions = (water.positions - water.get_center_of_mass()) @ Q.T + spacing * np.array(corner)
        box += water
    return box
