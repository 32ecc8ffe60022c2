"""What the heads of a base could do before a run, and what they can now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from crossfield.report.crossed_heads import matrix
from crossfield.report.figure import figure
from crossfield.report.logged import Change, Forgetting
from crossfield.report.palette import BAD, GOOD, NEUTRAL
from crossfield.report.pieces import grid, heading, notes, paragraph
from crossfield.report.section import Section
from crossfield.report.table import Cell, number, table
from crossfield.zoo.card_parts import UNITS

NO_BASE = (
    "This run began from random weights: there was nothing to forget. Runs with a base have a report here."
)
NOT_YET = "The comparison with the base is made when the run ends."


def forgetting_section(report: Forgetting | None, *, with_base: bool, finished: bool) -> Section:
    """Changes with intervals, and the matrix of heads.

    Args:
        report: None where there is none, or none yet.
        with_base: whether the run began from a base.
        finished: whether it has ended.
    """
    if report is None:
        if not with_base:
            html = paragraph(NO_BASE)
        else:
            html = notes([("warn", "forgetting.json is missing.")]) if finished else paragraph(NOT_YET)
        return Section("forgetting", "Forgetting", html)
    parts = [_verdict(report), _change_table(report), _figures(report)]
    if any(len(row.after) > 1 for row in report.matrix):
        parts += [
            heading("Frames of one head, answers of another"),
            paragraph(
                "Mean absolute error of what every head says of the frames of each: on the diagonal, those "
                "of its own theory. Energies are left out, their zero differs between heads."
            ),
            *(matrix(report, quantity) for quantity in UNITS),
        ]
    return Section("forgetting", "Forgetting", "".join(parts))


def _verdict(report: Forgetting) -> str:
    worse = [change for change in report.changes if change.worse]
    asked = [change for change in report.changes if change.allowed is not None]
    if worse:
        named = "; ".join(f"{change.head}: {change.quantity}" for change in worse)
        kind, text = "bad", f"Worse than the tolerance of {100 * report.tolerance:g} %: {named}."
    elif asked:
        kind = "good"
        text = f"No head of the base got worse than its tolerance of {100 * report.tolerance:g} %."
    else:
        kind, text = "warn", "No head of the base has frames to compare."
    items = [(kind, text)]
    items += [
        ("warn", f"Head {name} has changed, and has no frames to compare.") for name in report.not_compared
    ]
    items += [("good", f"Head {name} answers as before, bit for bit.") for name in report.unchanged]
    return notes(items)


def _change_table(report: Forgetting) -> str:
    rows = []
    for change in report.changes:
        unit, factor = UNITS.get(change.quantity, ("", 1.0))
        low, high = change.interval
        known = low is not None and high is not None
        interval = f"{factor * low:+.3g} to {factor * high:+.3g}" if known else "–"  # type: ignore[operator]
        new = change.allowed is None and change.role == "taught"
        verdict = ("worse", "bad") if change.worse else ("new", "muted") if new else ("within", "good")
        rows.append(
            [
                Cell(change.head + (" *" if change.own_answers else "")),
                Cell(f"{change.quantity}, {unit}"),
                number(change.frames, "{:,.0f}"),
                number(None if change.own_answers else _times(factor, change.before)),
                number(_times(factor, change.after)),
                Cell(interval, low if low is not None else float("inf")),
                number(_times(factor, change.allowed)),
                Cell(verdict[0], css=verdict[1]),
            ]
        )
    shown = f"change, {100 * report.confidence:g} %"
    head = ("head", "property", "frames", "before", "after", shown, "allowed", "verdict")
    html = table(head, rows, caption="MAE on frames kept aside, before and after", heads=2)
    if any(change.own_answers for change in report.changes):
        html += paragraph(
            "* Labels are the base's own answers: the number is how far the head has drifted from them, not "
            f"its error. {100 * report.tolerance:g} % of the spread of the labels are allowed."
        )
    return html


def _figures(report: Forgetting) -> str:
    """Errors relative to those before, and drift relative to the spread: each has a figure of its own."""
    errors = [_Mark(c, *_relative(c)) for c in report.changes if not c.own_answers and c.before]
    drifts = [
        _Mark(c, *_of_spread(c, c.allowed / report.tolerance))
        for c in report.changes
        if c.own_answers and c.allowed and report.tolerance
    ]
    interval = f"{100 * report.confidence:g} % intervals"
    return grid(
        _change_figure([mark for mark in marks if mark.x is not None], report.tolerance, *texts)
        for marks, texts in (
            (errors, ("change of the MAE, %", f"Change of the MAE (right is worse), with {interval}")),
            (
                drifts,
                (
                    "drift, % of the spread",
                    f"* Drift from the base's own answers (right is further), with {interval}",
                ),
            ),
        )
        if any(mark.x is not None for mark in marks)
    )


@dataclass(frozen=True)
class _Mark:
    """A row of a figure, in percent."""

    change: Change
    x: float | None
    low: float
    high: float

    @property
    def name(self) -> str:
        star = " *" if self.change.own_answers else ""
        return f"{escape(self.change.head)}{star}, {self.change.quantity}"


def _relative(c: Change) -> tuple[float | None, float, float]:
    """The change and its interval, % of the error before."""
    if c.after is None or not c.before:
        return None, 0.0, 0.0
    low, high = (100 * _value(end, c.after - c.before) / c.before for end in c.interval)
    return 100 * (c.after / c.before - 1), low, high


def _of_spread(c: Change, spread: float) -> tuple[float | None, float, float]:
    """Drift and its interval, % of the spread of the labels."""
    if c.after is None:
        return None, 0.0, 0.0
    before = _value(c.before, 0.0)
    low, high = (100 * (before + _value(end, c.after - before)) / spread for end in c.interval)
    return 100 * c.after / spread, low, high


def _change_figure(rows: Sequence[_Mark], tolerance: float, axis: str, title: str) -> str:
    """Marks with intervals; the tolerance stands in those rows alone that it applies to."""
    fig = go.Figure()
    bound = [m for m in rows if m.change.allowed is not None]
    for name, colour, symbol, chosen in (
        ("worse than allowed", BAD, "x", [m for m in rows if m.change.worse]),
        ("within the tolerance", GOOD, "circle", [m for m in bound if not m.change.worse]),
        ("new head", NEUTRAL, "diamond", [m for m in rows if m.change.allowed is None]),
    ):
        if chosen:
            fig.add_trace(_marks(name, colour, symbol, chosen))
    if bound:
        fig.add_trace(
            go.Scatter(
                x=[100 * tolerance] * len(bound),
                y=[m.name for m in bound],
                name=f"tolerance {100 * tolerance:g} %",
                mode="markers",
                marker={"symbol": "line-ns", "size": 26, "line": {"color": BAD, "width": 2}},
                hoverinfo="skip",
            )
        )
    fig.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    fig.update_layout(
        xaxis={"title": axis},
        yaxis={
            "type": "category",
            "automargin": True,
            "categoryorder": "array",
            "categoryarray": [m.name for m in reversed(rows)],
        },
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        showlegend=True,
        hovermode="closest",
    )
    return figure(
        fig,
        title=title,
        alt=f"{title}, of each head and property, against the tolerance of {100 * tolerance:g} percent; the "
        "numbers stand in the table above",
        height=150 + 34 * len(rows),
    )


def _marks(name: str, colour: str, symbol: str, rows: Sequence[_Mark]) -> go.Scatter:
    x = [_value(m.x) for m in rows]
    return go.Scatter(
        x=x,
        y=[m.name for m in rows],
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, m.high - at) for at, m in zip(x, rows)],
            "arrayminus": [max(0.0, at - m.low) for at, m in zip(x, rows)],
            "color": colour,
            "thickness": 1.5,
        },
        hovertemplate="%{y}: %{x:+.1f} %<extra></extra>",
    )


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _value(value: float | None, missing: float = float("nan")) -> float:
    return missing if value is None else value
