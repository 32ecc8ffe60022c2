"""The tabs about benchmarks: scores with the way down to structures, curves, timing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from crossfield.report.domain_compare import compare_section
from crossfield.report.domain_curves import curves
from crossfield.report.domain_panel import panel
from crossfield.report.domain_radar import Named
from crossfield.report.domain_scores import domain_table, summary
from crossfield.report.domain_words import letters
from crossfield.report.page import asset
from crossfield.report.pieces import heading
from crossfield.report.section import Section
from crossfield.report.timing import timing

SCRIPTS = ("sheet.js", "structure.js", "bench.js", "curves.js")  # in this order; the last one starts all


def benchmark_sections(found: Sequence[Named]) -> list[Section]:
    """Tabs about the results of one model, or of several.

    Args:
        found: what `crossfield bench domain` found; the names are told where there are several.

    Returns:
        Compare if there are several; Benchmarks of each; Curves where there are any; and Timing.
    """
    return [
        *([compare_section(found)] if len(found) > 1 else []),
        *(_benchmarks(each) for each in found),
        *_merged("curves", "Curves", [(each.name, curves(each)) for each in found]),
        *_merged("timing", "Timing", [(each.name, timing(each.results)) for each in found]),
    ]


def _benchmarks(each: Named) -> Section:
    end, of = (f"-{letters(each.name)}", f" {each.name}") if each.name else ("", "")
    prefix, results = f"benchmarks{end}", each.results
    parts = [f"<style>{asset('bench.css')}</style>", summary(results)]
    for domain in dict.fromkeys(b.domain for b in results.benchmarks):
        own = [b for b in results.benchmarks if b.domain == domain]
        parts.append(domain_table(domain, own, prefix, quick=results.quick))
        parts += [panel(result, prefix, quick=results.quick) for result in own]
    return Section(prefix, f"Benchmarks{of}", "".join(parts), script())


def _merged(id: str, title: str, parts: Sequence[tuple[str, str]]) -> list[Section]:
    """One tab with a part for each of the results that have something to show there."""
    html = "".join((heading(name) if name else "") + part for name, part in parts if part)
    return [Section(id, title, html, script())] if html else []


@cache
def script() -> str:
    """What runs on the page: one closed scope, so that its names meet no others."""
    inside = "\n".join(asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{inside}\n}})();'
