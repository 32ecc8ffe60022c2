"""Vacancies in crystals of springs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write as ase_write

from crossfield.bench.domain.benchmark import Inputs, Item, NotConverged
from crossfield.bench.domain.sets import vacancy
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError
from tests.bench.domain.sets.springs import DEPTH, Springs

FOLDER = "Elemental_TM_Vacancy"
A = 3.6  # Å
SPRINGS = Springs({"Cu-Cu": A / np.sqrt(2)})
CRYSTAL = bulk("Cu", "fcc", a=A, cubic=True).repeat(2)


def write(folder: Path, names: str = "Cu_fcc\n", systems: tuple[str, ...] = ("Cu_fcc",)) -> Path:
    """The published set, cut down; the vacancy is not relaxed."""
    top = folder / FOLDER
    top.mkdir()
    (top / "list").write_text(names)
    hole = CRYSTAL.copy()
    del hole[5]
    for name in systems:
        (top / name).mkdir()
        put(top / name / "CONTCAR_bulk", CRYSTAL)
        put(top / name / "CONTCAR_vacancy", hole)
        (top / name / "vacancy_formation_energy_PBE").write_text(f"{6 * DEPTH - 0.25}\n")
    return top


def put(path: Path, atoms: Atoms) -> None:
    """A CONTCAR."""
    text = io.StringIO()
    ase_write(text, atoms, format="vasp", direct=True)
    path.write_text(text.getvalue())


def read(folder: Path) -> Inputs:
    return vacancy.inputs(Sources(folder, online=False))


def test_vacancy_of_springs_costs_half_of_its_bonds(tmp_path: Path) -> None:
    write(tmp_path)
    inputs = read(tmp_path)
    assert [(i.name, i.quick, i.scored) for i in inputs.items] == [
        ("Cu_fcc", True, True),
        ("Cu_fcc relaxed", False, False),
    ]
    values = {item.name: vacancy.calculate(item, SPRINGS) for item in inputs.items}
    findings = vacancy.analyse(inputs, values)
    # bonds at their length do not relax, so that both are the same
    assert [e.predicted for e in findings.entries] == pytest.approx([6 * DEPTH, 6 * DEPTH], abs=1e-6)
    assert findings.metrics == {"MAE": pytest.approx(0.25), "MAE (relaxed)": pytest.approx(0.25)}


def test_relaxation_lowers_the_energy_in_the_same_cell(tmp_path: Path) -> None:
    top = write(tmp_path)
    hole = CRYSTAL.copy()
    del hole[5]
    hole.rattle(0.05, seed=1)
    put(top / "Cu_fcc" / "CONTCAR_vacancy", hole)
    still, moved = (vacancy.calculate(item, SPRINGS) for item in read(tmp_path).items)
    assert still["vacancy"] > moved["vacancy"] + 0.1
    assert moved["vacancy"] == pytest.approx(-DEPTH * (6 * 32 - 12), abs=1e-2)


def test_relaxation_that_does_not_end_says_so(tmp_path: Path) -> None:
    write(tmp_path)
    item = read(tmp_path).items[1]
    item.structures["vacancy"].rattle(0.05, seed=1)
    with pytest.raises(NotConverged, match="vacancy: largest force"):
        vacancy.calculate(Item(item.name, item.structures, {"fmax": 1e-9, "steps": 1}), SPRINGS)


def test_systems_that_are_missing_or_broken_are_problems(tmp_path: Path) -> None:
    names = ("good", "twice", "number", "atoms", "alloy")
    top = write(tmp_path, "\n".join([*names, "twice", "absent"]), names)
    (top / "number" / "vacancy_formation_energy_PBE").write_text("nan")
    put(top / "atoms" / "CONTCAR_vacancy", CRYSTAL)
    alloy = CRYSTAL.copy()
    alloy.symbols[0] = "Ni"
    put(top / "alloy" / "CONTCAR_bulk", alloy)
    inputs = read(tmp_path)
    assert [i.name for i in inputs.items] == ["good", "good relaxed", "twice", "twice relaxed"]
    reasons = {p.name: p.reason for p in inputs.problems}
    assert reasons.keys() == {"number", "atoms", "alloy", "twice", "absent", "set"}
    assert reasons["set"] == "35 of the 42 systems are not in the set"
    assert inputs.part == pytest.approx(2 / 42)
    assert "not finite" in reasons["number"]
    assert "32 atoms with a vacancy, and 32 without one" in reasons["atoms"]
    assert "no crystal of one element" in reasons["alloy"]
    assert "occurs twice" in reasons["twice"]
    assert "is missing" in reasons["absent"]


def test_set_without_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    with pytest.raises(InputError, match="list"):
        read(tmp_path)


def test_nothing_calculated_gives_no_error(tmp_path: Path) -> None:
    write(tmp_path)
    findings = vacancy.analyse(read(tmp_path), {})
    assert findings.metrics == {"MAE": None, "MAE (relaxed)": None}
    assert [e.predicted for e in findings.entries] == [None, None]
