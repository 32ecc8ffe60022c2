"""How results of benchmarks are put into words and small signs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from typing import NamedTuple

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


class Extent(NamedTuple):
    """How much of what has a score by design has one."""

    scored: int  # benchmarks that have a score
    complete: int  # of these, those of all their calculations
    total: int  # benchmarks that could have one

    def words(self, *, quick: bool) -> str:
        """ "from 13 of 23 benchmarks, 5 of them complete"; of quick runs, in their quick part."""
        of = f"from {self.scored} of {self.total} benchmark{'s' if self.total != 1 else ''}"
        if not self.scored:
            return of
        return f"{of}, {self.complete} of them complete" + (" in their quick part" if quick else "")


def extent(benchmarks: Iterable[BenchmarkResult]) -> Extent:
    """Of some benchmarks; those that are shown and never scored do not count."""
    own = [b for b in benchmarks if has_score(b)]
    found = [b for b in own if b.score is not None]
    return Extent(len(found), sum(b.status == "complete" for b in found), len(own))


def has_score(result: BenchmarkResult) -> bool:
    """Whether it has a score by design: a metric with thresholds and a weight."""
    return any(m.good is not None and m.weight > 0 for m in result.metrics)


def global_extent(results: DomainResults) -> Extent:
    """Of the benchmarks in the domains that count in the global score."""
    counted = {d.domain for d in results.domains if d.weight > 0}
    return extent(b for b in results.benchmarks if b.domain in counted)


def not_comparable(results: DomainResults) -> str:
    """Why the global score cannot be set beside those of others; empty: it can."""
    own = global_extent(results)
    reasons = ["quick"] if results.quick else []
    if own.complete < own.total:
        reasons.append(f"{own.scored} of {own.total} benchmarks" + _in_part(own))
    return ", ".join(reasons)


def _in_part(own: Extent) -> str:
    return f", {own.complete} of them complete" if own.scored == own.total else ""


def global_words(results: DomainResults) -> tuple[str, str]:
    """The global score, and a remark; or that there is none, and why."""
    if results.global_score is not None:
        own = global_extent(results).words(quick=results.quick)
        return f"{results.global_score:.3f}", f"with the weights of arXiv 2510.25380; {own}"
    absent = [domain_title(d.domain) for d in results.domains if d.weight > 0 and d.score is None]
    if results.covered_score is None:
        return "not available", "no domain with a weight was measured"
    if not absent:
        return "not available", "the domains that count are not all in these results"
    verb = "is" if len(absent) == 1 else "are"
    return (
        "not available",
        f"{_listed(absent)} {verb} missing; {results.covered_score:.2f} over the "
        f"{results.covered_weight:.2f} of the weight that was measured",
    )


def chip(result: BenchmarkResult, *, quick: bool) -> str:
    """The status, with its reason; of a quick run, "complete" is no more than its part."""
    sign, word = _STATUS[result.status]
    name = result.status.replace(" ", "-")
    if quick and result.status == "complete":
        name, word = "quick", "quick part complete"
    reason = f"<small>{escape(result.reason)}</small>" if result.reason else ""
    return f'<span class="chip {name}"><span aria-hidden="true">{sign}</span> {word}</span>{reason}'


def bar(result: BenchmarkResult) -> str:
    """A score from 0 to 1 as a bar and a number; no bar where there is none, and whether there can be one."""
    score = result.score
    if score is None:
        return f'<span class="score none">{"–" if has_score(result) else "not scored"}</span>'
    return (
        f'<span class="score"><span class="bar" aria-hidden="true"><i style="width:{100 * score:.1f}%"></i>'
        f"</span>{score:.2f}</span>"
    )


def _listed(words: list[str]) -> str:
    """ "surfaces", "molecules and surfaces" """
    lower = [word.lower() for word in words]
    return "".join(lower) if len(lower) < 2 else f"{', '.join(lower[:-1])} and {lower[-1]}"


def letters(name: str) -> str:
    """A name in letters that an id may have; names that differ stay different."""
    return "".join(c if c == "_" or (c.isascii() and c.isalnum()) else f"-{ord(c):x}" for c in name)
