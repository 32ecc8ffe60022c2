"""The tab of curves: diatomics by pair of elements, equations of state, distributions."""

from __future__ import annotations

from html import escape

from crossfield.bench.domain.results import DomainResults
from crossfield.report.domain_payload import curve_data, packed
from crossfield.report.pieces import paragraph
from crossfield.report.section import Section

ABOUT = (
    "Choose a benchmark and a curve, or a pair of elements. A double click on the figure shows the whole "
    "range, a second one returns."
)


def curves_section(
    results: DomainResults, script: str, *, id: str = "curves", title: str = "Curves"
) -> Section | None:
    """All curves, drawn one at a time; None where there are none."""
    found = curve_data(results.benchmarks)
    if not found:
        return None
    counts = ", ".join(f"{len(each['curves']):,} of {each['title']}" for each in found)
    html = (
        paragraph(f"{ABOUT} There are {counts}.")
        + f'<div class="bench-curves" data-id="{escape(id)}-data"></div>'
        + packed(found, f"{id}-data")
    )
    return Section(id, title, html, script)
