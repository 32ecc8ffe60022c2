from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from ase.units import kcal, mol

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.sets import pla15, plf547
from crossfield.bench.domain.sets.protein_ligand import complex_of, references
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError
from tests.bench.domain.sets.squares import Squares

KCAL = kcal / mol
TOP = "protein-ligand-data_PLA15_PLF547"
HEADER = "No. Ligand_itsres.No._res.type          CCSD(T)/CBS Reference\n----------------------\n"

# methane as a side chain, chloromethane as the ligand; a name of four letters begins at column 13
ATOMS = """\
ATOM    376  CB  ala    36      26.261   5.222  14.189
ATOM    377 HB1  ala    36      26.960   5.867  14.723
ATOM    378 HD11 ala    36      26.347   5.399  13.126
ATOM    379 HG21 ala    36      25.240   5.460  14.450
ATOM    390  HL  ala    36      26.508   4.087  14.381
TER
ATOM    432  C1  unk    40      15.877   4.884  15.709
ATOM    455 Cl1  unk    40      15.877   4.884  17.480
ATOM    472  H1  unk    40      16.900   4.884  15.300
ATOM    473  H2  unk    40      15.360   5.770  15.300
ATOM    474 H141 unk    40      15.360   3.990  15.300
TER
END
"""


def pdb(charges: tuple[int, int] = (0, 0), atoms: str = ATOMS) -> str:
    a, b = charges
    remarks = [
        f"charge {a + b}",
        "selection_a %not(:unk)",
        f"charge_a {a}",
        "selection_b unk",
        f"charge_b {b:+d}",
    ]
    return "".join(f"REMARK {remark}\n" for remark in remarks) + atoms


def write(folder: Path, set_name: str, files: Mapping[str, str], table: str) -> Path:
    place = folder / TOP / set_name
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).write_text(content)
    (place / "reference_energies.txt").write_text(HEADER + table)
    return place


def fragments(folder: Path, files: Mapping[str, str], table: str) -> Inputs:
    write(folder, "PLF547_pdbs", files, table)
    return plf547.BENCHMARK.inputs(Sources(folder, online=False))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "2P4Y_36.pdb"


def test_elements_are_read_from_names_in_their_columns(file: Path) -> None:
    file.write_text(pdb((0, 0)))
    structures = complex_of(file)
    assert {role: a.get_chemical_formula() for role, a in structures.items()} == {
        "complex": "C2H7Cl",
        "protein": "CH4",
        "ligand": "CH3Cl",
    }
    assert structures["ligand"].positions[1] == pytest.approx([15.877, 4.884, 17.480])


def test_the_column_of_the_element_counts_where_there_is_one(file: Path) -> None:
    """With it, an atom named like calcium is the carbon that it is."""
    line = "ATOM      2 CA   ala     1      11.870   0.551  33.384  0.00  0.00           C  \n"
    file.write_text(pdb(atoms=line + ATOMS))
    assert complex_of(file)["protein"].symbols[0] == "C"


def test_charges_are_of_the_whole_the_protein_and_the_ligand(file: Path) -> None:
    file.write_text(pdb((2, -1)))
    structures = complex_of(file)
    assert {role: a.info["charge"] for role, a in structures.items()} == {
        "complex": 1,
        "protein": 2,
        "ligand": -1,
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pdb().replace("REMARK charge_b +0\n", ""), "no REMARK charge_b"),
        (pdb().replace("charge_a 0", "charge_a half"), "'half' is no number"),
        (pdb().replace("charge_a 0", "charge_a 0.5"), "no whole number"),
        (pdb().replace(" unk ", " mol "), "does not hold both"),
        (pdb().replace(" Cl1 ", " Qq1 "), "'Qq1' is of no known element"),
        (pdb().replace("17.480", "   nan"), "not finite"),
        (pdb()[: pdb().index("14.189")], "is no number"),
        ("", "does not hold both"),
    ],
)
def test_what_is_malformed_is_refused_with_the_file_and_the_reason(
    file: Path, content: str, reason: str
) -> None:
    file.write_text(content)
    with pytest.raises(InputError, match=reason) as raised:
        complex_of(file)
    assert "2P4Y_36.pdb" in str(raised.value)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("01 10GS_01_bbn  nan\n", "not finite"),
        ("01 10GS_01_bbn\n", "is not number, name and energy"),
        ("01 10GS_01_bbn -1.0\n02 10GS_01_bbn -2.0\n", "occurs twice"),
    ],
)
def test_a_table_that_is_malformed_is_refused(tmp_path: Path, table: str, reason: str) -> None:
    place = write(tmp_path, "PLF547_pdbs", {}, table)
    with pytest.raises(InputError, match=reason):
        references(place / "reference_energies.txt")


def test_pairs_are_compared_in_kilocalories_per_mole_and_split_by_charge(tmp_path: Path) -> None:
    files = {"2P4Y_36.pdb": pdb(), "2P4Y_37.pdb": pdb((0, -2)), "2P4Y_38.pdb": pdb((2, -2))}
    table = "01 2P4Y_36_phe  -3.5\n02 2P4Y_37_bbn  -4.5\n03 2P4Y_38_arg  -50.0\n"
    inputs = fragments(tmp_path, files, table)
    values = {item.name: plf547.BENCHMARK.calculate(item, Squares()) for item in inputs.items}
    found = plf547.BENCHMARK.analyse(inputs, values)
    predicted = 2 * 5 * 5 / KCAL
    assert [(e.name, e.group, e.reference, e.predicted) for e in found.entries] == [
        ("2P4Y_36_phe", "neutral-neutral", -3.5, pytest.approx(predicted)),
        ("2P4Y_37_bbn", "ion-neutral", -4.5, pytest.approx(predicted)),
        ("2P4Y_38_arg", "ion-ion", -50.0, pytest.approx(predicted)),
    ]
    assert found.metrics["MAE (neutral)"] == pytest.approx(predicted + 3.5)
    assert found.metrics["MAE (charged)"] == pytest.approx(predicted + (4.5 + 50) / 2)


def test_an_atom_that_is_read_wrongly_leaves_an_electron_unpaired(tmp_path: Path) -> None:
    files = {"2P4Y_36.pdb": pdb().replace(" Cl1 ", "  C1 "), "2P4Y_37.pdb": pdb()}
    inputs = fragments(tmp_path, files, "01 2P4Y_36_phe -3.5\n02 2P4Y_37_bbn -4.5\n03 2P4Y_38_bbn -5.5\n")
    assert [item.name for item in inputs.items] == ["2P4Y_37_bbn"]
    reasons = {problem.name: problem.reason for problem in inputs.problems}
    assert "unpaired electron" in reasons["2P4Y_36_phe"]
    assert "2P4Y_38.pdb: is missing" in reasons["2P4Y_38_bbn"]
    assert "544 of the 547" in reasons["set"]


def test_active_sites_are_scored_by_errors_and_correlation(tmp_path: Path) -> None:
    names = ("10GS", "2CET", "2FVD", "2OBF")
    charges = ((0, -2), (-2, 2), (-2, 0), (-2, 2))
    exact = (-200.0, -240.0, -90.0, -180.0)
    table = "".join(
        f"{i:02d} {n}   {e}\n" for i, (n, e) in enumerate(zip(names, exact, strict=True), start=1)
    )
    files = {f"{n}.pdb": pdb(q) for n, q in zip(names, charges, strict=True)}
    write(tmp_path, "PLA15_pdbs", files, table)
    inputs = pla15.BENCHMARK.inputs(Sources(tmp_path, online=False))
    assert [item.name for item in inputs.items] == list(names)
    shifts = np.array([1.0, 2.0, 3.0, -6.0])
    values = {
        name: {"complex": (e + s) * KCAL, "protein": 0.0, "ligand": 0.0}
        for name, e, s in zip(names, exact, shifts, strict=True)
    }
    metrics = pla15.BENCHMARK.analyse(inputs, values).metrics
    assert metrics["MAE"] == pytest.approx(3.0)
    assert metrics["MAE (ion-ion)"] == pytest.approx(4.0)
    assert metrics["MAE (ion-neutral)"] == pytest.approx(2.0)
    x, y = np.array(exact), np.array(exact) + shifts
    x, y = x - x.mean(), y - y.mean()
    assert metrics["R²"] == pytest.approx((x @ y) ** 2 / (x @ x) / (y @ y))
    assert pla15.BENCHMARK.analyse(inputs, dict(list(values.items())[:2])).metrics["R²"] is None
