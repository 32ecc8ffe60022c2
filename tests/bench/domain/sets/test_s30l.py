from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import Bohr, kcal, mol

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.scores import scored
from crossfield.bench.domain.sets.s30l import BENCHMARK
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError
from tests.bench.domain.sets.squares import Squares

KCAL = kcal / mol
REFERENCES = [-10.0 - i for i in range(30)]


def coord(atoms: Atoms) -> str:
    """As the authors write it: bohr, elements in lower case, a section that says nothing."""
    lines = [
        "  ".join(f"{x / Bohr:20.14f}" for x in r) + f"      {s.lower()}"
        for s, r in zip(atoms.symbols, atoms.positions, strict=True)
    ]
    return "\n".join(["$coord", *lines, "$user-defined bonds", "$end", ""])


def write(folder: Path, index: int, charges: tuple[int, int] = (0, 0)) -> Path:
    """Only what is charged has a file of its charge; the guest relaxes when it is alone."""
    place = folder / "S30L" / "s30l_test_set" / str(index)
    host, guest = molecule("C6H6"), molecule("H2O")
    relaxed = guest.copy()
    relaxed.positions += 0.1
    structures = {"A": (host, charges[0]), "B": (relaxed, charges[1]), "AB": (host + guest, sum(charges))}
    for name, (atoms, charge) in structures.items():
        (place / name).mkdir(parents=True)
        (place / name / "coord").write_text(coord(atoms))
        if charge:
            (place / name / ".CHRG").write_text(f"{charge:+d}\n")
    return place


def read(folder: Path, references: list[float] = REFERENCES) -> Inputs:
    place = folder / "S30L" / "s30l_test_set" / "references_s30.txt"
    place.write_text("\n".join(map(str, references)))
    return BENCHMARK.inputs(Sources(folder, online=False))


def test_structures_and_charges_are_read(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 23, charges=(0, 2))
    neutral, ion = read(tmp_path).items
    assert (neutral.name, ion.name) == ("01", "23")
    distances = neutral.structures["host"].get_all_distances()
    assert distances == pytest.approx(molecule("C6H6").get_all_distances(), abs=1e-12)
    assert {role: atoms.info["charge"] for role, atoms in neutral.structures.items()} == {
        "complex": 0,
        "host": 0,
        "guest": 0,
    }
    assert {role: atoms.info["charge"] for role, atoms in ion.structures.items()} == {
        "complex": 2,
        "host": 0,
        "guest": 2,
    }


def test_errors_are_in_kilocalories_per_mole_and_split_by_charge(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 23, charges=(0, 2))
    inputs = read(tmp_path)
    found = BENCHMARK.analyse(
        inputs, {item.name: BENCHMARK.calculate(item, Squares()) for item in inputs.items}
    )
    predicted = (15**2 - 12**2 - 3**2) / KCAL
    assert [(e.reference, e.predicted) for e in found.entries] == [
        (-10.0, pytest.approx(predicted)),
        (-32.0, pytest.approx(predicted)),
    ]
    assert found.metrics["MAE (neutral)"] == pytest.approx(predicted + 10)
    assert found.metrics["MAE (charged)"] == pytest.approx(predicted + 32)
    assert found.metrics["MAE"] == pytest.approx(predicted + 21)


def test_an_error_of_eleven_kilocalories_scores_a_half(tmp_path: Path) -> None:
    write(tmp_path, 1)
    inputs = read(tmp_path)
    found = BENCHMARK.analyse(inputs, {"01": {"complex": 1.2 * KCAL, "host": 0.0, "guest": 0.0}})
    assert found.metrics["MAE"] == pytest.approx(11.2)
    assert scored(BENCHMARK.metrics, found.metrics)[0].score == pytest.approx(0.5)


def test_what_is_broken_is_noted_and_the_rest_goes_on(tmp_path: Path) -> None:
    for index in range(1, 8):
        write(tmp_path, index)
    top = tmp_path / "S30L" / "s30l_test_set"
    (top / "1" / "A" / "coord").unlink()
    (top / "2" / "B" / "coord").write_text((top / "2" / "B" / "coord").read_text()[:90])
    (top / "3" / "AB" / ".CHRG").write_text("+1\n")
    (top / "4" / "AB" / ".CHRG").write_text("one\n")
    (top / "5" / "A" / "coord").write_text(coord(molecule("C6H6")).replace(" c\n", " zz\n", 1))
    bad = coord(molecule("H2O")).splitlines()
    (top / "6" / "B" / "coord").write_text("\n".join([bad[0], "nan nan nan o", *bad[2:]]))
    inputs = read(tmp_path)
    assert [item.name for item in inputs.items] == ["07"]
    reasons = {problem.name: problem.reason for problem in inputs.problems}
    assert "coord: is missing" in reasons["1"]
    assert "2" in reasons
    assert "+1 of the complex" in reasons["3"]
    assert "'one' is no number" in reasons["4"]
    assert "coord" in reasons["5"]
    assert "finite" in reasons["6"]
    assert len(inputs.items) + len(inputs.problems) == 30


def test_references_must_be_of_all_complexes(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with pytest.raises(InputError, match="29 energies instead of 30"):
        read(tmp_path, REFERENCES[:-1])
    with pytest.raises(InputError, match="not finite"):
        read(tmp_path, [float("nan"), *REFERENCES[1:]])
