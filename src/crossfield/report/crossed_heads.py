"""The matrix of heads: what each of them says of the frames of every other, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import plotly.graph_objects as go

from crossfield.report.figure import figure
from crossfield.report.logged import Change, Crossed, Forgetting
from crossfield.report.pieces import details
from crossfield.report.table import Cell, number, table, three_digits
from crossfield.zoo.card_parts import UNITS

END = 4  # the colours end at so many tolerances
SMALLEST = 5e-4  # meV/Å or GPa; less is round-off
SCALE = [[0.0, "#2f6f9f"], [0.5, "#d9dde2"], [1.0, "#b5562c"]]  # low, middle, high


def matrix(report: Forgetting, quantity: str) -> str:
    """A heat map of changes, and its numbers as a table; empty where nothing was compared.

    Args:
        report: on forgetting.
        quantity: "forces" or "stress".
    """
    rows = [row for row in report.matrix if row.quantity == quantity]
    if not rows:
        return ""
    unit, factor = UNITS[quantity]
    answers = list(rows[0].after)
    own = {(c.head, c.own_answers): c for c in report.changes if c.quantity == quantity}
    changes = [[_relative(row, name, report, own) for name in answers] for row in rows]
    text = [[_cell(row, name, factor, own) for name in answers] for row in rows]
    end = END * 100 * report.tolerance
    fig = go.Figure(
        go.Heatmap(
            z=changes,
            x=[escape(name) for name in answers],
            y=[escape(_frames_of(row)) for row in rows],
            text=text,
            texttemplate="%{text}",
            colorscale=SCALE,
            zmid=0,
            zmin=-end,
            zmax=end,
            xgap=2,
            ygap=2,
            colorbar={"title": {"text": "change, %"}, "thickness": 12},
            hovertemplate=f"frames of %{{y}}, answers of %{{x}}<br>%{{text}} {unit}"
            "<br>change %{z:+.1f} %<extra></extra>",
        )
    )
    fig.update_layout(
        xaxis={"title": "answers of", "side": "top", "type": "category"},
        yaxis={"title": "frames of", "autorange": "reversed", "type": "category", "automargin": True},
    )
    title = f"{quantity.capitalize()}: MAE before → after, {unit}"
    drawn = figure(
        fig,
        title=f"{title}. Colours: change in percent, of drift in percent of the spread of labels. "
        f"✗: worse than the tolerance of {100 * report.tolerance:g} %",
        alt=f"{title}, of the answers of each head on the frames of each head",
        height=170 + 48 * len(rows),
    )
    return drawn + details("The same numbers as a table", _numbers(rows, answers, unit, factor))


def _numbers(rows: list[Crossed], answers: list[str], unit: str, factor: float) -> str:
    lines: list[list[str | Cell]] = []
    for row in rows:
        for name in answers:
            before, after = (
                None if x is None else factor * x for x in (row.before.get(name), row.after.get(name))
            )
            lines.append(
                [_frames_of(row), name, number(row.frames, "{:,.0f}"), number(before), number(after)]
            )
    columns = ("frames of", "answers of", "frames", f"before, {unit}", f"after, {unit}")
    return table(columns, lines, caption=f"{rows[0].quantity.capitalize()}: MAE of every head", heads=2)


def _relative(
    row: Crossed, answers: str, report: Forgetting, own: Mapping[tuple[str, bool], Change]
) -> float | None:
    """Change in percent of what was before; where labels are the base's own answers, of their spread."""
    before, after = row.before.get(answers), row.after.get(answers)
    if before is None or after is None:
        return None
    size = before
    if row.own_answers and (change := own.get((row.frames_of, True))) and change.allowed and report.tolerance:
        size = max(size, change.allowed / report.tolerance)  # what is allowed is the tolerance of the spread
    return 100 * (after - before) / size if size else None


def _cell(row: Crossed, answers: str, factor: float, own: Mapping[tuple[str, bool], Change]) -> str:
    change = own.get((row.frames_of, row.own_answers))
    mark = " ✗" if answers == row.frames_of and change and change.worse else ""
    return f"{_short(row.before.get(answers), factor)} → {_short(row.after.get(answers), factor)}{mark}"


def _frames_of(row: Crossed) -> str:
    return f"{row.frames_of} *" if row.own_answers else row.frames_of


def _short(value: float | None, factor: float) -> str:
    if value is None:
        return "–"
    return three_digits(factor * value) if abs(factor * value) >= SMALLEST else "0"
