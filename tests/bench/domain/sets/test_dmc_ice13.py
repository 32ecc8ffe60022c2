from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.io import write

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.sets.dmc_ice13 import BENCHMARK, DMC
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError
from tests.bench.domain.sets.squares import Squares


def poscar(folder: Path, name: str, atoms: Atoms) -> None:
    place = folder / "dmc-ice13-main" / "INPUT" / "VASP" / name / "POSCAR"
    place.parent.mkdir(parents=True)
    atoms.pbc = True
    write(place, atoms, format="vasp")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Two polymorphs of two and three molecules."""
    water = molecule("H2O")
    water.set_cell([14, 14, 14])
    for name, count in (("Ih", 2), ("VII", 3)):
        ice = water.copy()
        ice.set_cell([4, 4, 4])
        poscar(tmp_path, name, ice.repeat((count, 1, 1)))
    poscar(tmp_path, "water", water)
    return tmp_path


def read(top: Path, references: Mapping[str, object] | str) -> Inputs:
    given = references if isinstance(references, str) else json.dumps(references)
    (top / "dmc-ice13-main" / "ice_polymorph_ref_PBE_D3.json").write_text(given)
    return BENCHMARK.inputs(Sources(top, online=False))


def test_lattice_energies_are_per_molecule_in_millielectronvolts(top: Path) -> None:
    inputs = read(top, {"Ih": -734, "VII": -629})
    values = {item.name: BENCHMARK.calculate(item, Squares()) for item in inputs.items}
    found = BENCHMARK.analyse(inputs, values)
    rows = {(e.name, e.group, e.quantity): (e.reference, e.predicted) for e in found.entries}
    assert rows["Ih", "PBE-D3", "lattice energy"] == (-734, pytest.approx(1000 * (36 / 2 - 9)))
    assert rows["VII", "PBE-D3", "lattice energy"] == (-629, pytest.approx(1000 * (81 / 3 - 9)))
    kj = 1000 * units.kJ / units.mol
    assert rows["VII", "DMC", "lattice energy"][0] == pytest.approx(-54.46 * kj)
    reference, predicted = rows["VII", "DMC", "energy above ice Ih"]
    assert reference == pytest.approx((59.45 - 54.46) * kj)
    assert predicted == pytest.approx(9000)


def test_errors_against_both_references(top: Path) -> None:
    inputs = read(top, {"Ih": -734, "VII": -629})
    shifted = {name: {"ice": n * (-0.6 + 0.02 * n), "water": 0.0} for name, n in (("Ih", 2), ("VII", 3))}
    found = BENCHMARK.analyse(inputs, shifted)  # -560 and -540 meV
    assert found.metrics["MAE"] == pytest.approx((174 + 89) / 2)
    dmc = {name: DMC[name] * 1000 * units.kJ / units.mol for name in ("Ih", "VII")}
    assert found.metrics["MAE (DMC)"] == pytest.approx((-560 - dmc["Ih"] - 540 - dmc["VII"]) / 2)
    assert found.metrics["MAE relative to Ih (DMC)"] == pytest.approx(abs(20 - (dmc["VII"] - dmc["Ih"])))


def test_without_ice_ih_nothing_is_relative_to_it(top: Path) -> None:
    inputs = read(top, {"Ih": -734, "VII": -629})
    found = BENCHMARK.analyse(inputs, {"VII": {"ice": 3 * -0.7, "water": 0.0}})
    assert found.metrics["MAE"] == pytest.approx(71)
    assert found.metrics["MAE relative to Ih (DMC)"] is None


def test_the_dmc_energies_order_the_polymorphs_as_the_paper_does() -> None:
    assert sorted(DMC, key=lambda name: DMC[name])[:3] == ["Ih", "XI", "II"]
    assert max(DMC, key=lambda name: DMC[name]) == "VII"
    assert len(DMC) == 13


def test_what_is_missing_is_noted_and_the_rest_goes_on(top: Path) -> None:
    inputs = read(top, {"Ih": -734, "II": -709})
    assert [item.name for item in inputs.items] == ["Ih"]
    reasons = {problem.name: problem.reason for problem in inputs.problems}
    assert "POSCAR: is missing" in reasons["II"]
    assert "VII is missing in the references" in reasons["VII"]
    assert len(inputs.items) + len(reasons) == 13


def test_ice_of_other_atoms_is_refused(top: Path) -> None:
    methane = molecule("CH4")
    methane.set_cell([4, 4, 4])
    poscar(top, "II", methane)
    inputs = read(top, {"II": -709})
    assert "CH4" in next(p.reason for p in inputs.problems if p.name == "II")


@pytest.mark.parametrize("references", ['{"Ih": -734', "[1, 2]", '{"Ih": NaN}'])
def test_references_that_are_none_are_refused(top: Path, references: str) -> None:
    with pytest.raises(InputError, match="ice_polymorph_ref"):
        read(top, references)
