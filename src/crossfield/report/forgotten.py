"""What the heads of a base could do before a run, and what they can now."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from crossfield.report.crossed_heads import matrix
from crossfield.report.figure import figure
from crossfield.report.logged import Change, Forgetting
from crossfield.report.palette import BAD, GOOD, NEUTRAL
from crossfield.report.pieces import heading, notes, paragraph
from crossfield.report.section import Section
from crossfield.report.table import Cell, number, table
from crossfield.train.forgetting import UNITS

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
    parts = [_verdict(report), _change_table(report), _change_figure(report)]
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


def _change_figure(report: Forgetting) -> str:
    """Changes relative to before, with intervals and the tolerance; drift has nothing to be relative to."""
    rows = [c for c in report.changes if c.before and c.after is not None and not c.own_answers]
    if not rows:
        return ""
    fig = go.Figure()
    for name, colour, symbol, chosen in (
        ("worse than allowed", BAD, "x", [c for c in rows if c.worse]),
        ("within the tolerance", GOOD, "circle", [c for c in rows if not c.worse and c.allowed is not None]),
        ("new head", NEUTRAL, "diamond", [c for c in rows if not c.worse and c.allowed is None]),
    ):
        if chosen:
            fig.add_trace(_changes(name, colour, symbol, chosen))
    fig.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    fig.add_vline(
        x=100 * report.tolerance,
        line={"color": BAD, "width": 1, "dash": "dash"},
        annotation={
            "text": f"tolerance {100 * report.tolerance:g} %",
            "yref": "paper",
            "y": 1.08,
            "showarrow": False,
        },
    )
    fig.update_layout(
        xaxis={"title": "change of the MAE, % (right is worse)"},
        yaxis={
            "type": "category",
            "automargin": True,
            "categoryorder": "array",
            "categoryarray": [_row_name(c) for c in reversed(rows)],
        },
        legend={"orientation": "h", "y": -0.25},
        hovermode="closest",
    )
    return figure(
        fig,
        title=f"Change of the mean absolute error, with {100 * report.confidence:g} % intervals",
        alt="Change of the mean absolute error of each head and property in percent, with intervals, against "
        f"the tolerance of {100 * report.tolerance:g} percent; the numbers stand in the table above",
        height=150 + 34 * len(rows),
    )


def _changes(name: str, colour: str, symbol: str, rows: list[Change]) -> go.Scatter:
    x = [100 * (_value(c.after) / _value(c.before) - 1) for c in rows]
    ends = [[100 * _value(end, 0.0) / _value(c.before) for end in c.interval] for c in rows]
    return go.Scatter(
        x=x,
        y=[_row_name(c) for c in rows],
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, high - at) for at, (_, high) in zip(x, ends)],
            "arrayminus": [max(0.0, at - low) for at, (low, _) in zip(x, ends)],
            "color": colour,
            "thickness": 1.5,
        },
        hovertemplate="%{y}: %{x:+.1f} %<extra></extra>",
    )


def _row_name(change: Change) -> str:
    return f"{escape(change.head)}, {change.quantity}"


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _value(value: float | None, missing: float = float("nan")) -> float:
    return missing if value is None else value
