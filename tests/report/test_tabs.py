"""What the tabs about a run show, against numbers worked by hand."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from html import unescape
from pathlib import Path

import pytest
from ase.data import atomic_numbers

from crossfield.report.domain_radar import Named
from crossfield.report.elements import elements_section, place, training_atoms
from crossfield.report.energies import energies_section
from crossfield.report.forgotten import forgetting_section
from crossfield.report.logged import Forgetting
from crossfield.report.overview import overview_section, run_notes
from crossfield.report.run import Run, read_run
from crossfield.report.training import training_section
from tests.report.made_results import small
from tests.report.predicted import predictions
from tests.report.runs import FORGETTING, HOSTILE, epoch, make_run
from tests.report.test_run import write_restart


def figures(html: str) -> dict[str, dict]:
    """Data and layout by the description of the figure."""
    found = re.findall(
        r'aria-label="([^"]*)" style="height:\d+px"></div><script type="application/json">(.*?)</script>',
        html,
        re.DOTALL,
    )
    return {unescape(alt): json.loads(text) for alt, text in found}


def named(html: str, begin: str) -> dict:
    (found,) = [content for alt, content in figures(html).items() if alt.startswith(begin)]
    return found


def rows(html: str) -> list[list[str]]:
    """Texts of all rows of tables, without what is only shown when hovered."""
    html = re.sub(r'<span class="unseen">.*?</span>', "", html, flags=re.DOTALL)
    return [
        [unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    ]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return read_run(make_run(tmp_path))


def test_curves_show_errors_in_units_of_people(run: Run) -> None:
    data = named(training_section(run).html, "Energy: MAE")["data"]
    lines = {trace["name"]: trace for trace in data}
    assert list(lines) == [
        "pbe, training frames",
        "pbe, validation",
        "dft, training frames",
        "dft, validation",
    ]
    assert lines["pbe, validation"]["x"] == [10, 20, 30]
    assert lines["pbe, validation"]["y"] == pytest.approx([1000, 500, 1000 / 3])  # meV/atom
    assert lines["dft, training frames"]["y"] == pytest.approx([1000, 500, 1000 / 3])
    assert lines["pbe, validation"]["customdata"] == [1, 2, 3]


def test_heads_differ_in_more_than_colour(run: Run) -> None:
    data = named(training_section(run).html, "Forces: MAE")["data"]
    looks = {(t["line"]["dash"], t["marker"]["symbol"]) for t in data if "validation" in t["name"]}
    assert len(looks) == 2
    assert {t["legendgroup"] for t in data} == {"pbe", "dft"}


def test_the_loss_of_a_head_is_the_sum_of_its_terms(run: Run) -> None:
    total, *by_head = named(training_section(run).html, "Training loss")["data"]
    assert total["y"] == pytest.approx([4, 2, 4 / 3])
    assert [trace["y"] for trace in by_head] == [pytest.approx([4, 2, 4 / 3])] * 2


def test_the_time_of_epochs_and_steps_is_told(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, ("pbe",)))
    config = {**run.config, "training": {"batch_size": 4}}
    epochs = tuple(dataclasses.replace(run, config=config).epochs)
    late = epochs[-1].model_copy(update={"seconds": 30.0})  # 5, 5, 20 s for ten steps each
    html = training_section(dataclasses.replace(run, config=config, epochs=(*epochs[:-1], late))).html
    assert named(html, "Time of each epoch")["data"][0]["y"] == [5.0, 5.0, 20.0]
    text = re.sub(r"<[^>]*>", " ", html)
    for said in ("Time of an epoch 5 s", "Time of a step 500 ms", "Speed 8 / s"):
        assert said in re.sub(r"\s+", " ", text)
    silent = tuple(e.model_copy(update={"seconds": 0.0}) for e in epochs)
    assert "Time of" not in training_section(dataclasses.replace(run, epochs=silent)).html


def test_a_model_that_was_changed_since_is_told(run: Run) -> None:
    assert run.model is not None
    changed = dataclasses.replace(run.model, provenance={"surgery": [{"operation": "remove"}]})
    notes = [text for _, text in run_notes(dataclasses.replace(run, model=changed))]
    assert notes[0].startswith("crossfield heads has changed the model in this folder since")
    assert not run_notes(run)


def test_a_property_without_labels_has_no_figure(run: Run) -> None:
    assert not [alt for alt in figures(training_section(run).html) if alt.lower().startswith("stress")]


def test_a_run_without_epochs_says_so(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, epochs=0, finished=False, weights=False))
    assert "No epoch is complete yet" in training_section(run).html
    assert "no epoch is complete yet" in overview_section(None, run).html


def test_gaps_in_the_log_are_no_points(tmp_path: Path) -> None:
    make_run(tmp_path, ("pbe",), epochs=1)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "step": 20, "loss": null, "learning_rate": 0.01, "seconds": 9}\n')
    html = training_section(read_run(tmp_path)).html
    assert named(html, "Energy: MAE")["data"][1]["x"] == [10]
    assert named(html, "Training loss")["data"][0]["x"] == [10]
    assert named(html, "Learning rate")["data"][0]["x"] == [10, 20]


def test_errors_stand_against_a_constant(run: Run) -> None:
    table = rows(overview_section(run.model, run).html)
    assert ["pbe", "energy, meV/atom", "30", "60", "300", "10.0 %", "10"] in table
    assert ["dft", "forces, meV/Å", "60", "120", "300", "20.0 %", "90"] in table
    assert ["pbe", "a", "method / basis", "none", "taught", "4", "–", "1", "2", "2"] in table


def test_notes_name_what_deserves_a_look(tmp_path: Path) -> None:
    make_run(tmp_path, forgetting=FORGETTING, rejected={"pbe": {"a.xyz": {"3": "no energy", "4": "no cell"}}})
    write_restart(
        tmp_path / "restart.safetensors", watch={"dft": [0.1, 0.1, 0.0, 1.0], "pbe": [0.1, 0.1, 2.0, 0.0]}
    )
    text = [text for _, text in run_notes(read_run(tmp_path))]
    assert text[0].startswith("2 frames of head pbe are not used, for instance: no cell")
    assert text[1].startswith("Head dft has been over-fitted")
    assert text[2] == "Head pbe has got worse in forces than the tolerance allows."
    assert len(text) == 3


@pytest.mark.parametrize(
    ("errors", "note", "shown"),
    [
        (
            {"validation": {"pbe": {"frames": 1}}},
            "which also chose the weights",
            "Errors on validation frames",
        ),
        ({}, "how good the model is cannot be told", "Heads"),
    ],
)
def test_a_run_without_test_frames_says_so(tmp_path: Path, errors: dict, note: str, shown: str) -> None:
    html = overview_section(None, read_run(make_run(tmp_path, ("pbe",), weights=False, errors=errors))).html
    assert note in html
    assert shown in html or shown == "Heads"
    assert "Errors on test frames" not in html


def test_a_run_that_goes_on_shows_how_far_it_is(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, epochs=1, finished=False))
    html = overview_section(run.model, run).html
    assert '<progress aria-label="Training that is done" max="1" value="0.2500">' in html
    assert "Errors on validation frames so far" in html
    assert ["pbe", "energy, meV/atom", "1,000", "2,000", "10"] in rows(html)


def test_scores_of_benchmarks_stand_in_the_overview_with_a_link(run: Run) -> None:
    html = overview_section(run.model, run, [Named("", small())]).html
    table = rows(html)
    assert ["Materials", "0.25", "0.940", "from 1 of 2 benchmarks, 1 of them complete"] in table
    assert ["Global", "", "–", "from 3 of 5 benchmarks, 2 of them complete"] in table
    assert 'href="#benchmarks"' in html
    assert "Scores of head pbe, whole sets" in html
    several = overview_section(run.model, run, [Named("a", small()), Named("b", small())]).html
    assert 'href="#compare"' in several
    assert ["Materials", "0.25", "0.940 *", "0.940 *"] in rows(several)


def test_a_page_that_follows_a_run_says_that_it_runs(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, epochs=1, finished=False))
    silent = dataclasses.replace(run, read=run.written + 61)
    assert "Running." in overview_section(run.model, run, live=True).html
    for other, live in ((run, False), (silent, True)):
        assert "Not finished" in overview_section(run.model, other, live=live).html


@pytest.mark.parametrize(
    ("training", "finished", "text"),
    [
        (
            {"epochs": 667, "minutes": 0.25},
            True,
            "by training.minutes (0.25); of at most 667 epochs or",
        ),
        ({"epochs": 3, "minutes": 0.25}, True, "all of 3<"),
        (
            {"epochs": 667, "minutes": 30, "early_stop": 2},
            True,
            "stopped by training.early_stop; of at most",
        ),
        ({"epochs": 667, "minutes": 30}, False, "of at most 667 epochs or 30 minutes<"),
        ({}, True, "<dt>Epoch</dt><dd>3</dd>"),
    ],
)
def test_what_ended_a_run_is_told(run: Run, training: dict, finished: bool, text: str) -> None:
    told = dataclasses.replace(run, config={"training": training}, errors=run.errors if finished else None)
    assert text in overview_section(None, told).html  # three epochs of 5 s


def test_changes_are_relative_to_before_with_the_tolerance_marked() -> None:
    html = forgetting_section(Forgetting.model_validate(FORGETTING), with_base=True, finished=True).html
    assert "Worse than the tolerance of 5 %: pbe: forces." in html
    assert ["pbe", "forces, meV/Å", "12", "40", "60", "+8 to +32", "42", "worse"] in rows(html)
    worse, within, new, tolerance = named(html, "Change of the MAE")["data"]
    assert new["x"] == pytest.approx([-50.0])
    assert worse["x"] == pytest.approx([50.0])
    assert worse["error_x"]["arrayminus"] == pytest.approx([30.0])  # 50 % less 20 %
    assert worse["error_x"]["array"] == pytest.approx([30.0])
    assert within["x"] == pytest.approx([2.0])
    assert tolerance["x"] == [5.0, 5.0]  # none of the new head
    assert tolerance["y"] == ["pbe, energy", "pbe, forces"]
    assert "Drift" not in "".join(figures(html))


def test_the_matrix_shows_before_after_and_change() -> None:
    html = forgetting_section(Forgetting.model_validate(FORGETTING), with_base=True, finished=True).html
    (heat,) = named(html, "Forces: MAE before")["data"]
    assert heat["z"] == [pytest.approx([50.0, -25.0])] * 2
    assert heat["text"] == [["40 → 60 ✗", "400 → 300"], ["40 → 60", "400 → 300"]]
    assert (heat["x"], heat["y"], heat["zmax"]) == (["pbe", "dft"], ["pbe", "dft"], 20.0)
    assert ["dft", "pbe", "12", "40", "60"] in rows(html)


def test_drift_from_own_answers_is_relative_to_their_spread() -> None:
    drift = {**FORGETTING["changes"][1], "own_answers": True, "before": 0.0, "after": 0.01, "allowed": 0.02}
    row = {**FORGETTING["matrix"][0], "own_answers": True, "before": {"pbe": 1e-9, "dft": 0.8}}
    row["after"] = {"pbe": 0.01, "dft": 0.8}
    report = {**FORGETTING, "changes": [{**drift, "worse": False}], "matrix": [row]}
    html = forgetting_section(Forgetting.model_validate(report), with_base=True, finished=True).html
    (heat,) = named(html, "Forces: MAE before")["data"]
    assert heat["z"] == [pytest.approx([2.5, 0.0])]  # 0.01 of a spread of 0.02 / 0.05
    assert heat["text"][0][0] == "0 → 10"
    assert "drifted from them" in html
    within, tolerance = named(html, "* Drift from the base")["data"]
    assert within["x"] == pytest.approx([2.5])
    # of a change of 8 to 32 meV/Å, and a spread of 400
    assert within["error_x"]["arrayminus"] == pytest.approx([0.5])
    assert within["error_x"]["array"] == pytest.approx([5.5])
    assert (tolerance["x"], tolerance["y"]) == ([5.0], ["pbe *, forces"])
    assert not [alt for alt in figures(html) if alt.startswith("Change of")]


def test_drift_is_starred_among_errors(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path))
    assert run.model is not None
    data = {"dft": {"own_answers": True}}
    model = dataclasses.replace(run.model, provenance={"data": data})
    html = overview_section(model, run).html
    heads = {row[0] for row in rows(html) if len(row) == 7 and row[0] != "head"}
    assert heads == {"pbe", "dft *"}
    assert "*: drift from the base's own answers, no error." in unescape(html)
    assert "drift" not in overview_section(run.model, run).html


@pytest.mark.parametrize(
    ("with_base", "finished", "text"),
    [(False, True, "nothing to forget"), (True, False, "when the run ends"), (True, True, "json is missing")],
)
def test_without_a_report_on_forgetting_the_reason_is_told(
    with_base: bool, finished: bool, text: str
) -> None:
    assert text in forgetting_section(None, with_base=with_base, finished=finished).html


def test_null_in_the_report_on_forgetting_is_a_dash() -> None:
    change = {**FORGETTING["changes"][1], "after": None, "interval": [None, None]}
    matrix = [{**FORGETTING["matrix"][0], "after": {"pbe": None, "dft": 0.3}}]
    report = Forgetting.model_validate({**FORGETTING, "changes": [change], "matrix": matrix})
    html = forgetting_section(report, with_base=True, finished=True).html
    assert ["pbe", "forces, meV/Å", "12", "40", "–", "–", "42", "worse"] in rows(html)
    assert named(html, "Forces: MAE before")["data"][0]["z"][0][0] is None


def test_reference_energies_have_errors_and_origins(run: Run) -> None:
    assert run.model is not None
    table = rows(energies_section(run.model).html)
    assert ["H", "-1.0000 ± 0.25", "-2.0000"] in table
    assert ["H", "-1.0000", "0.25", "least squares", "4", "–"] in table


def test_every_element_has_a_place_of_its_own() -> None:
    places = {place(Z) for Z in range(1, 119)}
    assert len(places) == 118
    known = {
        "H": (1, 1), "He": (1, 18), "Be": (2, 2), "B": (2, 13), "Sc": (4, 3), "Zn": (4, 12), "Ga": (4, 13),
        "Ba": (6, 2), "La": (9, 3), "Lu": (9, 17), "Hf": (6, 4), "Rn": (6, 18), "Ac": (10, 3), "Og": (7, 18),
    }  # fmt: skip
    assert {symbol: place(atomic_numbers[symbol]) for symbol in known} == known


def test_the_periodic_table_tells_coverage_and_frames(run: Run) -> None:
    assert run.model is not None
    html = elements_section(run.model).html
    labels = re.findall(r'aria-label="([^"]*)"><small>', html)
    assert len(labels) == 118
    assert labels[0] == "Hydrogen (H, 1): pbe (E0 -1.000 eV, 4 training frames); dft (E0 -2.000 eV)"
    assert labels[1] == "Helium (He, 2): not covered by any head"
    assert html.count('tabindex="0"') == 1


def test_atoms_are_told_of_heads_whose_training_frames_are_all_there(run: Run) -> None:
    assert run.model is not None
    frames = [{"Z": [1, 1, 8], "head": h, "split": s} for h in ("pbe", "dft") for s in ("train", "test")]
    known = training_atoms(predictions(*frames, frames[0], heads=("pbe", "dft")))
    assert known == {"pbe": {1: 4, 8: 2}, "dft": {1: 2, 8: 1}}
    assert training_atoms(predictions(*frames, heads=("pbe", "dft"), train=1)) == {"dft": {1: 2, 8: 1}}
    html = elements_section(run.model, known).html
    assert "pbe (E0 -1.000 eV, 4 training frames, 4 training atoms); dft (E0 -2.000 eV, 2" in html


def test_a_run_that_is_silent_for_long_was_probably_interrupted(tmp_path: Path) -> None:
    folder = make_run(tmp_path, ("pbe",), epochs=1, finished=False)
    slow = epoch(2, ("pbe",), seconds=605.0)  # an epoch of 10 min: silence of 30 min is not long
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(slow) + "\n")

    def told(minutes: float) -> list[str]:
        for file in folder.iterdir():
            os.utime(file, (time.time() - 60 * minutes,) * 2)
        return [text for _, text in run_notes(read_run(folder)) if "interrupted" in text]

    assert told(29) == []
    (text,) = told(31)
    assert text.startswith("Nothing has been written for 31 minutes")
    (folder / "errors.json").write_text("{}")
    assert told(31) == []  # it has ended


def test_names_of_heads_never_become_markup(tmp_path: Path) -> None:
    forgetting = json.loads(json.dumps(FORGETTING).replace('"pbe"', json.dumps(HOSTILE)))
    run = read_run(
        make_run(tmp_path, (HOSTILE, "dft"), forgetting=forgetting, rejected={HOSTILE: {"a": {"1": HOSTILE}}})
    )
    assert run.model is not None
    sections = [
        overview_section(run.model, run),
        training_section(run),
        forgetting_section(run.forgetting, with_base=True, finished=True),
        energies_section(run.model),
        elements_section(run.model),
    ]
    for section in sections:
        assert "img src=x" in section.html or "img src" in section.html
        assert "<img" not in section.html
