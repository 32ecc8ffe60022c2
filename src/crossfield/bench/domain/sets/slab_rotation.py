"""Symmetry: a slab that is turned, or written down in another way, has the same energy and forces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc100, graphene, surface
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.results import Entry
from crossfield.bench.domain.sets.differences import UNITS
from crossfield.bench.domain.sets.series import evaluate
from crossfield.bench.domain.sources import Sources

VACUUM = 8.0  # Å, on both sides
RATTLE = 0.05  # Å, so that no force is zero by symmetry
SETTINGS = {
    "seed": 42,
    "angles": [1.0, 2.0, 5.0, 10.0, 20.0, 40.0],
    "random": 10,
}  # degrees, about random axes
# rows are new cell vectors in terms of the old ones: other cells of the same lattice
CELLS = (
    ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    ((1, 0, 0), (1, 1, 0), (0, 0, 1)),
    ((1, 0, 0), (0, 1, 0), (1, -1, 1)),
    ((2, 1, 0), (1, 1, 0), (0, 1, 1)),
)
REPEATS = ((2, 1, 1), (1, 3, 1), (2, 2, 1))
KINDS = ("turned", "rewritten")


class View(NamedTuple):
    """A structure that must have the same energy per atom, and the same forces but for its orientation."""

    kind: str
    atoms: Atoms
    turn: NDArray[np.float64]  # (3, 3), of column vectors
    where: NDArray[np.int64]  # (N,) where each atom of the slab is in it


def inputs(sources: Sources) -> Inputs:
    """Slabs that are their own mirror image before they are rattled, so that they have no dipole."""
    sheet = graphene(a=2.46, size=(2, 2, 1), vacuum=VACUUM)
    slabs = {
        "Cu (100)": fcc100("Cu", (2, 2, 4), a=3.61, vacuum=VACUUM),
        "MgO (001)": surface(bulk("MgO", "rocksalt", a=4.21, cubic=True), (0, 0, 1), 2, vacuum=VACUUM),
        "LiF (001)": surface(bulk("LiF", "rocksalt", a=4.03, cubic=True), (0, 0, 1), 2, vacuum=VACUUM),
        "graphene": sheet,
    }
    for slab in slabs.values():
        slab.pbc = True
        slab.rattle(RATTLE, seed=SETTINGS["seed"])
    return Inputs(items=[Item(name, {"slab": s}, SETTINGS, quick=True) for name, s in slabs.items()])


def calculate(item: Item, calculator: Calculator) -> Values:
    """Largest deviations by kind of view: of energies in eV/atom, of forces in eV/Å."""
    slab = item.structures["slab"]
    seen = [*views(slab, **item.settings)]
    own, *others = evaluate([slab, *(view.atoms for view in seen)], calculator)
    energies = {kind: [0.0] for kind in KINDS}
    forces = {kind: [0.0] for kind in KINDS}
    for view, other in zip(seen, others):
        energies[view.kind].append(abs(other.energy / len(view.atoms) - own.energy / len(slab)))
        # forces are rows: the turn from the right takes them back
        back = (other.forces @ view.turn)[view.where]
        forces[view.kind].append(float(np.linalg.norm(back - own.forces, axis=1).max()))
    # unlike max(), np.max() is nan if anything is, which the runner has to see
    return {
        kind: {"energy": float(np.max(energies[kind])), "force": float(np.max(forces[kind]))}
        for kind in KINDS
    }


def views(slab: Atoms, *, seed: int, angles: list[float], random: int) -> Iterator[View]:
    """Equivalent structures: turned as a whole, in other cells of the lattice, repeated, moved, reordered."""
    rng = np.random.default_rng(seed)
    every = np.arange(len(slab))
    axes = rng.normal(size=(len(angles), 3))
    axes *= np.radians(angles)[:, None] / np.linalg.norm(axes, axis=1, keepdims=True)
    turns = [*Rotation.from_rotvec(axes), *Rotation.from_quat(rng.normal(size=(random, 4)))]
    for turn in turns:
        R = turn.as_matrix()
        atoms = slab.copy()
        atoms.set_cell(slab.cell.array @ R.T, scale_atoms=False)
        atoms.positions = slab.positions @ R.T
        yield View("turned", atoms, R, every)
    for cell in CELLS:
        atoms = slab.copy()
        atoms.set_cell(np.array(cell) @ slab.cell.array, scale_atoms=False)
        yield View("rewritten", atoms, np.eye(3), every)
    for repeat in REPEATS:
        yield View("rewritten", slab * repeat, np.eye(3), every)
    moved = slab.copy()
    moved.positions += rng.uniform(size=3) @ slab.cell.array
    moved.wrap()
    yield View("rewritten", moved, np.eye(3), every)
    order = rng.permutation(len(slab))
    yield View("rewritten", slab[order], np.eye(3), np.argsort(order))


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """The worst over all slabs."""

    def worst(kind: str, what: str) -> float | None:
        found = [v[kind][what] / UNITS["meV"] for v in values.values()]
        return max(found) if found else None

    return Findings(
        metrics={
            "Rotation max ΔE": worst("turned", "energy"),
            "Rotation max ΔF": worst("turned", "force"),
            "Equivalent cells max ΔE": worst("rewritten", "energy"),
            "Equivalent cells max ΔF": worst("rewritten", "force"),
        },
        entries=[
            Entry(
                name=item.name,
                group=kind,
                quantity=f"largest change of {what}",
                unit="meV/atom" if what == "energy" else "meV/Å",
                reference=0.0,
                predicted=values[item.name][kind][what] / UNITS["meV"] if item.name in values else None,
                items=(item.name,),
            )
            for item in inputs.items
            for kind in KINDS
            for what in ("energy", "force")
        ],
    )


BENCHMARK = Benchmark(
    name="slab_rotation",
    title="Rotation and equivalent cells",
    domain="physicality",
    description=(
        "Largest changes of energy and forces of four rattled slabs when they are turned with their cells "
        "(16 rotations, 1° and more), or written in another cell of their lattice, repeated, moved across "
        "the boundary, or reordered; an invariant model in double precision stays below 0.001 meV. "
        "Thresholds are those of ML-PEG's rotational symmetry, without weight: the global score of "
        "arXiv:2510.25380 has none."
    ),
    reference=Reference(""),
    metrics=(
        Metric("Rotation max ΔE", "meV/atom", 0.0, 1.0, weight=0.0),
        Metric("Rotation max ΔF", "meV/Å", 0.0, 1.0, weight=0.0),
        Metric("Equivalent cells max ΔE", "meV/atom", 0.0, 1.0, weight=0.0),
        Metric("Equivalent cells max ΔF", "meV/Å", 0.0, 1.0, weight=0.0),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
)
