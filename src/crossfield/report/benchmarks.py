"""The tabs about benchmarks: scores with the way down to structures, curves, timing."""

from __future__ import annotations

from functools import cache
from importlib import resources

from crossfield.bench.domain.results import DomainResults
from crossfield.report.domain_curves import curves_section
from crossfield.report.domain_panel import panel
from crossfield.report.domain_scores import domain_table, summary
from crossfield.report.domain_words import letters
from crossfield.report.section import Section
from crossfield.report.timing import timing_section

SCRIPTS = ("sheet.js", "structure.js", "bench.js", "curves.js")  # in this order; the last one starts all


def benchmark_sections(results: DomainResults, *, head: str = "") -> list[Section]:
    """Tabs about the results of one model.

    Args:
        results: what `crossfield bench domain` found.
        head: told in the titles, on a page with the results of several heads.

    Returns:
        Benchmarks, Curves where there are any, and Timing.
    """
    end, of = (f"-{letters(head)}", f" {head}") if head else ("", "")
    prefix = f"benchmarks{end}"
    parts = [f"<style>{_asset('bench.css')}</style>", summary(results)]
    for domain in dict.fromkeys(b.domain for b in results.benchmarks):
        own = [b for b in results.benchmarks if b.domain == domain]
        parts.append(domain_table(domain, own, prefix))
        parts += [panel(result, prefix) for result in own]
    sections = [Section(prefix, f"Benchmarks{of}", "".join(parts), script())]
    curves = curves_section(results, script(), id=f"curves{end}", title=f"Curves{of}")
    timing = timing_section(results, id=f"timing{end}", title=f"Timing{of}")
    return [*sections, *([curves] if curves else []), timing]


@cache
def script() -> str:
    """What runs on the page: one closed scope, so that its names meet no others."""
    inside = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{inside}\n}})();'


def _asset(name: str) -> str:
    return resources.files("crossfield.report").joinpath("assets", name).read_text("utf-8")
