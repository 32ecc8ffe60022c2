"""The tab of curves: diatomics by pair of elements, equations of state, distributions."""

from __future__ import annotations

from html import escape

from crossfield.report.domain_payload import curve_data, packed
from crossfield.report.domain_radar import Named
from crossfield.report.domain_words import letters
from crossfield.report.pieces import paragraph

ABOUT = (
    "Choose a benchmark and a curve, or a pair of elements. A double click on the figure shows the whole "
    "range, a second one returns."
)


def curves(each: Named) -> str:
    """All curves of one of the results, drawn one at a time; empty where there are none."""
    found = curve_data(each.results.benchmarks)
    if not found:
        return ""
    id = f"curves-{letters(each.name)}-data" if each.name else "curves-data"
    counts = ", ".join(f"{len(curve['curves']):,} of {curve['title']}" for curve in found)
    return (
        paragraph(f"{ABOUT} There are {counts}.")
        + f'<div class="bench-curves" data-id="{escape(id)}"></div>'
        + packed(found, id)
    )
