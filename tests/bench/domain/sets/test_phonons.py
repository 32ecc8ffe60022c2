"""Phonons of crystals of springs, whose dynamical matrix is written down here."""

from __future__ import annotations

import bz2
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms, units
from ase.build import bulk
from numpy.typing import NDArray

from crossfield.bench.domain.benchmark import Inputs, Item, NotConverged, Values
from crossfield.bench.domain.scores import score
from crossfield.bench.domain.sets import phonons
from crossfield.bench.domain.sets.alexandria import files
from crossfield.bench.domain.sets.harmonic import Cells, supercells
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.springs import STIFFNESS, Springs

FOLDER = "alexandria-phonons-pbe"
A = 3.6  # Å
UNIT = bulk("Cu", "fcc", a=A, cubic=True)
SUPERCELL = [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
PRIMITIVE = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
STEP = [0.01, 0.0, 0.0]
SPRINGS = Springs({"Cu-Cu": A / np.sqrt(2)})
TERAHERTZ = units.s * 1e-12 / (2 * np.pi)  # of an angular frequency in ASE's units
HIGHEST = np.sqrt(8 * STIFFNESS / UNIT.get_masses()[0]) * TERAHERTZ


def frequencies(stiffness: float, mesh: int) -> NDArray[np.float64]:
    """Eigenvalues of D(q) = k / m Σ n nᵀ (1 - cos q·R) over twelve neighbours at R = r n, THz."""
    ends = [A / 2 * np.array(v) for v in itertools.product((-1, 0, 1), repeat=3) if np.abs(v).sum() == 2]
    lattice = A * np.array(PRIMITIVE)
    points = np.array(list(itertools.product(np.arange(mesh) / mesh, repeat=3)))
    q = points @ (2 * np.pi * np.linalg.inv(lattice).T)
    matrix = sum((1 - np.cos(q @ end))[:, None, None] * np.outer(end, end) / (end @ end) for end in ends)
    squares = np.linalg.eigvalsh(stiffness / UNIT.get_masses()[0] * np.asarray(matrix))
    return np.sqrt(np.clip(squares, 0, None)) * TERAHERTZ


def thermal(stiffness: float, mesh: int = 20) -> dict[str, float]:
    """Harmonic averages at 300 K per mole of atoms, as phonopy states them."""
    found = frequencies(stiffness, mesh)
    weight = units.mol / mesh**3
    energies = found[found > 1e-6] / TERAHERTZ * units._hbar * units.J * units.s
    kt = 300 * units.kB
    x = energies / kt
    free = (energies / 2 + kt * np.log(1 - np.exp(-x))).sum() * weight / units.kJ
    heat = (units.kB * x**2 * np.exp(x) / (np.exp(x) - 1) ** 2).sum() * weight / units.J
    inner = (energies * (0.5 + 1 / (np.exp(x) - 1))).sum() * weight / units.kJ
    return {
        "free_energy": float(free),
        "heat_capacity": float(heat),
        "entropy": float(1000 * (inner - free) / 300),
    }


def content(**change: Any) -> dict[str, Any]:
    """A file of the database; the forces are those of springs."""
    cells = Cells(SUPERCELL, PRIMITIVE, [0], [STEP])
    atoms = supercells(UNIT, cells)[1]
    atoms.calc = SPRINGS
    points = [
        {"symbol": "Cu", "coordinates": xyz, "mass": 63.5} for xyz in UNIT.get_scaled_positions().tolist()
    ]
    known = thermal(STIFFNESS)
    return {
        "phonopy": {"version": "2.32.0"},
        "unit_cell": {"lattice": UNIT.cell.array.tolist(), "points": points},
        "supercell_matrix": SUPERCELL,
        "primitive_matrix": PRIMITIVE,
        "displacements": [{"atom": 1, "displacement": STEP, "forces": atoms.get_forces().tolist()}],
        "temperatures": [0.0, 75.0, 150.0, 300.0, 600.0],
        "free_e": [0.0, 0.0, 0.0, known["free_energy"], 0.0],
        "entropy": [0.0, 0.0, 0.0, known["entropy"], 0.0],
        "heat_capacity": [0.0, 0.0, 0.0, known["heat_capacity"], 0.0],
        **change,
    }


def write(folder: Path, name: str, value: object, *, packed: bool = True) -> None:
    """A file of the database."""
    (folder / FOLDER).mkdir(exist_ok=True)
    data = value if isinstance(value, bytes) else yaml.safe_dump(value).encode()
    path = folder / FOLDER / (f"{name}.yaml.bz2" if packed else f"{name}.yaml")
    path.write_bytes(bz2.compress(data) if packed else data)


def read(folder: Path) -> Inputs:
    return phonons.inputs(Sources(folder, online=False))


def calculate(item: Item, calculator: Springs) -> Values:
    """Values as they come back from the file they are kept in."""
    found: Values = json.loads(json.dumps(phonons.calculate(item, calculator)))
    return found


@pytest.fixture
def one(tmp_path: Path) -> Inputs:
    write(tmp_path, "mp-30", content())
    return read(tmp_path)


def test_frequencies_and_averages_are_those_of_the_dynamical_matrix(one: Inputs) -> None:
    values = calculate(one.items[0], SPRINGS)
    bands = np.array(values["frequencies"])
    assert bands.shape[1] == 3
    assert bands.max() == pytest.approx(HIGHEST, rel=2e-3)
    assert bands.min() == pytest.approx(0, abs=1e-3)
    for key, known in thermal(STIFFNESS).items():
        assert values[key] == pytest.approx(known, rel=5e-3)


def test_model_that_is_the_reference_has_no_error(one: Inputs) -> None:
    findings = phonons.analyse(one, {"mp-30": calculate(one.items[0], SPRINGS)})
    assert findings.metrics.pop("F1 of stability") == 1  # type: ignore[attr-defined]
    assert findings.metrics["MAE of the maximum frequency"] == pytest.approx(0, abs=0.1)
    assert findings.metrics["MAE of all frequencies"] == pytest.approx(0, abs=0.1)
    assert max(v for v in findings.metrics.values() if v is not None) < 0.2
    scores = [score(m, findings.metrics.get(m.name)) for m in phonons.BENCHMARK.metrics[:-1]]
    assert scores == [1.0] * 7


def test_softer_springs_give_errors_known_by_hand(one: Inputs) -> None:
    soft = Springs({"Cu-Cu": A / np.sqrt(2)}, stiffness=STIFFNESS / 2)
    findings = phonons.analyse(one, {"mp-30": calculate(one.items[0], soft)})
    lower = 1 - np.sqrt(0.5)
    kelvin = HIGHEST * 1e12 * units._hplanck / units._k
    assert findings.metrics["MAE of the maximum frequency"] == pytest.approx(lower * kelvin, rel=5e-3)
    own, known = thermal(STIFFNESS / 2), thermal(STIFFNESS)
    assert findings.metrics["MAE of the free energy"] == pytest.approx(
        known["free_energy"] - own["free_energy"], rel=1e-2
    )
    assert findings.metrics["MAE of the entropy"] == pytest.approx(
        own["entropy"] - known["entropy"], rel=1e-2
    )
    shown = {e.quantity: e.predicted for e in findings.entries}
    mean = np.mean(np.array(calculate(one.items[0], soft)["frequencies"]))
    assert findings.metrics["MAE of all frequencies"] == pytest.approx(
        mean * (1 / np.sqrt(0.5) - 1) * phonons.KELVIN, rel=5e-3
    )
    assert shown["average frequency"] == pytest.approx(mean * phonons.KELVIN, rel=1e-3)


def test_stability_is_told_from_the_lowest_frequency(tmp_path: Path) -> None:
    turned = content()
    turned["displacements"][0]["forces"] = (-np.array(turned["displacements"][0]["forces"])).tolist()
    write(tmp_path, "mp-1", content())
    write(tmp_path, "mp-2", turned)
    inputs = read(tmp_path)
    values = {item.name: calculate(item, SPRINGS) for item in inputs.items}
    findings = phonons.analyse(inputs, values)
    assert findings.metrics["F1 of stability"] == pytest.approx(2 / 3)  # one hit, one false alarm
    assert "only by the model: 1" in findings.notes[0]


def test_displacements_and_cell_of_the_reference_are_used(one: Inputs) -> None:
    (item,) = one.items
    assert item.settings["displacements"] == [STEP]
    assert item.settings["supercell"] == SUPERCELL
    assert item.structures["crystal"].cell.array == pytest.approx(UNIT.cell.array)
    assert "forces" not in item.settings


def test_remaining_forces_of_the_crystal_are_subtracted(one: Inputs) -> None:
    class Biased(Springs):
        """Forces that do not vanish where the crystal is symmetric."""

        def calculate(self, atoms: Atoms | None = None, *args: Any, **kwargs: Any) -> None:
            super().calculate(atoms, *args, **kwargs)
            self.results["forces"] = (
                self.results["forces"] + 0.001 * np.sin(np.arange(len(self.atoms)))[:, None]
            )

    values = calculate(one.items[0], Biased({"Cu-Cu": A / np.sqrt(2)}))
    assert np.max(values["frequencies"]) == pytest.approx(HIGHEST, rel=2e-3)


def test_relaxation_that_does_not_end_says_so() -> None:
    silicon = bulk("Si", "diamond", a=5.4, cubic=True)
    silicon.positions[0] += 0.05
    item = Item(
        "Si",
        {"crystal": silicon},
        {**Cells(SUPERCELL, PRIMITIVE, [0], [STEP])._asdict(), "fmax": 1e-9, "steps": 1},
    )
    with pytest.raises(NotConverged, match="after 1 steps"):
        phonons.calculate(item, Springs({"Si-Si": 2.3}))


def test_files_come_in_the_order_of_the_directory(tmp_path: Path) -> None:
    for name in ("mp-10226", "mp-149", "mp-1022", "mp-2"):
        write(tmp_path, name, b"", packed=name != "mp-2")
    (tmp_path / FOLDER / "index.html").write_text("")
    assert [n for n, _ in files(tmp_path / FOLDER)] == ["mp-1022", "mp-10226", "mp-149", "mp-2"]


FLAT = {"lattice": [[0.0] * 3] * 3, "points": [{"symbol": "Cu", "coordinates": [0.0] * 3}]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"displacements": []}, "no displacements"),
        (
            {"displacements": [{"atom": 33, "displacement": STEP, "forces": [[0.0] * 3] * 32}]},
            "beyond the 32",
        ),
        ({"displacements": [{"atom": 1, "displacement": STEP, "forces": [[0.0] * 3] * 31}]}, "is not one of"),
        ({"displacements": [{"atom": 1, "displacement": STEP}]}, "has no 'forces'"),
        ({"temperatures": [0.0, 75.0, 150.0, 301.0, 600.0]}, "Alexandria"),
        ({"unit_cell": FLAT}, "has no volume"),
        ({"free_e": [0.0, 0.0, 0.0, float("nan"), 0.0]}, "not finite"),
        ({"supercell_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "is not one of"),
    ],
)
def test_damaged_files_are_problems_and_the_rest_goes_on(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    write(tmp_path, "mp-1", content(**change))
    write(tmp_path, "mp-2", content())
    inputs = read(tmp_path)
    assert [item.name for item in inputs.items] == ["mp-2"]
    first, missing = inputs.problems
    assert first.name == "mp-1"
    assert reason in first.reason
    assert missing.reason == "98 of the 100 systems are not in the set"
    assert inputs.part == pytest.approx(0.01)


def test_truncated_files_are_problems(tmp_path: Path) -> None:
    write(tmp_path, "mp-1", content())
    path = tmp_path / FOLDER / "mp-1.yaml.bz2"
    path.write_bytes(path.read_bytes()[:-20])
    write(tmp_path, "mp-2", yaml.safe_dump(content()).encode()[:-200])
    write(tmp_path, "mp-3", b"{unclosed: [")
    write(tmp_path, "mp-4", ["rubbish"])
    inputs = read(tmp_path)
    assert not inputs.items
    assert [p.name for p in inputs.problems] == ["mp-1", "mp-2", "mp-3", "mp-4", "set"]
    assert all("is damaged" in inputs.problems[i].reason for i in (0, 2))
    assert "no file of phonopy" in inputs.problems[3].reason


def test_crystals_without_values_are_shown_as_not_calculated(one: Inputs) -> None:
    findings = phonons.analyse(one, {})
    assert set(findings.metrics.values()) == {None}
    assert [(e.name, e.note) for e in findings.entries] == [("Cu (mp-30)", "not calculated")]
