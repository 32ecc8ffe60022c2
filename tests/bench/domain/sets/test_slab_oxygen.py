from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bcc110, fcc111
from ase.io import write

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.sets.slab_oxygen import BENCHMARK
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.squares import Squares

OXYGEN = Atoms("O", cell=[8, 8, 8], pbc=True, info={"ref_energy": -1.5})


def with_oxygen(slab: Atoms, energies: tuple[float, float]) -> list[Atoms]:
    """As published: the label of the bare slab calls it that with the molecule."""
    slab.info = {"structure_type": "mol_surface", "ref_energy": energies[0]}
    both = slab + Atoms("O", positions=[slab.positions[-1] + [0, 0, 1.8]])
    both.info = {"ref_energy": energies[1]}
    return [slab, both, OXYGEN]


def copper() -> list[Atoms]:
    return with_oxygen(fcc111("Cu", (2, 2, 1), vacuum=5.0, periodic=True), (-12.0, -17.0))


def iron() -> list[Atoms]:
    return with_oxygen(bcc110("Fe", (1, 1, 2), vacuum=5.0, periodic=True), (-16.0, -22.0))


def read(folder: Path, files: dict[str, Sequence[Atoms]]) -> Inputs:
    place = folder / "elemental_slab_oxygen_adsorption_pbe"
    place.mkdir()
    for name, frames in files.items():
        write(place / name, frames, format="extxyz")
    return BENCHMARK.inputs(Sources(folder, online=False))


def test_structures_are_told_apart_by_what_they_consist_of(tmp_path: Path) -> None:
    """Whatever their order and labels."""
    inputs = read(tmp_path, {"Cu4-O.xyz": copper(), "Fe2-O.xyz": iron()[::-1]})
    values = {item.name: BENCHMARK.calculate(item, Squares()) for item in inputs.items}
    found = BENCHMARK.analyse(inputs, values)
    assert [(e.name, e.group, e.reference, e.predicted) for e in found.entries] == [
        ("O on Cu", "d block", pytest.approx(-3.5), 25 - 16 - 1),
        ("O on Fe", "d block", pytest.approx(-4.5), 9 - 4 - 1),
    ]
    assert found.metrics["MAE"] == pytest.approx((11.5 + 8.5) / 2)
    assert found.metrics["MAE (elements with U)"] == pytest.approx(8.5)
    assert found.metrics["MAE (others)"] == pytest.approx(11.5)


def test_the_free_atom_is_a_triplet(tmp_path: Path) -> None:
    (item,) = read(tmp_path, {"Cu4-O.xyz": copper()}).items
    assert {role: atoms.info for role, atoms in item.structures.items()} == {
        "oxygen on slab": {"charge": 0, "spin": 1},
        "slab": {"charge": 0, "spin": 1},
        "oxygen": {"charge": 0, "spin": 3},
    }


def test_files_that_do_not_fit_are_noted_and_the_rest_goes_on(tmp_path: Path) -> None:
    unlabelled = copper()
    del unlabelled[1].info["ref_energy"]
    not_finite = iron()
    not_finite[0].info["ref_energy"] = float("nan")
    files = {
        "Ag4-O.xyz": copper()[:2],
        "Au4-O.xyz": [*copper()[:2], Atoms("N")],
        "Cu4-O.xyz": copper(),
        "Fe2-O.xyz": not_finite,
        "Ni4-O.xyz": unlabelled,
        "Pd4-O.xyz": copper(),
    }
    inputs = read(tmp_path, files)
    assert [item.name for item in inputs.items] == ["O on Cu"]
    reasons = {problem.name: problem.reason for problem in inputs.problems}
    assert "Ag4-O.xyz" in reasons["Ag4-O.xyz"]
    assert "Cu4O" in reasons["Au4-O.xyz"]
    assert "finite" in reasons["Fe2-O.xyz"]
    assert "no ref_energy" in reasons["Ni4-O.xyz"]
    assert "twice" in reasons["Pd4-O.xyz"]
    assert "52 of the 58" in reasons["set"]
