"""Predictions as extended XYZ."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from crossfield.data.frame import Frame
from crossfield.files import replacing
from crossfield.inference.potential import Result


def to_atoms(frame: Frame) -> Atoms:
    """ASE atoms of a frame, with `charge`, `spin` and further inputs in `info`; labels are left behind."""
    return Atoms(
        numbers=frame.Z,
        positions=frame.positions,
        cell=frame.cell,
        pbc=frame.pbc,
        info={"charge": frame.charge, "spin": frame.spin, **frame.inputs},
    )


def write_predictions(path: Path, structures: Sequence[Atoms], results: Sequence[Result]) -> None:
    """Write structures with predicted energy, energies, forces and stress, atomically; .gz is compressed."""
    labelled = []
    for atoms, result in zip(structures, results, strict=True):
        labelled.append(atoms.copy())
        labels = {"energy": result.energy, "energies": result.energies, "forces": result.forces}
        if result.stress is not None:
            labels["stress"] = result.stress
        labelled[-1].calc = SinglePointCalculator(labelled[-1], **labels)
        labelled[-1].info["head"] = result.head
    with (
        replacing(path) as temporary,
        gzip.open(temporary, "wt") if path.suffix == ".gz" else temporary.open("w") as file,
    ):
        ase.io.write(file, labelled, format="extxyz")
