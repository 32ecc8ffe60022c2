"""How results of benchmarks are put into words and small signs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html import escape

from crossfield.bench.domain.results import BenchmarkResult, DomainResults, MetricResult

DOMAIN_TITLES: Mapping[str, str] = {
    "materials": "Materials",
    "molecular_crystals": "Molecular crystals",
    "molecules": "Molecules",
    "surfaces": "Surfaces",
    "reactions": "Reactions",
    "physicality": "Physicality",
    "liquids": "Liquids",
}
KINDS: Mapping[str, str] = {
    "input": "missing or unreadable in the set",
    "not covered": "not covered by the head",
    "not converged": "not converged",
    "failed": "failed",
    "died": "died",
}
_STATUS = {  # sign and word
    "complete": ("●", "complete"),
    "partial": ("◐", "partial"),
    "missing": ("○", "missing"),
    "not run": ("–", "not run"),
}


def domain_title(domain: str) -> str:
    """For people; domains of other versions as they are written."""
    return DOMAIN_TITLES.get(domain, domain.replace("_", " ").capitalize())


def amount(value: float | None) -> str:
    """A number to three digits, without an exponent where people would not write one."""
    if value is None:
        return "–"
    if 999.5 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def thresholds(metric: MetricResult) -> str:
    """The values that score 1 and 0; "not scored" where there are none."""
    if metric.good is None or metric.bad is None:
        return "not scored"
    return f"[{amount(metric.good)}, {amount(metric.bad)}]"


def coverage(result: BenchmarkResult) -> str:
    """ "27 of 30; 3 failed" """
    done = f"{result.done:,} of {result.total:,}" if result.total else ""
    return "; ".join(part for part in (done, problem_counts(result)) if part) or "–"


def problem_counts(result: BenchmarkResult) -> str:
    """ "3 not converged, 1 failed" """
    counts = Counter(str(problem.kind) for problem in result.problems)
    return ", ".join(f"{counts[kind]:,} {words}" for kind, words in KINDS.items() if counts[kind])


def global_words(results: DomainResults) -> tuple[str, str]:
    """The global score, and a remark; or that there is none, and why."""
    if results.global_score is not None:
        return f"{results.global_score:.3f}", f"with the weights of arXiv 2510.25380; {_extent(results)}"
    absent = [domain_title(d.domain) for d in results.domains if d.weight > 0 and d.score is None]
    if results.covered_score is None:
        return "not available", "no domain with a weight was measured"
    verb = "is" if len(absent) == 1 else "are"
    return (
        "not available",
        f"{_listed(absent)} {verb} missing; {results.covered_score:.2f} over the "
        f"{results.covered_weight:.2f} of the weight that was measured",
    )


def chip(result: BenchmarkResult) -> str:
    """The status, with its reason."""
    sign, word = _STATUS[result.status]
    reason = f"<small>{escape(result.reason)}</small>" if result.reason else ""
    name = result.status.replace(" ", "-")
    return f'<span class="chip {name}"><span aria-hidden="true">{sign}</span> {word}</span>{reason}'


def bar(score: float | None) -> str:
    """A score from 0 to 1 as a bar and a number; a dash, and no bar, where there is none."""
    if score is None:
        return '<span class="score none">–</span>'
    return (
        f'<span class="score"><span class="bar" aria-hidden="true"><i style="width:{100 * score:.1f}%"></i>'
        f"</span>{score:.2f}</span>"
    )


def _extent(results: DomainResults) -> str:
    counted = [d for d in results.domains if d.weight > 0]
    return f"{sum(d.complete + d.partial for d in counted)} of {sum(d.total for d in counted)} benchmarks"


def _listed(words: list[str]) -> str:
    lower = [word.lower() for word in words]
    return lower[0] if len(lower) == 1 else f"{', '.join(lower[:-1])} and {lower[-1]}"


def letters(name: str) -> str:
    """A name in letters that an id may have; names that differ stay different."""
    return "".join(c if c == "_" or (c.isascii() and c.isalnum()) else f"-{ord(c):x}" for c in name)
