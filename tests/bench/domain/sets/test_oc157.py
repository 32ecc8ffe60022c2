from __future__ import annotations

from pathlib import Path

import pytest
from ase.build import fcc111
from ase.io import write

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.sets.oc157 import BENCHMARK
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.squares import Squares

LINE = "  energy  without entropy=     {other:.8f}  energy(sigma->0) =     {energy:.8f}\n"


def system(
    folder: Path, name: str, energies: tuple[float, ...], *, incar: str = "ENCUT = 520\n", hydrogen: int = 1
) -> None:
    """As published: POSCAR, CONTCAR (not of all), INCAR and the output in latin-1 of every structure."""
    for index, energy in enumerate(energies, start=1):
        place = folder / "OC_Dataset" / name / str(index)
        place.mkdir(parents=True)
        atoms = fcc111("Pt", (1, 1, 2), vacuum=5.0, periodic=True)
        for _ in range(hydrogen if index == 3 else 1):
            atoms.append("H")
            atoms.positions[-1] = atoms.positions[1] + [0, 0, 1.5 + 0.1 * index]
        write(place / "POSCAR", atoms, format="vasp")
        if index == 2:
            atoms.positions[-1, 2] += 0.5
            write(place / "CONTCAR", atoms, format="vasp")
        (place / "INCAR").write_text(incar)
        output = "first step\n" + LINE.format(other=1.0, energy=2.0) + LINE.format(other=0.0, energy=energy)
        (place / "OUTCAR").write_bytes((output + "Ångström\n").encode("latin-1"))


def read(folder: Path) -> Inputs:
    return BENCHMARK.inputs(Sources(folder, online=False))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "OC157").mkdir()
    return tmp_path


def test_the_last_energy_and_the_relaxed_structure_are_read(top: Path) -> None:
    system(top, "001", (-10.0, -10.5, -9.0))
    inputs = read(top)
    (item,) = inputs.items
    assert inputs.context == {"001 HPt2": {"1": -10.0, "2": -10.5, "3": -9.0}}
    heights = [atoms.positions[:, 2].max() - atoms.positions[1, 2] for atoms in item.structures.values()]
    assert heights == pytest.approx([1.6, 2.2, 1.8])
    assert BENCHMARK.calculate(item, Squares()) == {"1": 9.0, "2": 9.0, "3": 9.0}


def test_differences_within_a_triplet_are_compared(top: Path) -> None:
    system(top, "001", (-10.0, -10.5, -9.0))
    inputs = read(top)
    found = BENCHMARK.analyse(inputs, {"001 HPt2": {"1": 0.0, "2": -0.2, "3": 1.0}})
    assert [(e.reference, e.predicted) for e in found.entries] == [
        (pytest.approx(-0.5), pytest.approx(-0.2)),
        (pytest.approx(1.0), pytest.approx(1.0)),
        (pytest.approx(1.5), pytest.approx(1.2)),
    ]
    assert found.metrics == {
        "MAE": pytest.approx(0.2),
        "Ranking error": 0.0,
        "Most stable found": 100.0,
    }


def test_a_wrong_order_costs_and_a_constant_does_not(top: Path) -> None:
    """In the second triplet the smallest difference is another one, and the largest is not."""
    system(top, "001", (-10.0, -10.5, -9.0))
    system(top, "002", (-10.0, -10.5, -9.0))
    inputs = read(top)
    right = {"1": 5.0, "2": 4.5, "3": 6.0}
    wrong = {"1": 0.0, "2": 0.5, "3": 1.4}  # 0.5, 1.4, 0.9: smallest is still the first, largest the second
    found = BENCHMARK.analyse(inputs, {"001 HPt2": right, "002 HPt2": wrong})
    assert found.metrics["Ranking error"] == pytest.approx(0.25)
    assert found.metrics["Most stable found"] == pytest.approx(50.0)
    assert found.metrics["MAE"] == pytest.approx((1.0 + 0.4 + 0.6) / 6)


def test_systems_with_a_hubbard_u_are_left_out(top: Path) -> None:
    system(top, "001", (-10.0, -10.5, -9.0), incar="LDAU = .TRUE.\n")
    system(top, "002", (-10.0, -10.5, -9.0))
    inputs = read(top)
    assert [item.name for item in inputs.items] == ["002 HPt2"]
    assert [problem.reason for problem in inputs.problems] == ["156 of the 157 systems are not in the set"]


def test_what_is_broken_is_noted_and_the_rest_goes_on(top: Path) -> None:
    for name in ("001", "002", "003", "004", "006"):
        system(top, name, (-10.0, -10.5, -9.0))
    system(top, "005", (-10.0, -10.5, -9.0), hydrogen=2)
    data = top / "OC_Dataset"
    (data / "001" / "2" / "OUTCAR").write_text("killed\n")
    (data / "002" / "3" / "POSCAR").unlink()
    (data / "003" / "1" / "INCAR").unlink()
    (data / "004" / "1" / "OUTCAR").write_text(LINE.format(other=0.0, energy=float("nan")))
    inputs = read(top)
    assert [item.name for item in inputs.items] == ["006 HPt2"]
    reasons = {problem.name: problem.reason for problem in inputs.problems}
    assert "without entropy" in reasons["001"]
    assert "POSCAR: is missing" in reasons["002"]
    assert "INCAR: is missing" in reasons["003"]
    assert "finite" in reasons["004"]
    assert "same atoms" in reasons["005"]
