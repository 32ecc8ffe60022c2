from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import units

from crossfield.bench.domain.benchmark import Benchmark, Inputs
from crossfield.bench.domain.scores import benchmark_score, scored
from crossfield.bench.domain.sets.barriers import BENCHMARKS
from crossfield.bench.domain.sets.barriers_crbh20 import BARRIERS
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError
from tests.bench.domain.sets.molecules import KCAL, analysed, reasons, xyz

BY_NAME = {benchmark.name: benchmark for benchmark in BENCHMARKS}


def write(folder: Path, files: dict[str, str]) -> Sources:
    """A set of files by path."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Sources(folder, online=False)


def read(name: str, folder: Path, files: dict[str, str]) -> tuple[Benchmark, Inputs]:
    benchmark = BY_NAME[f"barriers_{name}"]
    return benchmark, benchmark.inputs(write(folder, files))


def bh9() -> dict[str, str]:
    """Two reactions; the files sort otherwise than the numbers. Answers are 3 - 1 - 0.5 and 2 - 1."""
    top, tables = "BH9/BH9_SI/XYZ_files", "BH9/BH9_SI/DB_files/BH"
    return {
        f"{top}/01_10TS.xyz": xyz("H2O", 2.0, "0 1"),
        f"{top}/01_10R1.xyz": xyz("H2O", 1.0, "0 1"),
        f"{top}/01_10P1.xyz": xyz("H2O", 9.0, "0 1"),
        f"{top}/01_2TS.xyz": xyz("CH3Cl", 3.0, "-1 2"),
        f"{top}/01_2R1.xyz": xyz("CH3", 1.0, "0 2"),
        f"{top}/01_2R2.xyz": xyz("Cl", 0.0, "-1 1"),
        f"{tables}/BH9-BH_1_forward.db": "# a comment\nref 1.0 kcal\nmolc ...\n",
        f"{tables}/BH9-BH_1_reverse.db": "ref 77.0\n",
        f"{tables}/BH9-BH_2_forward.db": "ref 3.5\n",
        f"{tables}/BH9-BH_2_reverse.db": "ref 77.0\n",
    }


def cyclo70() -> dict[str, str]:
    """A cycloaddition, radicals in reverse. Answers are 4 - 1 - 0 and 4 - 2."""
    top = "CYCLO70/XYZ_CYCLO70/rxn_33"
    return {
        "CYCLO70/dlpno-ccsdt-34.dat": "R_ID FORWARD REVERSE REACTION\nrxn_33 2.5 4.0 -1.5\n\nrxn_99 1 2 3\n",
        f"{top}/r0_33.xyz": xyz("CO", 1.0, "energy: -1"),
        f"{top}/r1_33.xyz": xyz("H2", 0.0, "charge=0, mult=1"),
        f"{top}/TS_33.xyz": xyz("COH2", 4.0, "charge=0 mult=1"),
        f"{top}/p0_33.xyz": xyz("COH2", 2.0, "charge=0 mult=3"),
    }


def criegee22() -> dict[str, str]:
    """Barrier of 1 kcal/mol, given in kJ/mol; the answer is 3."""
    kilojoules = units.kcal / units.kJ
    return {
        "Criegee22/reference.txt": f"label 2 3 4 5 6 7 8 barrier\nA1 2 3 4 5 6 7 8 {kilojoules:.9f} x\n",
        "Criegee22/structures/A1-reac.xyz": xyz("CH2O2", 1.0),
        "Criegee22/structures/A1-TS.xyz": xyz("CH2O2", 4.0),
    }


def bh2o36(total: float = -76.0) -> dict[str, str]:
    """Total energies near those of the atoms, in eV: barriers of 2 and 1 kcal/mol; answers are 2 and 3."""
    water = total * units.Hartree
    energies = {
        "amide11_rct_vacuum_x": water,
        "amide11_ts_vacuum_x": water + 2 * KCAL,
        "amide11_pro_vacuum_x": water + KCAL,
        "amide11_ts_water_x": 5.0,
    }
    top = "BH2O-36/molecules/for_sp"
    return {
        "BH2O-36/mp2_super.json": json.dumps(energies),
        f"{top}/amide_1_1_rct_a_0.xyz": xyz("H2O", 2.0),
        f"{top}/amide_1_1_ts_a_0.xyz": xyz("H2O", 4.0),
        f"{top}/amide_1_1_pro_a_0.xyz": xyz("H2O", 1.0),
    }


def crbh20() -> dict[str, str]:
    poscar = "H2\n1.0\n10 0 0\n0 10 0\n0 0 10\nH\n2\nCartesian\n0 0 0\n{} 0 0\n"
    return {
        f"CRBH20/{n}/{state}/POSCAR": poscar.format(x)
        for n in (1, 20)
        for state, x in (("react", 1), ("ts", 3))
    }


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("bh9", bh9, {"01_2": (1.0, 1.5 + 0.5), "01_10": (3.5, 1.0)}),
        ("cyclo70", cyclo70, {"rxn_33 forward": (2.5, 3.0), "rxn_33 reverse": (4.0, 2.0)}),
        ("criegee22", criegee22, {"A1": (1.0, 3.0)}),
        ("bh2o36", bh2o36, {"amide11 forward": (2.0, 2.0), "amide11 reverse": (1.0, 3.0)}),
        (
            "crbh20",
            crbh20,
            {"reaction 1": (BARRIERS[0] / KCAL, 2.0), "reaction 20": (BARRIERS[19] / KCAL, 2.0)},
        ),
    ],
)
def test_barriers_and_their_references(
    tmp_path: Path,
    name: str,
    files: Callable[[], dict[str, str]],
    expected: dict[str, tuple[float, float]],
) -> None:
    benchmark, found = read(name, tmp_path, files())
    findings = analysed(benchmark, found)
    entries = {e.name: (e.reference, e.predicted) for e in findings.entries}
    assert entries.keys() == expected.keys()
    for label, pair in expected.items():
        assert entries[label] == pytest.approx(pair, abs=1e-5)
    errors = [predicted - reference for reference, predicted in expected.values()]
    assert findings.metrics["MAE"] == pytest.approx(sum(map(abs, errors)) / len(errors), abs=1e-5)
    assert findings.metrics["ME"] == pytest.approx(sum(errors) / len(errors), abs=1e-5)
    assert all(e.unit == "kcal/mol" for e in findings.entries)
    assert all(item.quick for item in found.items)  # the whole of so small a set
    assert analysed(benchmark, found, {}).metrics == {"MAE": None, "ME": None}


def test_charge_and_multiplicity_are_those_of_the_files(tmp_path: Path) -> None:
    _, found = read("bh9", tmp_path, bh9())
    states = {i.name: i.structures["molecule"].info for i in found.items}
    assert states["01_2TS.xyz"] == {"charge": -1, "spin": 2}
    assert states["01_2R2.xyz"] == {"charge": -1, "spin": 1}
    _, found = read("cyclo70", tmp_path, cyclo70())
    assert {i.name: i.structures["molecule"].info["spin"] for i in found.items}["rxn_33/p0_33.xyz"] == 3
    fluoride = {
        path.replace("_0.xyz", "_-1.xyz"): text.replace("O ", "F ") for path, text in bh2o36(-100.5).items()
    }
    _, found = read("bh2o36", tmp_path, fluoride)
    assert {i.structures["molecule"].info["charge"] for i in found.items} == {-1}


def test_periodic_boxes_stay_periodic(tmp_path: Path) -> None:
    _, found = read("crbh20", tmp_path, crbh20())
    assert found.items[0].structures["molecule"].pbc.all()
    assert len([name for name in reasons(found) if name.startswith("reaction")]) == 18


def test_the_score_falls_from_the_good_threshold_to_the_bad_one() -> None:
    benchmark = BY_NAME["barriers_crbh20"]
    for error, score in ((1.0, 1.0), (2.0, 0.5), (3.0, 0.0)):
        assert benchmark_score(scored(benchmark.metrics, {"MAE": error, "ME": -error})) == pytest.approx(
            score
        )
    (mae, _) = BY_NAME["barriers_bh2o36"].metrics
    assert mae.bad == pytest.approx(2.0 / KCAL)


@pytest.mark.parametrize(
    ("name", "files", "path", "text", "item", "reason"),
    [
        (
            "bh9",
            bh9,
            "BH9/BH9_SI/XYZ_files/01_2R2.xyz",
            None,
            "01_2",
            "what it comes from is H3C1 of charge +0",
        ),
        ("bh9", bh9, "BH9/BH9_SI/XYZ_files/01_10R1.xyz", None, "01_10", "one or more different minima"),
        (
            "bh9",
            bh9,
            "BH9/BH9_SI/XYZ_files/01_2R1.xyz",
            xyz("CH3", 1.0, "?"),
            "01_2",
            "charge and multiplicity",
        ),
        ("bh9", bh9, "BH9/BH9_SI/XYZ_files/01_2R1.xyz", xyz("CH3", 1.0, "0 1"), "01_2", "9 electrons cannot"),
        ("bh9", bh9, "BH9/BH9_SI/XYZ_files/01_2R1.xyz", "4\n0 2\nC 0 0 0\n", "01_2", "01_2R1.xyz"),
        (
            "bh9",
            bh9,
            "BH9/BH9_SI/DB_files/BH/BH9-BH_1_forward.db",
            "none",
            "01_2",
            "no line with a reference",
        ),
        ("bh9", bh9, "BH9/BH9_SI/DB_files/BH/BH9-BH_1_forward.db", "ref nan", "01_2", "not finite"),
        (
            "cyclo70",
            cyclo70,
            "CYCLO70/XYZ_CYCLO70/rxn_33/TS_33.xyz",
            None,
            "rxn_33",
            "has 0 transition states",
        ),
        ("cyclo70", cyclo70, "CYCLO70/dlpno-ccsdt-34.dat", "x\nrxn_33 1\n", "rxn_33", "has no two barriers"),
        (
            "cyclo70",
            cyclo70,
            "CYCLO70/dlpno-ccsdt-34.dat",
            "x\nrxn_7 1 2\n",
            "rxn_7",
            "is missing in the set",
        ),
        ("criegee22", criegee22, "Criegee22/structures/A1-TS.xyz", None, "A1", "is missing in the set"),
        ("criegee22", criegee22, "Criegee22/reference.txt", "x\nA1 2 3\n", "A1", "has no ninth column"),
        (
            "bh2o36",
            bh2o36,
            "BH2O-36/molecules/for_sp/amide_1_1_ts_a_0.xyz",
            None,
            "amide11",
            "has 0 files amide_1_1_ts_",
        ),
        (
            "bh2o36",
            bh2o36,
            "BH2O-36/mp2_super.json",
            '{"amide11_rct_vacuum": -76.0}',
            "amide11",
            "no total energy in eV",
        ),
        ("crbh20", crbh20, "CRBH20/1/ts/POSCAR", None, "reaction 1", "is missing in the set"),
        ("crbh20", crbh20, "CRBH20/1/ts/POSCAR", "H\n1.0\n", "reaction 1", "cannot be read as vasp"),
    ],
)
def test_what_is_missing_or_malformed_costs_its_reaction_alone(
    tmp_path: Path,
    name: str,
    files: Callable[[], dict[str, str]],
    path: str,
    text: str | None,
    item: str,
    reason: str,
) -> None:
    content = files()
    assert path in content
    if text is None:
        del content[path]
    else:
        content[path] = text
    _, found = read(name, tmp_path, content)
    assert reason in reasons(found)[item]
    assert item not in {r.name for r in found.context}


def test_a_missing_reference_or_transition_state_of_bh9_would_shift_all_others(tmp_path: Path) -> None:
    content = bh9()
    del content["BH9/BH9_SI/XYZ_files/01_2TS.xyz"]
    with pytest.raises(InputError, match="has 1 transition states and 2 references"):
        read("bh9", tmp_path, content)


def test_a_reaction_that_stands_twice(tmp_path: Path) -> None:
    content = cyclo70()
    table = "CYCLO70/dlpno-ccsdt-34.dat"
    content[table] = "x\nrxn_33 2.5 4.0\nrxn_33 2.5 4.0\n"
    _, found = read("cyclo70", tmp_path, content)
    assert "occurs twice" in reasons(found)["rxn_33"]
    assert [r.name for r in found.context] == ["rxn_33 forward", "rxn_33 reverse"]


def test_a_table_that_is_no_table(tmp_path: Path) -> None:
    for text, reason in (
        ("{", "no JSON"),
        ("[1, 2]", "no energies"),
        ('{"a_ts_vacuum": "x"}', "no energies"),
    ):
        with pytest.raises(InputError, match=reason):
            read("bh2o36", tmp_path, {**bh2o36(), "BH2O-36/mp2_super.json": text})


@pytest.mark.parametrize(
    ("name", "files", "there", "systems"),
    [
        ("bh9", bh9, 2, 449),
        ("cyclo70", cyclo70, 1, 70),
        ("criegee22", criegee22, 1, 22),
        ("bh2o36", bh2o36, 1, 18),
    ],
)
def test_reactions_that_a_set_lacks_are_counted(
    tmp_path: Path, name: str, files: Callable[[], dict[str, str]], there: int, systems: int
) -> None:
    _, found = read(name, tmp_path, files())
    assert reasons(found) == {"set": f"{systems - there} of the {systems} systems are not in the set"}
    assert found.part == pytest.approx(there / systems)


def test_names_are_unique_and_every_set_says_where_it_comes_from() -> None:
    assert len(BY_NAME) == len(BENCHMARKS) == 12
    for benchmark in BENCHMARKS:
        assert benchmark.domain == "reactions"
        assert benchmark.dispersion
        assert "doi:" in benchmark.description or "arXiv:" in benchmark.description
