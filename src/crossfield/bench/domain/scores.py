"""From metrics to scores: linear between good and bad, means over domains, the paper's global score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crossfield.bench.domain.benchmark import DOMAINS, Metric
from crossfield.bench.domain.results import BenchmarkResult, DomainScore, MetricResult

# arXiv 2510.25380; domains that are not in it do not count in the global score
WEIGHTS: Mapping[str, float] = {
    "materials": 0.25,
    "molecules": 0.25,
    "surfaces": 0.20,
    "molecular_crystals": 0.20,
    "physicality": 0.10,
}


def score(metric: Metric, value: float | None) -> float | None:
    """1 at `good` and beyond, 0 at `bad` and beyond, linear between; None without a value or thresholds."""
    if value is None or metric.good is None or metric.bad is None:
        return None
    return min(1.0, max(0.0, (value - metric.bad) / (metric.good - metric.bad)))


def scored(metrics: Sequence[Metric], values: Mapping[str, float | None]) -> tuple[MetricResult, ...]:
    """Metrics with values and scores."""
    return tuple(
        MetricResult(
            name=m.name,
            unit=m.unit,
            description=m.description,
            value=values.get(m.name),
            good=m.good,
            bad=m.bad,
            weight=m.weight,
            score=score(m, values.get(m.name)),
        )
        for m in metrics
    )


def benchmark_score(metrics: Sequence[MetricResult]) -> float | None:
    """Weighted mean of the metrics that have thresholds and a weight; None where one of them has no value."""
    counted = [m for m in metrics if m.good is not None and m.weight > 0]
    if not counted or any(m.score is None for m in counted):
        return None
    return sum(m.weight * (m.score or 0.0) for m in counted) / sum(m.weight for m in counted)


def domain_scores(benchmarks: Sequence[BenchmarkResult]) -> tuple[DomainScore, ...]:
    """A mean per domain over the benchmarks that have a score, with how many have none."""
    found = []
    for domain in DOMAINS:
        own = [b for b in benchmarks if b.domain == domain and _counts(b)]
        scores = [b.score for b in own if b.score is not None]
        found.append(
            DomainScore(
                domain=domain,
                weight=WEIGHTS.get(domain, 0.0),
                score=sum(scores) / len(scores) if scores else None,
                complete=sum(b.score is not None and b.status == "complete" for b in own),
                partial=sum(b.score is not None and b.status == "partial" for b in own),
                total=len(own),
            )
        )
    return tuple(found)


def _counts(benchmark: BenchmarkResult) -> bool:
    """Whether it can have a score; others are shown, and not scored."""
    return any(m.good is not None and m.weight > 0 for m in benchmark.metrics)


def global_score(domains: Sequence[DomainScore]) -> tuple[float | None, float, float | None]:
    """The global score, the weight of the domains that have a score, and the mean over these.

    A domain without a score is no zero: the global score is not known then.
    """
    known = [(d.weight, d.score) for d in domains if d.weight > 0 and d.score is not None]
    covered = sum(weight for weight, _ in known)
    mean = sum(weight * s for weight, s in known) / covered if known else None
    complete = abs(covered - sum(WEIGHTS.values())) < 1e-9
    return (mean if complete else None), covered, mean
