from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.sets import barriers
from crossfield.bench.domain.sets.gmtkn55 import BENCHMARK, CLOSED, MAIN, PEG
from crossfield.bench.domain.sets.gmtkn55_read import QUICK
from crossfield.bench.domain.sources import Sources
from crossfield.bench.domain.store import item_digest
from crossfield.errors import InputError
from tests.bench.domain.sets.molecules import analysed, calculated, reasons

Document = dict[str, Any]
BARRIERS = "Reaction barrier heights"
NONCOVALENT = "Intermolecular noncovalent interactions"


def species(count: int, elements: str, extent: float, charge: int = 0, unpaired: int = 0) -> Document:
    """A molecule of one or two atoms as the file has it."""
    symbols = elements.split()
    places = [[0.0, 0.0, 0.0], [extent, 0.0, 0.0]][: len(symbols)]
    return {
        "Count": count,
        "Charge": charge,
        "UHF": unpaired,
        "Number": len(symbols),
        "Elements": symbols,
        "Positions": places,
    }


def reaction(energy: float, weight: float, **molecules: Document) -> Document:
    return {"Energy": energy, "Weight": weight, "Species": molecules}


def document() -> Document:
    """Three subsets. An answer is Σ count × extent; errors are 1 and 2, then -3, then 1 kcal/mol."""
    return {
        "S22": {  # of neutral closed shells; mean |E| 2 kcal/mol
            1: reaction(
                1.0, 28.42, a=species(-2, "H H", 1.0), b=species(1, "H H", 4.0), c=species(1, "H H", 0.0)
            ),
            2: reaction(-3.0, 28.42, a=species(1, "H H", 1.0), no=species(-1, "H H", 2.0)),
        },
        "BHPERI": {1: reaction(4.0, 10.0, ts=species(1, "H H", 2.0), r=species(-1, "H H", 1.0))},
        "BH76": {  # with a radical and an ion; mean |E| 10 kcal/mol
            1: reaction(10.0, 5.7, h=species(-1, "H", 0.0, unpaired=1), hh=species(1, "H", 0.0, charge=-1)),
        },
    }


TABLE = f"""subset,description,category,weight,num,excluded
S22,dimers,{NONCOVALENT},7.78,2,FALSE
Bhperi,"pericyclic, all",{BARRIERS},2.72,1,TRUE
BH76,transfers,{BARRIERS},3.05,1,FALSE
"""


def written(folder: Path, content: Document | str, table: str | None = TABLE) -> Sources:
    top = folder / "GMTKN55"
    top.mkdir()
    text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    (top / "GMTKN55.yaml").write_text(text.replace("'no'", "no"))
    if table is not None:
        (top / "subsets.csv").write_text(table)
    return Sources(folder, online=False)


def inputs(folder: Path, content: Document | str, table: str | None = TABLE) -> Inputs:
    return BENCHMARK.inputs(written(folder, content, table))


def test_wtmad2_weighs_errors_by_the_size_of_the_energies_of_a_subset(tmp_path: Path) -> None:
    found = inputs(tmp_path, document())
    assert found.problems == []
    metrics = analysed(BENCHMARK, found).metrics
    # S22: predicted 2 and -1 for 1 and -3, mean |E| 2; BHPERI: 1 for 4, mean |E| 4
    expected = ((1.0 + 2.0) * 56.84 / 2.0 + 3.0 * 56.84 / 4.0) / 3
    assert metrics[CLOSED] == pytest.approx(expected)
    assert metrics["WTMAD-2, intermolecular"] == pytest.approx(1.5 * 56.84 / 2.0)
    assert metrics["WTMAD-2, barrier heights"] == pytest.approx(3.0 * 56.84 / 4.0)
    assert metrics["WTMAD-2, small systems"] is None


def test_an_error_of_1_kcal_per_mol_is_one(tmp_path: Path) -> None:
    found = inputs(tmp_path, document())
    values = calculated(BENCHMARK, found)
    entry = {e.name: e for e in analysed(BENCHMARK, found, values).entries}["S22 1"]
    assert entry.unit == "kcal/mol"
    assert entry.reference == 1.0
    assert entry.predicted == pytest.approx(2.0)
    assert entry.note == "2 a → b + c"
    assert entry.items == ("S22/a", "S22/b", "S22/c")


def test_all_subsets_count_only_where_ions_and_radicals_were_calculated(tmp_path: Path) -> None:
    found = inputs(tmp_path, document())
    everything = calculated(BENCHMARK, found)
    metrics = analysed(BENCHMARK, found, everything).metrics
    # BH76: 0 for 10, mean |E| 10
    expected = ((1.0 + 2.0) * 56.84 / 2.0 + 3.0 * 56.84 / 4.0 + 10.0 * 56.84 / 10.0) / 4
    assert metrics[MAIN] == pytest.approx(expected)
    neutral = {name: v for name, v in everything.items() if not name.startswith("BH76")}
    findings = analysed(BENCHMARK, found, neutral)
    assert findings.metrics[MAIN] == findings.metrics[CLOSED] == metrics[CLOSED]
    assert metrics[CLOSED] != metrics[MAIN]
    assert "No reaction was calculated of BH76." in findings.notes


def test_reactions_with_a_missing_molecule_are_shown_and_not_counted(tmp_path: Path) -> None:
    found = inputs(tmp_path, document())
    values = calculated(BENCHMARK, found)
    del values["S22/no"]
    findings = analysed(BENCHMARK, found, values)
    assert findings.metrics["WTMAD-2, intermolecular"] == pytest.approx(1.0 * 56.84 / 2.0)
    assert {e.name: e.predicted for e in findings.entries}["S22 2"] is None
    nothing = analysed(BENCHMARK, found, {})
    assert all(value is None for value in nothing.metrics.values())
    assert len(nothing.entries) == 4


def test_charge_multiplicity_and_text_that_looks_like_no(tmp_path: Path) -> None:
    found = inputs(tmp_path, document())
    states = {i.name: i.structures["molecule"].info for i in found.items}
    assert states["BH76/h"] == {"charge": 0, "spin": 2}
    assert states["BH76/hh"] == {"charge": -1, "spin": 1}
    assert "S22/no" in states
    assert [s.name for s in found.context if s.closed_shell] == ["S22", "BHPERI"]


def test_the_choice_and_the_weights_of_ml_peg_are_told_apart(tmp_path: Path) -> None:
    found = inputs(tmp_path, document())
    findings = analysed(BENCHMARK, found)
    # without BHPERI, with BH76; weights as the file has them
    assert findings.metrics[PEG] == pytest.approx(((1.0 + 2.0) * 28.42 + 10.0 * 5.7) / 3)
    assert f"the 2 of {CLOSED}" in findings.notes[0]
    closed = {name: v for name, v in calculated(BENCHMARK, found).items() if not name.startswith("BH76")}
    notes = " ".join([*findings.notes, *analysed(BENCHMARK, found, closed).notes])
    assert "2 subsets all of whose molecules are neutral and closed-shell: S22, BHPERI." in notes
    assert "it counts BH76, which hold ions" in notes
    assert "leaves out BHPERI." in notes


def test_the_hydrogen_atom_of_sie4x4_is_a_doublet(tmp_path: Path) -> None:
    content = {"SIE4x4": {1: reaction(64.4, 1.69, h=species(1, "H", 0.0), h2=species(-1, "H H", 1.0, 1, 1))}}
    found = inputs(tmp_path, content, TABLE.splitlines()[0] + "\n")
    assert reasons(found) == {}
    assert found.items[0].structures["molecule"].info == {"charge": 0, "spin": 2}
    assert any("calculated as a doublet" in note for note in analysed(BENCHMARK, found).notes)


def test_the_quick_part_is_the_smallest_reactions_of_every_subset(tmp_path: Path) -> None:
    large = {
        n: reaction(1.0, 1.0, **{f"a{n}": species(1, "H H", n), f"b{n}": species(-1, "H H", 0)})
        for n in range(1, QUICK + 3)
    }
    small = {99: reaction(1.0, 1.0, a99=species(1, "He", 0.0))}
    found = inputs(tmp_path, {"S22": {**large, **small}}, None)
    quick = {i.name for i in found.items if i.quick}
    assert quick == {"S22/a99", *(f"S22/{m}{n}" for n in range(1, QUICK) for m in "ab")}


def test_barriers_are_the_same_calculations(tmp_path: Path) -> None:
    sources = written(tmp_path, document())
    (benchmark,) = [b for b in barriers.BENCHMARKS if b.name == "barriers_bhperi"]
    own = benchmark.inputs(sources)
    assert [i.name for i in own.items] == ["BHPERI/ts", "BHPERI/r"]
    assert all(i.quick for i in own.items)
    whole = {i.name: i for i in BENCHMARK.inputs(sources).items}
    for item in own.items:
        assert item_digest(benchmark, item, "pbe") == item_digest(BENCHMARK, whole[item.name], "pbe")
    findings = analysed(benchmark, own)
    assert findings.metrics == {"MAE": pytest.approx(3.0), "ME": pytest.approx(-3.0)}
    assert [(e.group, e.quantity) for e in findings.entries] == [("BHPERI", "barrier height")]
    missing = benchmark.inputs(written_without_bhperi(tmp_path / "other"))
    assert missing.items == []
    assert "has no subset BHPERI" in reasons(missing)["BHPERI"]


def written_without_bhperi(folder: Path) -> Sources:
    folder.mkdir()
    content = document()
    del content["BHPERI"]
    return written(folder, content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Elements": ["H", "Hx"]}, "S22/a: 'Hx' is no element"),
        ({"Elements": []}, "S22/a has no atoms"),
        ({"Positions": [[0, 0, 0], [1, 0, "nan"]]}, "Positions are not three finite numbers"),
        ({"Positions": [[0, 0, 0]]}, "Positions are not three finite numbers for each of 2 Elements"),
        ({"Positions": [[0, 0, 0], [1, 0]]}, "rows of several lengths"),
        ({"Number": 3}, "Number is 3, and there are 2 Elements"),
        ({"UHF": 1}, "S22/a: 2 electrons cannot have multiplicity 2"),
        ({"UHF": -2}, "cannot have multiplicity -1"),
        ({"Charge": 0.5}, "Charge is '0.5', which is no whole number"),
        ({"Count": 0}, "S22 1: a molecule with Count 0"),
        ({"Count": [1]}, "Count is \"['1']\""),
    ],
)
def test_a_malformed_molecule_costs_its_reaction_alone(tmp_path: Path, change: Document, reason: str) -> None:
    content = document()
    content["S22"][1]["Species"]["a"].update(change)
    found = inputs(tmp_path, content)
    assert reasons(found).keys() == {"S22 1"}
    assert reason in reasons(found)["S22 1"]
    assert "GMTKN55.yaml" in reasons(found)["S22 1"]
    assert [r.name for s in found.context for r in s.reactions] == ["S22 2", "BHPERI 1", "BH76 1"]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("Energy", "inf", "Energy is inf"),
        ("Energy", "many", "Energy is 'many', which is no number"),
        ("Species", [1], "Species is \"['1']\""),
        ("Species", {}, "no molecule"),
    ],
)
def test_a_malformed_reaction_is_named(tmp_path: Path, key: str, value: Any, reason: str) -> None:
    content = document()
    content["S22"][1][key] = value
    assert reason in reasons(inputs(tmp_path, content))["S22 1"]


def test_one_name_for_two_molecules(tmp_path: Path) -> None:
    content = document()
    content["S22"][2]["Species"]["a"] = species(1, "H H", 1.5)
    assert "S22/a is another molecule here" in reasons(inputs(tmp_path, content))["S22 2"]


def test_missing_reactions_and_subsets_are_told(tmp_path: Path) -> None:
    content = document()
    del content["S22"][2], content["BHPERI"], content["BH76"][1]["Energy"]
    found = inputs(tmp_path, content)
    assert "1 reactions in S22, and 2 by the table" in reasons(found)["S22"]
    assert "has no subset Bhperi" in reasons(found)["Bhperi"]
    assert "no Energy" in reasons(found)["BH76 1"]
    assert "BH76 has no energy that can be read" in reasons(found)["BH76"]


def test_without_its_table_the_set_is_still_read(tmp_path: Path) -> None:
    found = inputs(tmp_path, document(), None)
    assert "missing" in reasons(found)["subsets.csv"]
    metrics = analysed(BENCHMARK, found).metrics
    assert metrics[MAIN] is not None
    assert metrics["WTMAD-2, barrier heights"] is None


def test_a_table_with_a_subset_twice_is_not_used(tmp_path: Path) -> None:
    found = inputs(tmp_path, document(), TABLE + TABLE.splitlines()[1])
    assert "'s22' stands twice" in reasons(found)["subsets.csv"]


def test_a_file_that_is_cut_off_or_repeats_itself_is_refused(tmp_path: Path) -> None:
    text = yaml.safe_dump(document(), sort_keys=False)
    for name, content, reason in (
        (
            "cut",
            "S22:\n  1:\n    Energy: 1.0\n    Species: {a: {Elements: [H, H], Pos",
            "no YAML, or cut off",
        ),
        ("twice", text + text, "'S22' stands twice"),
        ("other", "- 1\n- 2\n", "has no subsets with reactions"),
    ):
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=reason):
            inputs(tmp_path / name, content)
    (tmp_path / "empty" / "GMTKN55").mkdir(parents=True)
    with pytest.raises(InputError, match=r"GMTKN55.yaml: is missing"):
        BENCHMARK.inputs(Sources(tmp_path / "empty", online=False))
