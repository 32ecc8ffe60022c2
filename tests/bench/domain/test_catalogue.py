from __future__ import annotations

import pickle
import tomllib
from pathlib import Path

import pytest

from crossfield.bench.domain.benchmark import DOMAINS, Benchmark
from crossfield.bench.domain.catalogue import BENCHMARKS, choose
from crossfield.bench.domain.published import published_results
from crossfield.bench.domain.scores import WEIGHTS
from crossfield.bench.domain.sources import Sources, known_sources
from crossfield.errors import InputError
from tests.bench.domain.table import shown, table

PROJECT = Path(__file__).parents[3] / "pyproject.toml"
NAMES = [b.name for b in BENCHMARKS]


def test_names_are_unique_and_every_domain_has_benchmarks() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {b.domain for b in BENCHMARKS} == set(DOMAINS)


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=NAMES)
def test_a_benchmark_can_be_scored_and_cited(benchmark: Benchmark) -> None:
    metrics = [m.name for m in benchmark.metrics]
    assert len(set(metrics)) == len(metrics)
    assert all((m.good is None) == (m.bad is None) for m in benchmark.metrics)
    assert all(m.good != m.bad for m in benchmark.metrics if m.good is not None)
    assert set(benchmark.sources) <= set(known_sources())
    assert len(benchmark.description) > 60
    assert pickle.loads(pickle.dumps(benchmark.calculate)) is benchmark.calculate  # noqa: S301  our own bytes


@pytest.mark.parametrize("domain", WEIGHTS)
def test_every_domain_of_the_global_score_has_a_scored_benchmark_that_is_not_long(domain: str) -> None:
    assert any(
        b.domain == domain and not b.opt_in and any(m.good is not None and m.weight > 0 for m in b.metrics)
        for b in BENCHMARKS
    )


@pytest.mark.parametrize("benchmark", [b for b in BENCHMARKS if b.sources], ids=lambda b: b.name)
def test_without_its_set_a_benchmark_says_so(
    benchmark: Benchmark, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"neither in --data nor in the cache|put them from"):
        benchmark.inputs(Sources(online=False))


def test_every_set_is_read_by_a_benchmark() -> None:
    assert {name for b in BENCHMARKS for name in b.sources} == set(known_sources())


def test_whatever_a_benchmark_needs_is_in_the_extra() -> None:
    extra = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]["bench"]
    known = {requirement.partition(">")[0] for requirement in extra}
    assert {package for b in BENCHMARKS for package in b.packages} | {"dftd3"} == known


def test_published_numbers_are_of_benchmarks_and_metrics_that_there_are() -> None:
    assert set(published_results()) <= {*NAMES, "global"}
    known = {(b.name, m.name, m.unit) for b in BENCHMARKS for m in b.metrics}
    for name, results in published_results().items():
        if name != "global":
            assert {(name, r.metric, r.unit) for r in results} <= known


def test_diatomics_are_about_the_elements_of_the_model() -> None:
    assert [b.name for b in BENCHMARKS if b.own_elements] == ["diatomics"]


def test_choosing_by_name_and_by_domain() -> None:
    assert [b.name for b in choose(["x23", "physicality"])] == [
        b.name for b in BENCHMARKS if b.name == "x23" or b.domain == "physicality"
    ]
    assert not any(b.opt_in for b in choose([]))
    assert [b.name for b in choose(["water"])] == ["water"]
    with pytest.raises(InputError, match="did you mean 'diatomics'"):
        choose(["diatomic"])


def test_the_page_about_benchmarks_has_them_all() -> None:
    assert shown() == table()
