from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import molecule

from crossfield.bench.domain import plan
from crossfield.bench.domain import subject as subject_module
from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.results import BenchmarkResult, DomainResults, read_results, write_results
from crossfield.bench.domain.run import run
from crossfield.bench.domain.sources import Sources
from crossfield.bench.domain.store import folder_of, results_file
from crossfield.bench.domain.subject import Subject, calculator_subject, head_subject
from crossfield.errors import InputError
from crossfield.zoo import checkpoint
from tests.bench.domain import toys
from tests.bench.domain.toys import toy
from tests.structures import small_model

SPRING = "tests.bench.domain.toys:Spring"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    return tmp_path / "marks"


def springs(marks: Path | None = None, **arguments: Any) -> Subject:
    given = arguments if marks is None else {"marks": str(marks.parent), **arguments}
    return calculator_subject(SPRING, given, theory="PBE")


def measured(subject: Subject, benchmark: Benchmark | None = None, **options: Any) -> BenchmarkResult:
    benchmark = benchmark or toy()
    options = {"workers": 0, **options}
    results = run(subject, [benchmark], [benchmark], Sources(online=False), **options)
    return results.benchmarks[0]


def test_errors_and_scores_follow_from_the_calculations() -> None:
    found = measured(springs(stiffness=2.0))
    assert (found.status, found.total, found.done) == ("complete", 5, 5)
    assert found.score == pytest.approx(1.0)
    # half of (stiffness - 2) d^2 on the mean of d^2 = 0.64, 1, 1.44, 1.96, 2.56
    found = measured(springs(stiffness=2.5))
    assert found.metrics[0].value == pytest.approx(0.25 * 1.52)
    assert found.score == pytest.approx(1 - 0.25 * 1.52)
    positions = np.array(found.structures["d1.2"]["dimer"].positions)
    assert np.allclose(positions[1] - positions[0], [0, 0, 1.2])
    assert found.mismatch == ""


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_is_calculated_twice(marks: Path, workers: int) -> None:
    first = measured(springs(marks), quick=True, workers=workers)
    assert sorted(marks.read_text().split()) == ["d0.8", "d1"]
    assert (first.total, first.done) == (2, 2)
    measured(springs(marks), workers=workers)
    assert sorted(marks.read_text().split()) == ["d0.8", "d1", "d1.2", "d1.4", "d1.6"]
    again = measured(springs(marks), workers=workers)
    assert len(marks.read_text().split()) == 5
    assert again.done == 5


def test_another_model_another_version_and_another_geometry_are_calculated_anew(marks: Path) -> None:
    measured(springs(marks))
    measured(springs(marks, stiffness=3.0))
    assert len(marks.read_text().split()) == 10
    measured(springs(marks), toy(version=2))
    assert len(marks.read_text().split()) == 15

    def moved(sources: Sources) -> Inputs:
        found = toys.inputs(sources)
        found.items[0].structures["dimer"].positions[1, 2] += 1e-9
        return found

    measured(springs(marks), toy(inputs=moved))
    assert len(marks.read_text().split()) == 16


def test_two_benchmarks_share_what_they_have_in_common(marks: Path) -> None:
    both = [toy("one"), toy("two")]
    results = run(springs(marks), both, both, Sources(online=False), workers=0)
    assert [b.done for b in results.benchmarks] == [5, 5]
    assert len(marks.read_text().split()) == 5


@pytest.mark.parametrize(
    ("variable", "kind", "reason", "workers"),
    [
        ("TOY_RAISES", "failed", "ZeroDivisionError: a fault of the calculator", 0),
        ("TOY_RAISES", "failed", "ZeroDivisionError: a fault of the calculator", 2),
        ("TOY_NAN", "failed", "dimer is not a finite number", 0),
        ("TOY_WANDERS", "not converged", "largest force 3 eV/Å after 7 steps", 0),
    ],
)
def test_what_fails_is_listed_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, marks: Path, variable: str, kind: str, reason: str, workers: int
) -> None:
    monkeypatch.setenv(variable, "d1.4")
    found = measured(springs(marks, stiffness=2.5), workers=workers)
    assert (found.status, found.total, found.done) == ("partial", 5, 4)
    assert [(p.name, p.kind, p.reason) for p in found.problems] == [("d1.4", kind, reason)]
    assert found.metrics[0].value == pytest.approx(0.25 * (0.64 + 1 + 1.44 + 2.56) / 4)
    assert next(e for e in found.entries if e.name == "d1.4").predicted is None
    monkeypatch.delenv(variable)
    before = len(marks.read_text().split())
    assert measured(springs(marks, stiffness=2.5)).problems == found.problems  # failures are kept, too
    assert len(marks.read_text().split()) == before
    assert measured(springs(marks, stiffness=2.5), retry=True).status == "complete"
    assert len(marks.read_text().split()) == before + 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_process_that_dies_takes_only_its_own_calculation_along(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("TOY_DIES", "d1.2")
    found = measured(springs(), workers=workers)
    assert [(p.name, p.kind) for p in found.problems] == [("d1.2", "died")]
    assert found.done == 4


@pytest.mark.parametrize("workers", [0, 1])
def test_a_calculation_that_hangs_or_exits_is_given_up(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setenv("TOY_HANGS", "d1.2")
    monkeypatch.setenv("TOY_EXITS", "d1.4")
    found = measured(springs(), workers=workers, limit=1.0)
    assert {p.name: p.reason for p in found.problems} == {
        "d1.2": "it took longer than 1 s (--timeout)",
        "d1.4": "SystemExit: 3",
    }
    assert {p.kind for p in found.problems} == {"failed"}
    assert found.done == 3


def test_a_calculation_that_heeds_no_end_ends_with_its_process_and_is_done_once(
    monkeypatch: pytest.MonkeyPatch, marks: Path
) -> None:
    monkeypatch.setenv("TOY_STUCK", "d1.2")
    monkeypatch.setenv("TOY_GRACE", "1")
    subject = springs(marks)
    found = measured(subject, workers=1, limit=1.0)
    reason = "it took longer than 1 s (--timeout)"
    assert [(p.name, p.kind, p.reason) for p in found.problems] == [("d1.2", "failed", reason)]
    assert sorted(marks.read_text().split()) == ["d0.8", "d1", "d1.2", "d1.4", "d1.6"]
    assert not [*folder_of(subject).glob("overdue*")]


def test_no_calculator_in_another_process_ends_the_run_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = springs()
    monkeypatch.setenv("TOY_UNMADE", "CUDA out of memory")
    with pytest.raises(InputError, match=r"in another process: .*RuntimeError: CUDA out"):
        measured(subject, workers=1)
    monkeypatch.delenv("TOY_UNMADE")
    assert measured(subject).status == "complete"  # nothing of it was kept


def test_an_analysis_that_fails_costs_no_other_results() -> None:
    def absurd(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
        return Findings({"MAE": float("inf")})

    both = [toy("absurd", analyse=absurd), toy("sound")]
    results = run(springs(), both, both, Sources(online=False), workers=0)
    assert [b.status for b in results.benchmarks] == ["missing", "complete"]
    assert results.benchmarks[0].reason.startswith("the analysis failed: ValidationError")


def test_what_was_measured_stays_when_its_set_is_not_found_later() -> None:
    sound, lost = toy(), toy(inputs=_unreadable)
    first = measured(springs(), sound)
    for _ in range(2):
        later = measured(springs(), lost)
        assert (later.status, later.score, later.entries) == (first.status, first.score, first.entries)
        assert [n for n in later.notes if "set.zip: is damaged" in n] == list(later.notes)
        assert len(later.notes) == 1


def test_too_few_calculations_are_no_score() -> None:
    assert measured(springs(), toy(inputs=_mostly_gold)).score is not None
    few = dataclasses.replace(springs(), elements=frozenset({1}))
    found = measured(few, toy(inputs=_mostly_gold))
    assert (found.done, found.total, found.status, found.score) == (2, 5, "partial", None)
    assert found.metrics[0].value is not None
    assert "fewer than 50% of its calculations" in found.reason


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({}, False),
        ({"own_elements": True}, True),
        ({"own_elements": True, "part": 0.4}, False),
        ({"shown": True}, True),
    ],
    ids=["of all", "of the elements of the model", "of a part of the set", "of what is scored"],
)
def test_what_half_of_the_calculations_is_counted_from(changes: dict[str, Any], score: bool) -> None:
    def inputs(sources: Sources) -> Inputs:
        found = _mostly_gold(sources)
        found.part = changes.get("part", 1.0)
        if changes.get("shown"):
            found.items[2:] = [dataclasses.replace(item, scored=False) for item in found.items[2:]]
        return found

    few = dataclasses.replace(springs(), elements=frozenset({1}))
    found = measured(few, toy(inputs=inputs, own_elements=changes.get("own_elements", False)))
    assert (found.done, found.total, found.status) == (2, 5, "partial")  # coverage is shown
    assert (found.score is not None) == score


def _mostly_gold(sources: Sources) -> Inputs:
    found = toys.inputs(sources)
    for item in found.items[2:]:
        item.structures["dimer"].symbols[:] = "Au"
    return found


def test_a_model_under_another_name_keeps_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path)
    monkeypatch.chdir(tmp_path)
    both = [toy("one", inputs=_ions, analyse=_nothing), toy("two", inputs=_ions, analyse=_nothing)]
    for name, asked in ((path, both[:1]), (f"./{Path(path).name}", both[1:])):
        subject = head_subject(name, "head0")
        results = run(subject, asked, both, Sources(online=False), workers=0)
    assert [b.status for b in results.benchmarks] == ["partial", "partial"]
    assert results.subject.name == "./model.safetensors"


def test_results_that_another_run_writes_meanwhile_are_kept() -> None:
    """Where a lock was lost."""
    both = [toy("one"), toy("two")]
    subject = springs()
    file = results_file(folder_of(subject), quick=False)
    results = run(subject, both[:1], both, Sources(online=False), workers=0)
    theirs = results.model_copy(
        update={"benchmarks": (*results.benchmarks[:1], measured(springs(stiffness=3.0), both[1]))}
    )
    file.unlink()

    def between(name: str, done: int, total: int) -> None:
        write_results(theirs, file)

    results = run(subject, both[:1], both, Sources(online=False), workers=0, progress=between)
    assert [b.status for b in results.benchmarks] == ["complete", "complete"]


def test_without_dftd3_a_benchmark_that_asks_for_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "find_spec", lambda name: None)
    found = measured(springs(), toy(dispersion=True))
    assert (found.status, found.score) == ("missing", None)
    assert "dftd3 is not installed" in found.reason
    assert measured(springs(), toy()).status == "complete"
    contained = calculator_subject(SPRING, {}, theory="omol")
    found = measured(contained, toy(dispersion=True))
    assert (found.status, found.dispersion) == ("complete", "none added: the model contains VV10")


def test_a_benchmark_without_a_quick_part_says_so() -> None:
    def long(sources: Sources) -> Inputs:
        found = toys.inputs(sources)
        found.items = found.items[2:]
        return found

    found = measured(springs(), toy(inputs=long), quick=True)
    assert (found.status, found.reason) == ("missing", "it has no quick part")


def test_results_under_another_theory_are_not_mixed() -> None:
    both = [toy("one"), toy("two", domain="surfaces")]
    for theory, statuses in (("PBE", ["complete", "not run"]), ("RPBE", ["not run", "complete"])):
        subject = calculator_subject(SPRING, {}, theory=theory)
        asked = [b for b, status in zip(both, statuses, strict=True) if status == "complete"]
        results = run(subject, asked, both, Sources(online=False), workers=0)
        assert [b.status for b in results.benchmarks] == statuses


def test_a_calculator_is_another_one_when_a_file_that_it_reads_is(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    found = []
    for content in ("a", "b", "b"):
        weights.write_text(content)
        for given in (str(weights), [str(weights)]):
            found.append(calculator_subject(SPRING, {"marks": given}).fingerprint)
    assert found[:2] != found[2:4]
    assert found[2:4] == found[4:]


def test_a_calculator_is_another_one_when_any_file_of_its_package_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    top = tmp_path / "homemade"
    (top / "deep").mkdir(parents=True)
    (top / "__init__.py").touch()
    (top / "calculator.py").write_text("from tests.bench.domain.toys import Spring\n")

    def found() -> str:
        return calculator_subject("homemade.calculator:Spring", {}).fingerprint

    before = found()
    (top / "__pycache__").mkdir(exist_ok=True)
    (top / "__pycache__" / "x.pyc").write_text("")
    assert found() == before
    (top / "deep" / "weights").write_text("1")
    assert found() != before
    assert not capsys.readouterr().err
    monkeypatch.setattr(subject_module, "MOST_FILES", 1)
    found()
    assert "too large to be compared" in capsys.readouterr().err


def test_a_run_killed_at_any_point_goes_on_and_ends_in_the_same_scores(marks: Path) -> None:
    script = (
        "import sys; from tests.bench.domain.test_run import measured, springs; from pathlib import Path\n"
        "if __name__ == '__main__': measured(springs(Path(sys.argv[1]), stiffness=2.5, pause=0.5), workers=2)"
    )
    file = marks.with_name("script.py")
    file.write_text(script)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, file, marks], env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    subject = springs(marks, stiffness=2.5, pause=0.5)
    kept = folder_of(subject) / "calculations.jsonl"
    waited(lambda: kept.exists() and b"\n" in kept.read_bytes())
    process.send_signal(signal.SIGKILL)
    process.wait()
    waited(lambda: not group_lives(process.pid))  # its processes do not outlive it
    begun = len(marks.read_text().split())
    written = kept.read_bytes().count(b"\n")
    assert 1 <= written < 5
    found = measured(subject)
    assert len(marks.read_text().split()) == begun + 5 - written
    fresh = measured(springs(stiffness=2.5))
    assert (found.metrics, found.entries, found.score) == (fresh.metrics, fresh.entries, fresh.score)


def waited(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_half_written_line_is_calculated_again(marks: Path) -> None:
    subject = springs(marks)
    measured(subject)
    file = folder_of(subject) / "calculations.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    damaged = [b'{"digest": "x"}\n', b"\xff\xfe\n", lines[0], lines[1].replace(b'"done"', b'"fine"')]
    file.write_bytes(b"".join([*damaged, *lines[2:4], lines[4][:40]]))
    assert measured(subject).done == 5
    assert len(marks.read_text().split()) == 7
    assert measured(subject).done == 5
    assert len(marks.read_text().split()) == 7


def test_what_is_not_asked_for_is_not_run_and_keeps_its_former_results(marks: Path) -> None:
    both = [toy("one"), toy("two", domain="surfaces")]
    subject = springs(marks)
    results = run(subject, both[:1], both, Sources(online=False), workers=0)
    assert [b.status for b in results.benchmarks] == ["complete", "not run"]
    assert results.benchmarks[1].score is None
    results = run(subject, both[1:], both, Sources(online=False), workers=0)
    assert [b.status for b in results.benchmarks] == ["complete", "complete"]
    assert read_results(results_file(folder_of(subject), quick=False)) == results
    assert results.global_score is None
    assert results.covered_weight == pytest.approx(0.45)


def _unreadable(sources: Sources) -> Inputs:
    raise InputError("is damaged", file="set.zip")


def _partly(sources: Sources) -> Inputs:
    found = toys.inputs(sources)
    with found.reading("d9"):
        raise KeyError("d9/POSCAR")
    return found


def test_sets_that_are_missing_or_broken_show_as_that() -> None:
    found = measured(springs(), toy(inputs=_unreadable))
    assert (found.status, found.score, found.reason) == ("missing", None, "set.zip: is damaged")
    found = measured(springs(), toy(packages=("no_such_package",)))
    assert found.status == "missing"
    assert "no_such_package is not installed" in found.reason
    found = measured(springs(), toy(inputs=_partly))
    assert found.status == "partial"
    assert [(p.name, p.kind) for p in found.problems] == [("d9", "input")]
    assert found.done == 5


def _ions(sources: Sources) -> Inputs:
    structures = {
        "water": molecule("H2O"),
        "ion": molecule("OH"),
        "radical": molecule("OH"),
        "gold": molecule("H2"),
    }
    structures["ion"].info.update(charge=-1)
    structures["radical"].info.update(spin=2)
    structures["gold"].symbols[:] = "Au"
    return Inputs([Item(name, {"only": atoms}) for name, atoms in structures.items()])


def _nothing(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    return Findings({"MAE": 0.0})


def saved(folder: Path, **changes: object) -> str:
    """The file of a small model that knows H, C, O, ..., and no gold."""
    path = folder / "model.safetensors"
    checkpoint.save(path, small_model(**changes), {})
    return str(path)


@pytest.mark.parametrize(
    ("inputs", "states", "problems"),
    [
        (True, True, {"gold"}),
        (False, True, {"gold", "ion", "radical"}),
        (False, False, {"gold"}),
    ],
)
def test_a_head_is_not_asked_about_what_it_does_not_cover(
    tmp_path: Path, inputs: bool, states: bool, problems: set[str]
) -> None:
    changes = {} if inputs else {"inputs": {}, "embedding_readout": False}
    subject = head_subject(saved(tmp_path, **changes), "head0")
    found = measured(subject, toy(inputs=_ions, calculate=energies, analyse=_nothing, states=states))
    reasons = {p.name: p.reason for p in found.problems}
    assert set(reasons) == problems
    assert {p.kind for p in found.problems} == {"not covered"}
    assert "does not cover Au" in reasons["gold"]
    if "ion" in reasons:
        assert "charge -1, and the model reads no charge" in reasons["ion"]
        assert "multiplicity 2, and the model reads no spin" in reasons["radical"]
    assert any(note.startswith("2 of 4 calculations are of charged") for note in found.notes) == (
        not inputs and not states
    )


def test_a_charge_beyond_those_of_the_model_is_not_covered(tmp_path: Path) -> None:
    def charged(sources: Sources) -> Inputs:
        found = _ions(sources)
        found.items[1].structures["only"].info["charge"] = -9
        return found

    subject = head_subject(saved(tmp_path), "head0")
    found = measured(subject, toy(inputs=charged, calculate=energies, analyse=_nothing))
    assert {p.name for p in found.problems} == {"gold", "ion"}


def test_heads_and_precisions_have_fingerprints_of_their_own(tmp_path: Path) -> None:
    path = saved(tmp_path)
    a, b = (head_subject(path, head) for head in ("head0", "head1"))
    other = head_subject(path, "head0", dtype="float32")
    assert len({a.fingerprint, b.fingerprint, other.fingerprint}) == 3
    assert head_subject(path, "head0").fingerprint == a.fingerprint


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        ("no_such_module:X", {}, "No module named"),
        ("tests.bench.domain.toys:Nothing", {}, "no such function or class"),
        (SPRING, {"colour": 1}, "cannot be made with"),
        ("tests.bench.domain.toys:toy", {}, "no ASE calculator"),
        ("tests.bench.domain.toys:broken", {}, r"cannot be made with .*KeyError: 'no such head'"),
    ],
)
def test_what_is_no_calculator_is_said(spec: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        calculator_subject(spec, arguments)


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "another format": lambda v: v.update(format=99),
    "a word for a number": lambda v: v["benchmarks"][0]["metrics"][0].update(value="big"),
    "more than 1": lambda v: v["benchmarks"][0].update(score=1.5),
    "an unknown key": lambda v: v.update(surprise=1),
    "atoms without positions": lambda v: v["benchmarks"][0]["structures"]["d1"]["dimer"].update(Z=[1]),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_of_results_is_refused_by_name(
    tmp_path: Path, damage: Callable[[dict[str, Any]], object]
) -> None:
    results = run(springs(), [toy()], [toy()], Sources(online=False), workers=0)
    values = json.loads(results.model_dump_json())
    assert DomainResults.model_validate(values) == results
    damage(values)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"results\.json"):
        read_results(path)
