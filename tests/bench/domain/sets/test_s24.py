from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.scores import scored
from crossfield.bench.domain.sets.s24 import BENCHMARK
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.squares import Squares


def labelled(atoms: Atoms, energy: float) -> Atoms:
    atoms = atoms.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def triplet(adsorbate: str, copies: int, energies: Sequence[float]) -> list[Atoms]:
    surface, alone = fcc111("Cu", (2, 2, 1), vacuum=6.0, periodic=True), molecule(adsorbate, vacuum=6.0)
    surface.info.clear()
    both = surface.copy()
    for copy in range(copies):
        moved = alone.copy()
        moved.positions += surface.positions[copy] - moved.positions[0] + [0, 0, 2.0]
        both += moved
    return [labelled(atoms, e) for atoms, e in zip((surface, both, alone), energies, strict=True)]


FRAMES = [*triplet("CO", 1, (-10.0, -25.5, -14.0)), *triplet("H2", 2, (-10.0, -25.0, -7.0))]


def read(folder: Path, frames: Sequence[Atoms], cut: int | None = None) -> Inputs:
    file = folder / "s24" / "s24_data.extxyz"
    file.parent.mkdir()
    write(file, frames, format="extxyz")
    file.write_text(file.read_text()[:cut])
    return BENCHMARK.inputs(Sources(folder, online=False))


def test_adsorption_energies_are_per_surface_and_all_its_molecules(tmp_path: Path) -> None:
    inputs = read(tmp_path, FRAMES)
    assert [item.name for item in inputs.items] == ["01 CO on Cu4", "02 2 H2 on Cu4"]
    values = {item.name: BENCHMARK.calculate(item, Squares()) for item in inputs.items}
    found = BENCHMARK.analyse(inputs, values)
    assert [(e.reference, e.predicted) for e in found.entries] == [
        (pytest.approx(-1.5), 36 - 16 - 4),
        (pytest.approx(-1.0), 64 - 16 - 2 * 4),
    ]
    assert found.metrics["MAE"] == pytest.approx((17.5 + 41.0) / 2)


def test_an_error_of_a_fifth_of_an_electronvolt_costs_a_third(tmp_path: Path) -> None:
    inputs = read(tmp_path, FRAMES)
    exact = {"surface with molecules": -1.5 + 0.2, "surface": 0.0, "molecule": 0.0}
    found = BENCHMARK.analyse(inputs, {"01 CO on Cu4": exact})
    assert found.metrics["MAE"] == pytest.approx(0.2)
    assert scored(BENCHMARK.metrics, found.metrics)[0].score == pytest.approx(1 - (0.2 - 0.05) / 0.45)
    assert [e.predicted for e in found.entries] == [pytest.approx(-1.3), None]


def test_labels_do_not_reach_what_is_calculated(tmp_path: Path) -> None:
    for item in read(tmp_path, FRAMES).items:
        for atoms in item.structures.values():
            assert atoms.calc is None
            assert atoms.info == {"charge": 0, "spin": 1}


def test_what_is_not_there_or_does_not_fit_is_noted(tmp_path: Path) -> None:
    inputs = read(tmp_path, [*FRAMES[:3], *FRAMES[4:]])
    assert [item.name for item in inputs.items] == ["01 CO on Cu4"]
    assert "system 2" in inputs.problems[0].name
    assert "2 structures" in inputs.problems[0].reason
    assert "22 of the 24" in inputs.problems[1].reason


def test_a_molecule_of_other_atoms_is_refused(tmp_path: Path) -> None:
    inputs = read(tmp_path, [*FRAMES[:2], labelled(molecule("N2", vacuum=6.0), -14.0), *FRAMES[3:]])
    assert [item.name for item in inputs.items] == ["02 2 H2 on Cu4"]
    assert "CCu4O" in inputs.problems[0].reason


@pytest.mark.parametrize("energy", [float("nan"), None])
def test_a_label_that_is_no_number_is_refused(tmp_path: Path, energy: float | None) -> None:
    bad = FRAMES[1].copy() if energy is None else labelled(FRAMES[1], energy)
    inputs = read(tmp_path, [FRAMES[0], bad, *FRAMES[2:]])
    assert [item.name for item in inputs.items] == ["02 2 H2 on Cu4"]
    assert "CCu4O" in inputs.problems[0].reason


def test_a_truncated_file_is_one_problem(tmp_path: Path) -> None:
    inputs = read(tmp_path, FRAMES, cut=-200)
    assert not inputs.items
    assert "s24_data.extxyz" in inputs.problems[0].reason
