"""`crossfield bench domain`, on a benchmark with a known answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crossfield.bench.domain import catalogue
from crossfield.bench.domain.results import BenchmarkResult, read_results
from crossfield.cli.bench_domain_show import _found
from tests.bench.domain.toys import toy
from tests.cli.conftest import Command

Refused = Callable[..., str]
SPRING = "tests.bench.domain.toys:Spring"


@pytest.fixture(autouse=True)
def _toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    long = toy("marathon", domain="liquids", title="A long one", opt_in=True)
    monkeypatch.setattr(catalogue, "BENCHMARKS", (toy(), toy("springs", domain="surfaces"), long))


def test_a_table_of_scores_and_a_file_of_results(crossfield: Command, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    found = crossfield(
        *("bench", "domain", SPRING, "--argument", "stiffness=2.5", "--theory", "RPBE", "-j", 1, "-o", file)
    )
    assert found.code == 0, found.err
    assert "MAE 0.38 eV" in found.out
    assert "0.620" in found.out
    assert "5/5" in found.out
    assert "other functional" in found.out
    assert "no global score: molecular crystals, molecules, physicality missing" in " ".join(
        found.out.split()
    )
    assert "1 benchmarks have not been run" in found.out
    assert f"results: {file}" in found.out
    assert f"crossfield report {file}" in found.out
    results = read_results(file)
    assert results.subject.theory["method"] == "RPBE"
    assert [b.status for b in results.benchmarks] == ["complete", "complete", "not run"]


def test_scores_as_json(crossfield: Command) -> None:
    found = crossfield("bench", "domain", SPRING, "--only", "surfaces", "--quick", "--json", "-j", 1)
    assert found.code == 0, found.err
    scores = json.loads(found.out)
    assert scores["quick"] is True
    assert [b["status"] for b in scores["benchmarks"]] == ["not run", "complete", "not run"]
    assert scores["benchmarks"][1]["total"] == 2
    assert "entries" not in scores["benchmarks"][1]


def test_long_ones_run_when_they_are_named(crossfield: Command) -> None:
    found = crossfield("bench", "domain", SPRING, "--only", "toy,marathon", "--json", "-j", 1)
    statuses = [b["status"] for b in json.loads(found.out)["benchmarks"]]
    assert statuses == ["complete", "not run", "complete"]


def test_the_list(crossfield: Command) -> None:
    found = crossfield("bench", "domain", "--list")
    assert found.code == 0
    assert "springs" in found.out
    assert "only if named" in found.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "MODEL is missing"),
        ((SPRING, "--only", "sorfaces"), "did you mean 'surfaces'?"),
        ((SPRING, "--head", "x"), "--head goes with a model"),
        ((SPRING, "--dtype", "float32"), "--dtype goes with a model"),
        ((SPRING, "--device", "cpu"), "--device goes with a model"),
        ((SPRING, "--only", ""), "--only names no benchmark"),
        ((SPRING, "--only", " , "), "--only names no benchmark"),
        ((SPRING, "--argument", "stiffness"), "write NAME=VALUE"),
        ((SPRING, "--argument", "a=1", "--argument", "a=2"), "given twice"),
        ((SPRING, "--reads", "colour"), "--reads colour"),
        ((SPRING, "-o", f"{__file__}/y.json"), "cannot be a folder"),
        ((SPRING, "--theory", "omat_pb"), "did you mean 'omat_pbe'?"),
        ((SPRING, "--data", "no/such/folder"), "no/such/folder: is no folder"),
        (("no_such_module:X",), "No module named"),
        (("nothing.safetensors",), "no such file"),
        (("nothing.safetensors", "--theory", "PBE"), "--theory goes with a calculator"),
    ],
)
def test_refusals(refused: Refused, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("bench", "domain", *arguments)


def test_nothing_measured_is_an_error(crossfield: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "BENCHMARKS", (toy(packages=("no_such_package",)),))
    found = crossfield("bench", "domain", SPRING, "-j", 1)
    assert found.code == 2
    assert "no_such_package is not installed" in " ".join(found.out.split())
    assert "nothing of what was asked for could be measured" in found.err


def test_a_method_of_a_class_in_the_current_folder(
    crossfield: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_calculator.py").write_text(
        "from tests.bench.domain.toys import Spring\n\n\n"
        "class Maker:\n    @classmethod\n    def make(cls):\n        return Spring()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    found = crossfield("bench", "domain", "own_calculator:Maker.make", "--only", "toy", "--json", "-j", 1)
    assert found.code == 0, found.err
    assert json.loads(found.out)["benchmarks"][0]["score"] == pytest.approx(1.0)


def test_that_no_dispersion_was_added_is_shown() -> None:
    fields = dict.fromkeys(("name", "title", "domain", "description", "reference"), "x")
    found = BenchmarkResult(**fields, status="complete", dispersion="none added: there are no parameters")
    assert "D3: none added: there are no parameters" in _found(found)
    assert "D3" not in _found(found.model_copy(update={"dispersion": "D3(BJ) of PBE, two-body"}))


def test_a_head_of_a_model(crossfield: Command, model: Path) -> None:
    # its answers for H2 differ from a spring's; it must give some
    found = crossfield("bench", "domain", model, "--head", "molecules", "--only", "toy", "--json", "-j", 1)
    assert found.code == 0, found.err
    scores = json.loads(found.out)
    assert scores["subject"]["head"] == "molecules"
    assert scores["benchmarks"][0]["done"] == 5


def test_an_unknown_functional_is_doubted(crossfield: Command) -> None:
    for theory, said in ((("--theory", "PBEx"), "'PBEx' is no functional"), ((), "no --theory is given")):
        found = crossfield("bench", "domain", SPRING, "--only", "toy", "-j", 1, *theory)
        assert found.code == 0
        assert said in found.err
