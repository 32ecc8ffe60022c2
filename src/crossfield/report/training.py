"""The curves of a run: losses, errors, learning rate and time against steps."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from statistics import median

import plotly.graph_objects as go

from crossfield.report.figure import figure
from crossfield.report.logged import Epoch, mae
from crossfield.report.palette import NEUTRAL, look
from crossfield.report.pieces import cards, grid, heading, legend, paragraph
from crossfield.report.run import Run
from crossfield.report.section import Section
from crossfield.theory.units import digits
from crossfield.zoo.card_parts import UNITS

HEIGHT = 320
MARKED = 60  # points of a curve; with more, marks would hide the line
LOG = {"type": "log", "exponentformat": "power"}


def training_section(run: Run) -> Section:
    """Validation errors, losses, learning rate, time."""
    if not run.epochs:
        text = paragraph("No epoch is complete yet: the curves begin with the first.")
        return Section("training", "Training", text)
    return Section(
        "training",
        "Training",
        legend(run.heads)
        + heading("Errors")
        + paragraph(
            "Mean absolute errors of the averaged weights: on validation frames (lines with marks) and on a "
            "few training frames of each head (thin lines). Where the two part, a head is being over-fitted."
        )
        + grid([*(_errors(run, q) for q in UNITS if _has(run.epochs, q)), _score(run)])
        + heading("Loss and learning rate")
        + grid([_total(run), *_loss_terms(run), _learning_rate(run)])
        + _times(run),
    )


def _has(epochs: Sequence[Epoch], quantity: str) -> bool:
    return any(mae(head, quantity) is not None for e in epochs for head in (e.validation or {}).values())


def _errors(run: Run, quantity: str) -> str:
    unit, factor = UNITS[quantity]
    fig = go.Figure()
    for position, head in enumerate(run.heads):
        for split, thin in (("train", True), ("validation", False)):
            points = [
                (e, factor * error)
                for e in run.epochs
                if (errors := getattr(e, split)) and head in errors
                if (error := mae(errors[head], quantity)) is not None
            ]
            if points:
                what = "training frames" if thin else "validation"
                fig.add_trace(_curve(points, position, head, what, unit, thin=thin))
    _mark_best(fig, run)
    title = f"{quantity.capitalize()}: MAE, {unit}"
    return figure(
        fig.update_layout(yaxis={"title": f"MAE, {unit}", **LOG}, **_frame()),
        title=title,
        alt=f"{title}, of each head against the training step, on validation and on training frames",
        height=HEIGHT,
        log_switch=True,
    )


def _total(run: Run) -> str:
    points = [(e, e.loss) for e in run.epochs if e.loss is not None]
    fig = go.Figure(_line(points, NEUTRAL, "all heads", ""))
    for position, head in enumerate(run.heads):
        own = [
            (e, sum(x for x in e.loss_by_head[head].values() if x is not None))
            for e in run.epochs
            if head in e.loss_by_head
        ]
        if own:
            fig.add_trace(_curve(own, position, head, "loss", ""))
    return figure(
        fig.update_layout(yaxis={"title": "training loss", **LOG}, **_frame()),
        title="Training loss: total (grey), and the part of each head",
        alt="Training loss, total and by head, against the training step",
        height=HEIGHT,
        log_switch=True,
    )


def _loss_terms(run: Run) -> list[str]:
    """The part of each property in the loss."""
    found = []
    for quantity in UNITS:
        fig = go.Figure()
        for position, head in enumerate(run.heads):
            points = [(e, x) for e in run.epochs if (x := e.loss_by_head.get(head, {}).get(quantity))]
            if points:
                fig.add_trace(_curve(points, position, head, f"{quantity} loss", ""))
        if fig.data:
            fig.update_layout(yaxis={"title": f"{quantity} part of the loss", **LOG}, **_frame())
            title = f"The part of {quantity} in the loss, by head"
            found.append(figure(fig, title=title, alt=f"{title}, by step", height=HEIGHT, log_switch=True))
    return found


def _score(run: Run) -> str:
    points = [(e, e.score) for e in run.epochs if e.score is not None]
    if not points:
        return ""
    fig = go.Figure(_line(points, NEUTRAL, "score", ""))
    _mark_best(fig, run)
    fig.update_layout(yaxis={"title": "score", **LOG}, **_frame())
    return figure(
        fig,
        title="Score that chooses the best weights: mean of MAE / spread over heads and properties",
        alt="Validation score against the training step",
        height=HEIGHT,
        log_switch=True,
    )


def _learning_rate(run: Run) -> str:
    points = [(e, e.learning_rate) for e in run.epochs if e.learning_rate is not None]
    fig = go.Figure(_line(points, NEUTRAL, "learning rate", ""))
    fig.update_layout(yaxis={"title": "learning rate", "rangemode": "tozero"}, **_frame())
    return figure(
        fig,
        title="Learning rate",
        alt="Learning rate against the training step",
        height=HEIGHT,
        log_switch=True,
    )


def _times(run: Run) -> str:
    """How long epochs and steps took; empty where the log does not tell."""
    ends = [(0, 0.0), *((e.step, e.seconds) for e in run.epochs)]
    took = [now - before for (_, before), (_, now) in pairwise(ends)]
    steps = [now - before for (before, _), (now, _) in pairwise(ends)]
    if not any(seconds > 0 for seconds in took):
        return ""
    step = median(seconds / count for seconds, count in zip(took, steps) if count > 0)
    batch = run.config.get("training", {}).get("batch_size")
    items = [
        ("Time of an epoch", _seconds(median(took)), f"median of {len(took):,}, each with its validation"),
        ("Time of a step", _seconds(step), "median, with its share of the validation"),
    ]
    if isinstance(batch, int) and step > 0:
        items.append(("Speed", f"{digits(batch / step)} / s", f"training frames, {batch:,} in a step"))
    fig = go.Figure(_line(list(zip(run.epochs, took)), NEUTRAL, "time of the epoch", "s"))
    fig.update_layout(yaxis={"title": "time of an epoch, s", "rangemode": "tozero"}, **_frame())
    title = "Time of each epoch, its validation included"
    drawn = figure(fig, title=title, alt=f"{title}, against the training step", height=HEIGHT)
    return heading("Time") + cards(items) + grid([drawn])


def _seconds(value: float) -> str:
    return f"{digits(value)} s" if value >= 1 else f"{digits(1000 * value)} ms"


def _curve(
    points: Sequence[tuple[Epoch, float]], position: int, head: str, what: str, unit: str, thin: bool = False
) -> go.Scatter:
    """A curve in the look of a head."""
    colour, dash, symbol = look(position)
    trace = _line(points, colour, f"{escape(head)}, {what}", unit)
    trace.legendgroup = head
    trace.line = {"color": colour, "dash": dash, "width": 1 if thin else 2}
    trace.opacity = 0.65 if thin else 1.0
    if not thin:
        every = max(1, len(points) // MARKED)
        sizes = [7 if i % every == 0 or i == len(points) - 1 else 0 for i in range(len(points))]
        trace.mode, trace.marker = "lines+markers", {"symbol": symbol, "size": sizes, "color": colour}
        trace.marker.line = {"width": 0}
    return trace


def _line(points: Sequence[tuple[Epoch, float]], colour: str, name: str, unit: str) -> go.Scatter:
    return go.Scatter(
        x=[e.step for e, _ in points],
        y=[y for _, y in points],
        customdata=[e.epoch for e, _ in points],
        name=name,
        mode="lines" if len(points) > 1 else "markers",
        line={"color": colour, "width": 2},
        marker={"color": colour},
        hovertemplate="%{fullData.name}<br>%{y:.4g} "
        + unit
        + "<br>step %{x:,}, epoch %{customdata}<extra></extra>",
    )


def _mark_best(fig: go.Figure, run: Run) -> None:
    """A vertical line at the best weights."""
    if run.best is not None and run.best.score is not None:
        fig.add_vline(x=run.best.step, line={"color": NEUTRAL, "width": 1, "dash": "dot"})


def _frame() -> dict[str, object]:
    """What all curves have in common."""
    return {"showlegend": False, "hovermode": "closest", "xaxis": {"title": "step", "rangemode": "tozero"}}
