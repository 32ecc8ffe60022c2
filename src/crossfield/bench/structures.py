"""The structures that are measured, by name: "diamond 1000", or many together as in "64 × AlN 32"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

RATTLE = 0.05  # Å
PRIMER = 2.2  # Å, between its atoms


def _silicon(repeat: int) -> Atoms:
    return bulk("Si", a=5.43, cubic=True) * repeat


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


def _aluminium_nitride(a: int, b: int, c: int) -> Atoms:
    return bulk("AlN", "wurtzite", a=3.112, c=4.982) * (a, b, c)


MAKERS: dict[str, Callable[[], Atoms]] = {
    "Si 2": lambda: bulk("Si", a=5.43),
    "hexane 20": _hexane,
    "Si 64": lambda: _silicon(2),
    "water 192": _water,
    "Si 512": lambda: _silicon(4),
    "AlN 864": lambda: _aluminium_nitride(6, 6, 6),
}
GPU_MAKERS: dict[str, Callable[[], Atoms]] = {
    "AlN 32": lambda: _aluminium_nitride(2, 2, 2),
    "AlN 144": lambda: _aluminium_nitride(4, 3, 3),
    "diamond 1000": lambda: bulk("C", a=3.567, cubic=True) * 5,
    "water 1536": lambda: _water() * 2,
    "water 12288": lambda: _water() * 4,
    "water 98304": lambda: _water() * 8,
    "water 192000": lambda: _water() * 10,
}
NAMES = tuple(MAKERS)
LARGE = ("Si 512", "AlN 864")
GPU_NAMES = tuple(GPU_MAKERS)
TIMES = " × "  # between a number of structures and the name of one
DIFFERENT = 64  # structures among many; more are these again


def structure(name: str, seed: int = 1) -> Atoms:
    """One of the names, rattled: nothing sits on a symmetry element or just at a cutoff."""
    made = (MAKERS | GPU_MAKERS)[name]()
    made.rattle(RATTLE, seed=seed)
    return made


def structures(name: str) -> list[Atoms]:
    """The structure of this name, or as many of one kind as the name says, each rattled in its own way."""
    count, _, kind = name.rpartition(TIMES)
    if not count:
        return [structure(kind)]
    different = [structure(kind, seed) for seed in range(min(int(count), DIFFERENT))]
    return [different[k % DIFFERENT] for k in range(int(count))]


def primer(atoms: Atoms) -> Atoms:
    """One atom of each element in a row, periodic as `atoms` are.

    What is evaluated on it first compiles and tabulates what a structure needs once, whatever its size.
    """
    elements = sorted(set(atoms.numbers.tolist()))
    places = [[PRIMER * i, 0.0, 0.0] for i in range(len(elements))]
    return Atoms(elements, places, cell=[PRIMER * len(elements), 2 * PRIMER, 2 * PRIMER], pbc=atoms.pbc)
