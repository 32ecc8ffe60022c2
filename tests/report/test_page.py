"""The page as a whole: one file, nothing from elsewhere, only its own scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from crossfield.errors import InputError
from crossfield.report import build
from crossfield.report.benchmarks import script
from crossfield.report.build import build_report, find_subject
from crossfield.report.page import Report, render
from crossfield.report.palette import COLOURS
from crossfield.report.section import Section
from tests.report.made_results import small
from tests.report.runs import HOSTILE, make_run, save_model

SECTIONS = (Section("one", "One", "<p>first</p>"), Section("two", "Two", "<p>second</p>", "var two = 2;"))


def ids(report: Report) -> list[str]:
    return [section.id for section in report.sections]


def test_only_the_pages_own_scripts_may_run() -> None:
    html = render(Report("t", "s", "f", SECTIONS))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    scripts += re.findall(r'<script type="text/plain" id="plotly">(.*?)</script>', html, re.DOTALL)
    assert len(scripts) == 4  # before drawing, that of a section, the page's, plotly.js
    hashes = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts}
    assert set(re.findall(r"'sha256-([^']*)'", policy)) == hashes
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_nothing_comes_from_elsewhere() -> None:
    html = render(Report("t", "s", "f", SECTIONS))
    outside = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', outside)
    assert "@import" not in outside
    assert "url(" not in outside


def test_scripts_draw_in_the_colours_of_heads() -> None:
    html = render(Report("t", "s", "f", SECTIONS))
    (text,) = re.findall(r'<script type="application/json" id="settings">(.*?)</script>', html)
    assert json.loads(text)["palette"]["colours"] == list(COLOURS)
    assert not [c for c in COLOURS if c in script()]


def test_only_a_live_page_asks_for_changes() -> None:
    assert '"live":""' in render(Report("t", "s", "f", SECTIONS))
    live = render(Report("t", "s", "f", SECTIONS), live="/changes")
    assert '"live":"/changes"' in live
    assert "connect-src 'self'" in live


def test_titles_are_text() -> None:
    html = render(Report(HOSTILE, HOSTILE, HOSTILE, (Section("a", HOSTILE, ""),)))
    assert "<img" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_a_change_anywhere_makes_another_version() -> None:
    first = Report("t", "s", "f", SECTIONS)
    assert first.version == Report("t", "s", "f", SECTIONS).version
    changed = Report("t", "s", "f", (SECTIONS[0], Section("two", "Two", "<p>third</p>", "var two = 2;")))
    assert changed.version != first.version
    before, after = first.as_dict(), changed.as_dict()
    assert [a["hash"] == b["hash"] for a, b in zip(before["sections"], after["sections"])] == [True, False]


def test_a_run_has_its_tabs(tmp_path: Path) -> None:
    report = build_report(find_subject(str(make_run(tmp_path / "first"))))
    assert report.title == "first"
    assert ids(report) == ["overview", "training", "errors", "parity", "e0", "elements", "card"]
    assert "There are no predictions here" in report.sections[3].html


def test_a_run_that_goes_on_has_no_card_yet(tmp_path: Path) -> None:
    run = make_run(tmp_path, finished=False)
    (run / "predictions.safetensors").write_bytes(b"of an older run")
    assert ids(build_report(find_subject(str(run)))) == [
        "overview",
        "training",
        "errors",
        "parity",
        "e0",
        "elements",
    ]


def test_a_model_says_what_would_give_curves(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", ("pbe",))
    report = build_report(find_subject(str(tmp_path / "m.safetensors")))
    assert ids(report) == ["overview", "e0", "elements", "card"]
    assert "are in the folder of a run" in report.sections[0].html


def test_results_of_benchmarks_are_reported_alone_and_beside_a_run(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(small().model_dump_json())
    alone = build_report(find_subject(str(file)))
    assert alone.title == "model.safetensors"
    assert [i for i in ids(alone) if i.startswith("benchmarks")]
    run = make_run(tmp_path / "run")
    beside = build_report(find_subject(str(run), [file, file]))
    assert len([i for i in ids(beside) if i.startswith("benchmarks")]) == 2
    assert len(set(ids(beside))) == len(ids(beside))


def test_a_change_of_a_model_or_of_what_is_kept_of_it_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def kept(weights: Path) -> list[Path]:
        asked.append(weights)
        return sorted((tmp_path / "cache").rglob("results.json"))

    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "kept_results", kept)
    model, results = tmp_path / "m.safetensors", tmp_path / "cache/benchmarks/a/results.json"
    save_model(model, ("pbe",))
    subject = find_subject(str(model))
    stamps = [subject.stamp, subject.stamp]
    assert stamps[0] == stamps[1]
    assert len(asked) == 1  # looking it up reads all of the weights
    save_model(model, ("pbe", "dft"))
    stamps.append(subject.stamp)
    results.parent.mkdir(parents=True)
    results.write_text(small().model_dump_json())
    stamps.append(subject.stamp)
    assert len({repr(stamp) for stamp in stamps}) == 3
    assert subject.results == (results,)
    assert len(asked) == 3
    assert "timing" in ids(build_report(subject))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    for text in (str(tmp_path / "nothing.json"), str(tmp_path / "nothing.safetensors")):
        with pytest.raises(InputError, match="no such file"):
            find_subject(text)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(InputError, match=r"a\.json"):
        build_report(find_subject(str(tmp_path / "a.json")))
