"""E0: the reference energies of every head."""

from __future__ import annotations

from ase.data import chemical_symbols

from crossfield.report.facts import HeadFacts, ModelFacts, Reference
from crossfield.report.pieces import details, paragraph
from crossfield.report.section import Section
from crossfield.report.table import Cell, number, table

ABOUT = (
    "The energy that every atom of an element contributes before the model says anything, in the zero of "
    "energy of each theory, eV. ± is the standard error of a fit, or how far calculations of one atom "
    "disagree; values of two heads are not to be compared."
)


def energies_section(model: ModelFacts) -> Section:
    """A table of all heads, and one for each with origins and spreads."""
    elements = sorted({Z for head in model.heads for Z in head.elements})
    rows = [
        [
            Cell(chemical_symbols[Z], Z),
            *(_energy(head.elements.get(Z)) for head in model.heads),
        ]
        for Z in elements
    ]
    html = paragraph(ABOUT) + table(
        ["element", *(head.name for head in model.heads)], rows, caption="Reference energies, eV"
    )
    html += "".join(_of_head(head) for head in model.heads)
    return Section("e0", "E0", html)


def _energy(reference: Reference | None) -> Cell:
    if reference is None:
        return number(None, hint="not covered by this head")
    error = f" ± {_digits(reference.uncertainty)}" if reference.uncertainty else ""
    return Cell(f"{reference.E0:.4f}{error}", reference.E0, hint=reference.origin)


def _of_head(head: HeadFacts) -> str:
    known = [e for e in head.elements.values() if e.origin]
    if not known:
        return ""
    rows = [
        [
            Cell(chemical_symbols[Z], Z),
            number(e.E0, "{:.4f}"),
            Cell(_digits(e.uncertainty), float("inf") if e.uncertainty is None else e.uncertainty),
            Cell(e.origin or "–"),
            number(e.frames, "{:,.0f}", css="" if e.frames else "muted"),
            number(e.spread),
        ]
        for Z, e in head.elements.items()
    ]
    columns = ("element", "E0, eV", "±, eV", "origin", "frames with it", "residual spread, eV/atom")
    html = table(columns, rows, caption=f"Reference energies of head {head.name}, and where they come from")
    scale = "" if head.scale is None else f"scale {head.scale:.4g} eV, shift {head.shift:.4g} eV per atom"
    return details(
        f"{head.name} ({head.theory}): origins and spreads",
        html + "".join(paragraph(text) for text in (scale, *head.remarks) if text),
    )


def _digits(value: float | None) -> str:
    """Two digits that count."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    return f"{value:.1e}" if value < 1e-4 else f"{value:.2g}" if value < 10 else f"{value:.0f}"
