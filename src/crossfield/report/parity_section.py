"""The parity tab: what the model says against the labels, of every head, property, split and element."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols

from crossfield.report.figure import figure, typed
from crossfield.report.palette import DASHES, look
from crossfield.report.parity_figure import LIMITS, MARGIN, Limits, parity_figure
from crossfield.report.parity_pairs import SHOWN, Pairs, all_pairs
from crossfield.report.pieces import details, grid, heading, notes, paragraph
from crossfield.report.section import Section
from crossfield.report.table import Cell, number, table
from crossfield.theory.units import digits
from crossfield.train.predictions import Predictions
from crossfield.zoo.card import Quantity
from crossfield.zoo.card_parts import QUANTITIES

SPLITS = ("test", "validation", "train")  # in the order of interest
ALL_POINTS = 25_000  # drawn one by one in all figures without a density, so that the page opens fast
FIGURES = 36  # with all details: those of four heads with all properties and splits
ELEMENTS = 12  # of a head that have a figure of their own; a table has all
ELEMENT_FIGURES = 4 * ELEMENTS  # of all heads
ELEMENT_LIMITS = Limits(points=300, outliers=150, beyond=1000, bins=70)
RESIDUAL_BINS = 61
MISSING = (
    "There are no predictions here: `crossfield train` writes predictions.safetensors when a run ends by "
    "itself."
)
Panels = Mapping[tuple[Quantity, str], Pairs]  # by property and split


class _Drawn(NamedTuple):
    """How much is drawn of each head."""

    limits: Limits
    elements: int  # figures of single elements
    element_limits: Limits


def parity_section(predictions: Predictions | None) -> Section:
    """Parity plots and residuals; None: a run that has no predictions, or none yet."""
    if predictions is None or not len(predictions):
        return Section("parity", "Parity", paragraph(MISSING))
    shown: dict[str, dict[tuple[Quantity, str], Pairs]] = defaultdict(dict)
    for (head, split, quantity), pairs in all_pairs(predictions).items():
        shown[head][quantity, split] = pairs
    drawn = _drawn([len(pairs) for panels in shown.values() for pairs in panels.values()], len(shown))
    html = paragraph(
        "Every label against what the best weights say of it: energies per atom relative to E0, components "
        "of forces and of the stress. Hover a point for its structure; drag to zoom, double-click to return."
    )
    html += notes([("warn", text) for text in _remarks(predictions)])
    for position, (head, panels) in enumerate(shown.items()):
        inside = "".join(_head(predictions, head, panels, drawn))
        state = " open" if position == 0 else ""
        html += f"<details{state}><summary>{escape(head)}</summary>{inside}</details>"
    return Section("parity", "Parity", html)


def _drawn(sizes: Sequence[int], heads: int) -> _Drawn:
    """What there is room for, with figures of so many pairs."""
    elements = min(ELEMENTS, max(1, ELEMENT_FIGURES // max(1, heads)))
    return _Drawn(
        LIMITS.shared(len(sizes), FIGURES)._replace(points=_most(sizes)),
        elements,
        ELEMENT_LIMITS.shared(elements * heads, ELEMENT_FIGURES),
    )


def _most(sizes: Sequence[int]) -> int:
    """How many points a figure may have: as many as leave all figures that have no more within the bound."""
    fit, most = np.array(sizes), LIMITS.points
    share = min(most, ALL_POINTS // max(1, len(fit)))
    return max((n for n in sizes if n <= most and fit[fit <= n].sum() <= ALL_POINTS), default=share)


def _remarks(p: Predictions) -> Iterator[str]:
    for head in p.heads:
        for split in SPLITS:
            if left_out := p.left_out(split, head):
                kept = int(p.chosen(split, head).sum())
                yield (
                    f"Head {head}: a sample of {kept:,} of its {kept + left_out:,} {split} frames "
                    f"(seed {p.seed})."
                )
        own = p.own_answers & (p.head == p.heads.index(head))
        if own.any():
            yield (
                f"Head {head}: {int(own.sum()):,} frames have the base's own answers as labels; what is off "
                "there is drift, not error."
            )


def _head(p: Predictions, head: str, panels: Panels, drawn: _Drawn) -> Iterator[str]:
    colour = look(p.heads.index(head)).colour
    for quantity in QUANTITIES:
        own = {split: panels[quantity, split] for split in SPLITS if (quantity, split) in panels}
        if not own:
            continue
        what = SHOWN[quantity].what
        yield heading(what[0].upper() + what[1:])
        answered = {split: pairs for split, pairs in own.items() if len(pairs)}
        for split in own.keys() - answered.keys():
            yield notes([("bad", f"The model has no answer for any of the {split} labels.")])
        figures = [
            parity_figure(pairs, p.name, title=f"{head}, {split}", colour=colour, limits=drawn.limits)
            for split, pairs in answered.items()
        ]
        if answered:
            yield grid([*figures, _residuals(head, answered, colour)])
        if quantity == "forces" and answered:
            split, pairs = next(iter(answered.items()))
            yield _by_element(p, head, split, pairs, drawn)


def _residuals(head: str, by_split: dict[str, Pairs], colour: str) -> str:
    """How errors are distributed; the outermost bins have all that lies beyond them."""
    shown = SHOWN[next(iter(by_split.values())).quantity]
    errors = {split: shown.factor * pairs.error for split, pairs in by_split.items()}
    widest = max(float(np.quantile(np.abs(e), 0.99)) for e in errors.values()) or 1.0
    edges = np.linspace(-widest, widest, RESIDUAL_BINS + 1)
    data = [
        {
            "type": "scatter",
            "x": typed(0.5 * (edges[1:] + edges[:-1])),
            "y": typed(100 * np.histogram(np.clip(off, -widest, widest), edges)[0] / len(off)),
            "name": split,
            "mode": "lines",
            "line": {"shape": "hvh", "color": colour, "dash": dash, "width": 1.6},
            "hovertemplate": f"{split}: %{{y:.2f}} % around %{{x:.3g}} {shown.error_unit}<extra></extra>",
        }
        for (split, off), dash in zip(errors.items(), DASHES)
    ]
    layout = {
        "xaxis": {"title": {"text": f"error, {shown.error_unit}"}, "exponentformat": "none"},
        "yaxis": {"title": {"text": "% of labels"}, "rangemode": "tozero"},
        "legend": {"x": 0.99, "y": 0.99, "xanchor": "right", "yanchor": "top"},
        "margin": MARGIN,
    }
    title = f"{head}: errors (predicted − reference); the outermost bins have all beyond them"
    return figure(
        {"data": data, "layout": layout},
        title=title,
        alt=f"Histogram of the errors in {shown.what} of head {head}",
        height=380,
    )


def _by_element(p: Predictions, head: str, split: str, pairs: Pairs, drawn: _Drawn) -> str:
    """Forces on the atoms of each element: a table, and figures of those with the largest errors."""
    by_element = {int(Z): pairs.of(pairs.Z == Z) for Z in np.unique(pairs.Z)}
    factor = SHOWN["forces"].factor
    rows: list[Sequence[str | Cell]] = [
        [
            Cell(chemical_symbols[Z], Z),
            number(len(own) // 3, "{:,}"),
            rounded(factor * own.mae),
            rounded(factor * own.rmse),
            number(own.r2, "{:.4f}"),
            rounded(factor * float(np.abs(own.error).max())),
        ]
        for Z, own in by_element.items()
    ]
    columns = ("element", "atoms", "MAE, meV/Å", "RMSE, meV/Å", "R²", "largest, meV/Å")
    worst = sorted(by_element, key=lambda Z: -by_element[Z].rmse)[: drawn.elements]
    figures = [
        parity_figure(
            by_element[Z],
            p.name,
            title=f"{head}, {split}, {chemical_symbols[Z]}",
            colour=look(p.heads.index(head)).colour,
            limits=drawn.element_limits,
            height=300,
        )
        for Z in sorted(worst)
    ]
    what = f"Forces by element, {split} frames"
    if len(by_element) > len(worst):
        what += f"; figures of those with the largest RMSE, {len(worst)} of {len(by_element)}"
    return details(
        what,
        table(columns, rows, caption=f"Forces of head {head} by element, {split} frames") + grid(figures),
    )


def rounded(value: float) -> Cell:
    """A number in a table with as many digits as people read."""
    return number(value, digits(value))
