from __future__ import annotations

from pathlib import Path

import pytest

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.sets.wiggle150 import BENCHMARK, FILE
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError
from tests.bench.domain.sets.molecules import analysed, calculated, reasons, xyz

# energies -100 and extents of 1: the answers are 1 and 4 for 3 and 3, and 2 for 2.5
FRAMES = [
    xyz("H2O", 1.0, "ado_00 -100.0"),
    xyz("H2O", 2.0, "ado_01 -97.0"),
    xyz("H2O", 5.0, "ado_02 -97.0"),
    xyz("CH4", 1.0, "efa_00 -50.5"),
    xyz("CH4", 3.0, "efa_01 -48.0"),
]


def inputs(folder: Path, text: str) -> Inputs:
    top = folder / "wiggle150-structures"
    top.mkdir()
    (top / FILE).write_text(text)
    return BENCHMARK.inputs(Sources(folder, online=False))


def test_errors_are_of_energies_relative_to_the_relaxed_conformer(tmp_path: Path) -> None:
    found = inputs(tmp_path, "".join(FRAMES))
    findings = analysed(BENCHMARK, found)
    assert findings.metrics["MAE"] == pytest.approx((2.0 + 1.0 + 0.5) / 3, abs=1e-5)
    assert findings.metrics["MAE, adenosine"] == pytest.approx(1.5, abs=1e-5)
    assert findings.metrics["MAE, efavirenz"] == pytest.approx(0.5, abs=1e-5)
    assert findings.metrics["MAE, benzylpenicillin"] is None
    entry = findings.entries[1]
    assert (entry.name, entry.group, entry.unit) == ("ado_02", "adenosine", "kcal/mol")
    assert entry.reference == pytest.approx(3.0)
    assert entry.predicted == pytest.approx(4.0, abs=1e-5)
    assert entry.items == ("ado_02", "ado_00")
    assert all(item.quick for item in found.items)


def test_conformers_that_are_missing_are_told(tmp_path: Path) -> None:
    found = inputs(tmp_path, "".join(FRAMES))
    assert reasons(found).keys() == {"adenosine", "benzylpenicillin", "efavirenz"}
    assert "has 3 of 51 conformers of adenosine" in reasons(found)["adenosine"]
    assert "has no bpn_00" in reasons(found)["benzylpenicillin"]


def test_a_complete_molecule_has_no_problem(tmp_path: Path) -> None:
    found = inputs(tmp_path, "".join(xyz("H2O", 1.0 + n, f"ado_{n:02d} {n}") for n in range(51)))
    assert "adenosine" not in reasons(found)
    findings = analysed(BENCHMARK, found)
    assert len(findings.entries) == 50
    assert findings.metrics["MAE"] == pytest.approx(0.0, abs=1e-5)


def test_a_conformer_that_failed_is_shown_and_not_counted(tmp_path: Path) -> None:
    found = inputs(tmp_path, "".join(FRAMES))
    values = calculated(BENCHMARK, found, ["ado_00", "ado_01"])
    findings = analysed(BENCHMARK, found, values)
    assert findings.metrics["MAE"] == pytest.approx(2.0, abs=1e-5)
    assert [e.predicted is None for e in findings.entries] == [False, True, True]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (xyz("H2O", 2.0, "ado_01"), "is no label with an energy"),
        (xyz("H2O", 2.0, "xyz_01 -97.0"), "is no label with an energy"),
        (xyz("H2O", 2.0, "ado_01 nan"), "is not finite"),
        (xyz("H2O", 2.0, "ado_02 -97.0"), "ado_02 stands twice"),
        (xyz("H2O", 2.0, "ado_01 -97.0").replace("2.000000", "far"), "cannot be read as xyz"),
        (xyz("H2O", 2.0, "ado_01 -97.0").replace("2.000000", "nan"), "not finite"),
        (xyz("CH3", 2.0, "ado_01 -97.0"), "electrons cannot have multiplicity 1"),
    ],
    ids=["no energy", "another molecule", "nan", "twice", "a word", "nan in positions", "a radical"],
)
def test_a_damaged_frame_costs_itself_alone(tmp_path: Path, frame: str, reason: str) -> None:
    found = inputs(tmp_path, FRAMES[0] + FRAMES[2] + frame + "".join(FRAMES[3:]))
    assert reason in reasons(found)["frame 2"]
    assert FILE in reasons(found)["frame 2"]
    assert [i.name for i in found.items] == ["ado_00", "ado_02", "efa_00", "efa_01"]


def test_other_atoms_than_those_of_the_relaxed_conformer(tmp_path: Path) -> None:
    found = inputs(tmp_path, FRAMES[0] + xyz("CH4", 2.0, "ado_01 -97.0"))
    assert "ado_01 has other atoms than ado_00" in reasons(found)["ado_01"]
    assert [i.name for i in found.items] == ["ado_00"]


def test_what_follows_a_lost_frame_is_named(tmp_path: Path) -> None:
    found = inputs(tmp_path, FRAMES[0] + FRAMES[1] + "O 1.0 0.0 0.0\n" + FRAMES[2])
    assert "line 11 is no number of atoms" in reasons(found)["all that follows a damaged frame"]
    assert [i.name for i in found.items] == ["ado_00", "ado_01"]


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    found = inputs(tmp_path, FRAMES[0] + FRAMES[1][:20])
    assert "is cut off" in reasons(found)["frame 1"]


def test_without_its_file_there_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "wiggle150-structures").mkdir()
    with pytest.raises(InputError, match="is missing"):
        BENCHMARK.inputs(Sources(tmp_path, online=False))
