"""Mixed units are found, and data that is merely wide is left in peace."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from crossfield.data.consistency import BOHR, HARTREE, mixed_units
from crossfield.data.frame import Frame
from crossfield.data.geometry import Cell, Shortest, check_positions
from crossfield.data.read import read_source
from crossfield.data.source import Source
from crossfield.theory import get_theory
from tests.data.frames import frame

FOLDER = Path(str(resources.files("crossfield.demo") / "labelled"))


def shortest(frames: list[Frame]) -> list[Shortest]:
    return [check_positions(f.Z, f.positions, Cell(f.cell, f.pbc)) for f in frames]


@pytest.fixture(scope="module")
def reactions() -> list[Frame]:
    source = Source(files=(FOLDER / "reactions_wb97x.xyz.gz",))
    return list(read_source(source, get_theory("wb97x_631gs")).frames)


@pytest.fixture(scope="module")
def crystals() -> list[Frame]:
    source = Source(files=(FOLDER / "crystals_pbe.xyz.gz",))
    return [f for f in read_source(source, get_theory("pbe_gpaw")).frames if f.group in ("Si", "NaCl", "MgO")]


@pytest.mark.parametrize("factor", [1 / HARTREE, 2 / HARTREE, 23.0605])
def test_an_energy_in_other_units_is_found(reactions: list[Frame], factor: float) -> None:
    for k in (0, 100, 800):
        frames = list(reactions)
        frames[k] = replace(frames[k], energy=frames[k].energy * factor)
        assert list(mixed_units(frames, shortest(frames))) == [k]


def test_valence_energies_in_hartree_are_found_in_most_frames(crystals: list[Frame]) -> None:
    hits = 0
    for k in range(len(crystals)):
        frames = list(crystals)
        frames[k] = replace(frames[k], energy=frames[k].energy / HARTREE)
        found = list(mixed_units(frames, shortest(frames)))
        assert found in ([], [k])
        hits += len(found)
    assert hits >= 0.8 * len(crystals)


def test_forces_in_other_units_are_found_in_most_frames(reactions: list[Frame]) -> None:
    """A frame at the bottom of the energies may be relaxed, and is not accused."""
    hits = 0
    for k in range(0, 890, 89):
        frames = list(reactions)
        frames[k] = replace(frames[k], forces=frames[k].forces * BOHR / HARTREE)
        found = list(mixed_units(frames, shortest(frames)))
        assert found in ([], [k])
        hits += len(found)
    assert hits >= 6


def test_cells_in_bohr_are_found(crystals: list[Frame]) -> None:
    silicon = [f for f in crystals if f.group == "Si"]
    hits = 0
    for k in range(len(silicon)):
        frames = list(silicon)
        frames[k] = replace(frames[k], positions=frames[k].positions / BOHR, cell=frames[k].cell / BOHR)
        found = list(mixed_units(frames, shortest(frames)))
        assert found in ([], [k])
        hits += len(found)
    assert hits >= 0.6 * len(silicon)


def test_a_stress_in_gpa_below_the_absurd_is_found(crystals: list[Frame]) -> None:
    silicon = [f for f in crystals if f.group == "Si"]
    silicon = [replace(f, stress=f.stress * 0.02) for f in silicon]
    middle = int(np.argsort([f.energy / f.num_atoms for f in silicon])[len(silicon) // 2])
    silicon[middle] = replace(silicon[middle], stress=np.eye(3) * 3.2)
    assert list(mixed_units(silicon, shortest(silicon))) == [middle]


def test_whole_files_in_hartree_or_bohr_are_found(reactions: list[Frame]) -> None:
    frames = [replace(f, energy=f.energy / HARTREE) for f in reactions]
    assert "Hartree" in mixed_units(frames, shortest(frames))[0]
    frames = [replace(f, positions=f.positions / BOHR) for f in reactions]
    assert "Bohr" in mixed_units(frames, shortest(frames))[0]


def test_a_relaxation_trips_nothing() -> None:
    """Forces and energies over many decades, down to the minimum."""
    frames = []
    for k in range(40):
        step = 0.5 * 0.8**k
        made = frame("OHH", forces=True, energy=-2078.0 + 10 * step**2, index=k)
        frames.append(replace(made, forces=np.eye(3) * 20 * step))
    assert mixed_units(frames, shortest(frames)) == {}


def test_relaxed_beside_thermal_frames_trip_nothing() -> None:
    random = np.random.default_rng(0)
    frames = []
    for k in range(30):
        steps = random.normal(size=(3, 3)) * (0.05 if k % 10 else 0.05 / 51.4)
        made = frame("OHH", energy=-2078.0 + 10 * float((steps**2).sum()), index=k)
        frames.append(replace(made, forces=-20 * steps))
    assert mixed_units(frames, shortest(frames)) == {}


def test_a_dissociation_trips_nothing() -> None:
    frames = []
    for k, length in enumerate(np.linspace(0.6, 5.0, 60)):
        made = frame("HH", energy=-32.0 + 4.7 * (1 - np.exp(-1.9 * (length - 0.74))) ** 2, index=k)
        frames.append(replace(made, positions=np.array([[0.0, 0, 0], [length, 0, 0]])))
    assert mixed_units(frames, shortest(frames)) == {}


def test_bare_ions_trip_nothing() -> None:
    """Three electrons less are 53 eV that the composition does not explain."""
    frames = [frame(["Al", "O"], energy=-8640.0 - 0.2 * k, index=k) for k in range(6)]
    frames += [frame(["Al"], energy=-6590.0), frame(["Al"], charge=3, energy=-6536.7)]
    assert mixed_units(frames, shortest(frames)) == {}


def test_noble_gases_are_not_in_bohr() -> None:
    made = [frame(["Ne"] * 3, energy=-0.01 * k, index=k) for k in range(8)]
    frames = [replace(f, positions=f.positions * 2) for f in made]
    assert mixed_units(frames, shortest(frames)) == {}
