from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfield.bench.domain.benchmark import Metric
from crossfield.bench.domain.results import BenchmarkResult
from crossfield.bench.domain.scores import (
    WEIGHTS,
    benchmark_score,
    domain_scores,
    global_score,
    score,
    scored,
)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.01, 1.0), (0.05, 1.0), (0.275, 0.5), (0.5, 0.0), (7.0, 0.0), (None, None)]
)
def test_linear_between_good_and_bad(value: float | None, expected: float | None) -> None:
    found = score(Metric("MAE", "eV", 0.05, 0.5), value)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_metric_that_should_be_large() -> None:
    assert score(Metric("F1", "", 1.0, 0.0), 0.8) == pytest.approx(0.8)


@given(st.floats(-1e6, 1e6), st.floats(-10, 10), st.floats(-10, 10))
def test_scores_stay_between_0_and_1(value: float, good: float, bad: float) -> None:
    if abs(good - bad) > 1e-6:
        found = score(Metric("x", "", good, bad), value)
        assert found is not None
        assert 0.0 <= found <= 1.0


def test_a_benchmark_has_a_score_only_if_all_its_metrics_do() -> None:
    metrics = (
        Metric("a", "", 0.0, 1.0),
        Metric("b", "", 0.0, 1.0, weight=3.0),
        Metric("shown", "", None, None),
    )
    assert benchmark_score(scored(metrics, {"a": 0.0, "b": 1.0, "shown": 5.0})) == pytest.approx(0.25)
    assert benchmark_score(scored(metrics, {"a": 0.0, "b": 1.0})) == pytest.approx(0.25)
    assert benchmark_score(scored(metrics, {"a": 0.0})) is None
    assert benchmark_score(scored(metrics[2:], {"shown": 5.0})) is None


def _result(domain: str, value: float | None, status: str = "complete") -> BenchmarkResult:
    return BenchmarkResult(
        name=f"{domain}{value}{status}",
        title="",
        domain=domain,
        description="",
        reference="",
        status=status,
        score=value,
        metrics=scored((Metric("a", "", 0.0, 1.0),), {}),
    )


def test_the_global_score_has_the_weights_of_the_paper_and_is_none_with_a_domain_missing() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)
    values = {
        "materials": 0.9,
        "molecules": 0.8,
        "surfaces": 0.7,
        "molecular_crystals": 0.6,
        "physicality": 0.5,
    }
    results = [_result(domain, value) for domain, value in values.items()]
    total, covered, mean = global_score(domain_scores(results))
    assert total == pytest.approx(0.25 * 0.9 + 0.25 * 0.8 + 0.2 * 0.7 + 0.2 * 0.6 + 0.1 * 0.5)
    assert covered == pytest.approx(1.0)
    assert mean == pytest.approx(total)
    without = [*results[:2], _result("surfaces", None, "missing"), *results[3:], _result("reactions", 0.0)]
    total, covered, mean = global_score(domain_scores(without))
    assert total is None
    assert covered == pytest.approx(0.8)
    assert mean == pytest.approx((0.25 * 0.9 + 0.25 * 0.8 + 0.2 * 0.6 + 0.1 * 0.5) / 0.8)


def test_a_domain_is_the_mean_of_those_that_have_a_score() -> None:
    results = [
        _result("surfaces", 0.4),
        _result("surfaces", 0.8, "partial"),
        _result("surfaces", None, "missing"),
    ]
    found = next(d for d in domain_scores(results) if d.domain == "surfaces")
    assert found.score == pytest.approx(0.6)
    assert (found.complete, found.partial, found.total) == (1, 1, 3)
    assert next(d for d in domain_scores(results) if d.domain == "molecules").score is None


def test_what_is_shown_and_not_scored_does_not_count_as_incomplete() -> None:
    shown = scored((Metric("drift", "", 0.0, 1.0, weight=0.0), Metric("n", "", None, None)), {"drift": 0.0})
    extra = _result("surfaces", None).model_copy(update={"metrics": shown})
    found = next(d for d in domain_scores([_result("surfaces", 1.0), extra]) if d.domain == "surfaces")
    assert (found.score, found.complete, found.total) == (1.0, 1, 1)
