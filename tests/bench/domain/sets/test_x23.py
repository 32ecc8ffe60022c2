from __future__ import annotations

from pathlib import Path

import pytest
from ase import units
from ase.build import molecule
from ase.io import write

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.scores import scored
from crossfield.bench.domain.sets.x23 import BENCHMARK
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.squares import Squares

KJ = units.kJ / units.mol


def crystal(folder: Path, name: str, kind: str, lattice_energy: str, count: str = "2") -> None:
    place = folder / "lattice_energy" / name
    place.mkdir(parents=True)
    alone = molecule(kind)
    alone.set_cell([12, 12, 12])
    alone.pbc = True
    solid = alone.copy()
    solid.set_cell([5, 5, 5])
    write(place / "POSCAR_molecule", alone, format="vasp")
    write(place / "POSCAR_solid", solid.repeat((1, 1, 2)), format="vasp")
    (place / "lattice_energy_DMC").write_text(lattice_energy)
    (place / "nmol").write_text(f"{count}\n")
    with (folder / "lattice_energy" / "list").open("a") as file:
        file.write(f"{name}\n")


def read(folder: Path) -> Inputs:
    return BENCHMARK.inputs(Sources(folder, online=False))


def test_lattice_energies_are_per_molecule(tmp_path: Path) -> None:
    crystal(tmp_path, "04_ammonia", "NH3", "-38.1984 0.0852")
    inputs = read(tmp_path)
    (item,) = inputs.items
    found = BENCHMARK.analyse(inputs, {item.name: BENCHMARK.calculate(item, Squares())})
    (entry,) = found.entries
    assert entry.predicted == pytest.approx((8**2 / 2 - 4**2) / KJ)
    assert (entry.reference, entry.unit, entry.note) == (-38.1984, "kJ/mol", "reference ± 0.085 kJ/mol")


def test_an_error_of_ten_kilojoules_per_mole_costs_a_tenth(tmp_path: Path) -> None:
    crystal(tmp_path, "04_ammonia", "NH3", "-38.0 0.1")
    crystal(tmp_path, "07_co2", "CO2", "-29.0 0.3")
    inputs = read(tmp_path)
    values = {
        "04_ammonia": {"crystal": 2 * -48.0 * KJ, "molecule": 0.0},
        "07_co2": {"crystal": 2 * -24.0 * KJ, "molecule": -5.0 * KJ},
    }
    found = BENCHMARK.analyse(inputs, values)
    assert found.metrics == {"MAE": pytest.approx(10.0), "Mean error": pytest.approx(0.0)}
    assert scored(BENCHMARK.metrics, found.metrics)[0].score == pytest.approx(0.9)


def test_what_does_not_fit_is_noted_and_the_rest_goes_on(tmp_path: Path) -> None:
    crystal(tmp_path, "good", "CO2", "-29.0 0.3")
    crystal(tmp_path, "miscounted", "CO2", "-29.0 0.3", count="3")
    crystal(tmp_path, "not_finite", "CO2", "nan 0.3")
    crystal(tmp_path, "in_words", "CO2", "about twenty")
    crystal(tmp_path, "truncated", "CO2", "-29.0 0.3")
    place = tmp_path / "lattice_energy"
    cut = (place / "truncated" / "POSCAR_solid").read_text()
    (place / "truncated" / "POSCAR_solid").write_text(cut[: len(cut) // 2])
    with (place / "list").open("a") as file:
        file.write("absent\ngood\n")
    inputs = read(tmp_path)
    assert [item.name for item in inputs.items] == ["good"]
    reasons = [(problem.name, problem.reason) for problem in inputs.problems]
    for name, part in (
        ("miscounted", "C2O4 is not 3 times CO2"),
        ("not_finite", "finite"),
        ("in_words", "'about' is no number"),
        ("truncated", "POSCAR_solid"),
        ("absent", "POSCAR_solid: is missing"),
        ("good", "twice"),
        ("set", "16 of the 23"),
    ):
        assert any(n == name and part in reason for n, reason in reasons), name


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"\xff\xfe", b"x 1\n" * 9, b"1e400\n" * 20])
@pytest.mark.parametrize("name", ["POSCAR_solid", "POSCAR_molecule", "nmol", "lattice_energy_DMC"])
def test_a_file_of_anything_is_listed_and_the_rest_is_read(tmp_path: Path, name: str, content: bytes) -> None:
    crystal(tmp_path, "04_ammonia", "NH3", "-38.0 0.1")
    crystal(tmp_path, "07_co2", "CO2", "-29.0 0.3")
    (tmp_path / "lattice_energy" / "04_ammonia" / name).write_bytes(content)
    inputs = read(tmp_path)
    assert [item.name for item in inputs.items] == ["07_co2"]
    assert "04_ammonia" in {problem.name for problem in inputs.problems}
