"""The sets that ship with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from crossfield.data.read import read_source
from crossfield.data.reference import reference_energies
from crossfield.data.source import Source
from crossfield.data.split import split_frames
from crossfield.theory import get_theory

FOLDER = Path(str(resources.files("crossfield.demo") / "labelled"))
SETS = [
    ("crystals_pbe", "atoms_gpaw", "pbe_gpaw", 247, 17),
    ("surfaces_rpbe", "atoms_gpaw", "rpbe_gpaw", 121, 8),
    ("molecules_wb97m", "atoms_pyscf", "wb97m_d3bj_def2svp", 771, 10),
    ("reactions_wb97x", "atoms_pyscf", "wb97x_631gs", 893, 4),
]


@pytest.mark.parametrize(("name", "atoms", "theory", "frames", "isolated"), SETS)
def test_every_frame_is_usable(name: str, atoms: str, theory: str, frames: int, isolated: int) -> None:
    files = (FOLDER / f"{name}.xyz.gz", FOLDER / f"{atoms}.xyz.gz")
    reading = read_source(Source(files=files), get_theory(theory))
    assert (len(reading.frames), len(reading.isolated)) == (frames, isolated)
    assert all(r.reason.startswith("theory is ") for r in reading.rejected)
    assert all(f.energy is not None and f.forces is not None and f.domain for f in reading.frames)
    assert all((f.stress is not None) == (name == "crystals_pbe") for f in reading.frames)
    references = reference_energies(reading.frames, reading.isolated)
    assert set(references.origin.values()) == {"isolated atom"}
    # chemistry binds by some eV per atom, whatever the zero of the theory
    assert 0.05 < references.residual < 2
    split = split_frames(reading.frames, validation=0.1, test=0.1, seed=0)
    for part in (split.validation, split.test):
        assert abs(len(part) - frames / 10) < frames / 20


@pytest.mark.parametrize("name", [row[0] for row in SETS])
def test_the_reader_agrees_with_ase(name: str) -> None:
    theory = next(row[2] for row in SETS if row[0] == name)
    path = FOLDER / f"{name}.xyz.gz"
    frames = read_source(Source(files=(path,)), get_theory(theory)).frames[:60]
    for frame, atoms in zip(frames, read(path, ":60"), strict=True):
        np.testing.assert_array_equal(frame.Z, atoms.numbers)
        np.testing.assert_array_equal(frame.positions, atoms.positions)
        np.testing.assert_array_equal(frame.cell, atoms.cell.array)
        np.testing.assert_array_equal(frame.pbc, atoms.pbc)
        np.testing.assert_array_equal(frame.forces, atoms.get_forces())
        assert (frame.energy, frame.group) == (atoms.get_potential_energy(), atoms.info["system"])
        assert (frame.charge, frame.spin) == (atoms.info.get("charge", 0), atoms.info.get("spin", 1))
        if frame.stress is not None:
            np.testing.assert_allclose(frame.stress, atoms.get_stress(voigt=False), atol=1e-12)
