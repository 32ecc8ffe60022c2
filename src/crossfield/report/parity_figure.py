"""One parity plot: all points while they are few, their density and the outliers where they are many."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from crossfield.report.figure import figure
from crossfield.report.palette import NEUTRAL
from crossfield.report.parity_pairs import SHOWN, Pairs
from crossfield.theory.units import digits

BINS = 140  # of the density along each axis
OUTLIERS = 150  # largest errors that are drawn as points over a density
BEYOND = 1000  # points that are drawn outside of the density; of more, those with the largest errors
EDGE = 0.0005  # fraction of the numbers that may lie beyond the density at each end
LONGEST = 60  # signs of a structure's name
LEVELS = 255  # of density; 0 is an empty cell
CLEAR = "rgba(128,128,128,0)"
DENSITY = ("#8fa3bd", "#3d7fd0", "#7a6bd6", "#c94f9f", "#e8862e", "#f2c53d")  # few to many

Name = Callable[[int], str]  # of a frame


def parity_figure(
    pairs: Pairs, name: Name, *, title: str, colour: str, most: int, height: int = 380, bins: int = BINS
) -> str:
    """A parity plot as HTML.

    Args:
        pairs: at least one.
        name: names frames.
        title: of the figure; plain text.
        colour: of the points.
        most: points that are drawn one by one; more are drawn as their density.
        height: pixels.
        bins: of the density along each axis.
    """
    shown = SHOWN[pairs.quantity]
    fig = go.Figure()
    ends = _ends(pairs.reference, pairs.predicted)
    room = 0.04 * (ends[1] - ends[0]) or 1.0
    view, caption = (ends[0] - room, ends[1] + room), title
    if len(pairs) <= most:
        fig.add_trace(_points(pairs, name, colour))
    else:
        grid = _grid(pairs, bins)
        fig.add_trace(_density(pairs, grid))
        drawn = pairs.of(_singled_out(pairs, grid))
        fig.add_trace(_points(drawn, name, colour))
        view = grid.low, grid.high
        caption += "; " + _explained(pairs, drawn, grid)
    fig.add_trace(
        go.Scatter(x=ends, y=ends, mode="lines", line={"color": NEUTRAL, "width": 1}, hoverinfo="skip")
    )
    fig.update_layout(
        xaxis={"title": f"reference, {shown.unit}", "range": view},
        yaxis={"title": f"predicted, {shown.unit}", "range": view},
        showlegend=False,
        hovermode="closest",
        margin={"t": 12, "r": 12},
        annotations=[_numbers(pairs)],
    )
    return figure(
        fig,
        title=caption,
        alt=f"{title}: predicted against reference. {', '.join(_said(pairs))}",
        height=height,
    )


def _points(pairs: Pairs, name: Name, colour: str) -> go.Scatter:
    shown = SHOWN[pairs.quantity]
    return go.Scatter(
        x=pairs.reference.astype(np.float32),
        y=pairs.predicted.astype(np.float32),
        text=[_label(pairs, k, name) for k in range(len(pairs))],
        customdata=(shown.factor * pairs.error).astype(np.float32),
        mode="markers",
        marker={"color": colour, "size": 5, "opacity": 0.7},
        hovertemplate=f"%{{text}}<br>reference %{{x:.4g}} {shown.unit}<br>predicted %{{y:.4g}} {shown.unit}"
        f"<br>error %{{customdata:+.3g}} {shown.error_unit}<extra></extra>",
    )


def _label(pairs: Pairs, k: int, name: Name) -> str:
    text, place = name(int(pairs.frame[k])), pairs.place(k)
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return escape(f"{text}, {place}" if place else text)


class Grid(NamedTuple):
    """Square cells from low to high along both axes, where nearly all pairs are."""

    low: float
    high: float
    bins: int

    @property
    def size(self) -> float:
        """Of a cell."""
        return (self.high - self.low) / self.bins

    def cells(self, pairs: Pairs) -> NDArray[np.int64]:
        """(n,) which cell a pair is in, row by row; -1 outside."""
        x, y = (np.floor((values - self.low) / self.size) for values in (pairs.reference, pairs.predicted))
        inside = (x >= 0) & (x < self.bins) & (y >= 0) & (y < self.bins)
        return np.where(inside, y * self.bins + x, -1).astype(np.int64)


def _grid(pairs: Pairs, bins: int) -> Grid:
    """A few pairs far off would make all others one spot: they may lie outside."""
    quantiles = [np.quantile(values, (EDGE, 1 - EDGE)) for values in (pairs.reference, pairs.predicted)]
    low, high = min(q[0] for q in quantiles), max(q[1] for q in quantiles)
    first, last = _ends(pairs.reference, pairs.predicted)
    wider = 0.2 * (high - low) or 0.5 * (last - first) or 1.0
    low, high = max(first, low - wider), min(last, high + wider)
    room = 1e-6 * max(high - low, abs(high), 1e-12)  # for the largest
    return Grid(float(low - room), float(high + room), bins)


def _density(pairs: Pairs, grid: Grid) -> go.Heatmap:
    """How many pairs there are in each cell, on a logarithmic scale."""
    cells, bins = grid.cells(pairs), grid.bins
    counts = np.bincount(cells[cells >= 0], minlength=bins * bins).reshape(bins, bins)
    largest = max(int(counts.max()), 2)

    def level(n: Any) -> Any:
        return 1 + (LEVELS - 1) * np.log(n) / np.log(largest)

    steps = [(1 + (LEVELS - 1) * k / (len(DENSITY) - 1)) / LEVELS for k in range(len(DENSITY))]
    ticks = [10**k for k in range(int(np.log10(largest)) + 1)]
    start = grid.low + grid.size / 2
    return go.Heatmap(
        z=np.where(counts > 0, np.rint(level(np.maximum(counts, 1))), 0).astype(np.uint8),
        x0=start,
        y0=start,
        dx=grid.size,
        dy=grid.size,
        zmin=0,
        zmax=LEVELS,
        colorscale=[[0.0, CLEAR], [0.5 / LEVELS, CLEAR], *zip(steps, DENSITY)],
        colorbar={
            "tickvals": [level(n) for n in ticks],
            "ticktext": [f"{n:,}" for n in ticks],
            "title": {"text": "per cell", "side": "right"},
            "thickness": 8,
            "outlinewidth": 0,
        },
        hoverinfo="skip",
    )


def _singled_out(pairs: Pairs, grid: Grid) -> NDArray[np.int64]:
    """Which pairs are drawn as points over the density: the largest errors, and what lies outside of it."""
    order = np.argsort(-np.abs(pairs.error), kind="stable")
    outside = order[grid.cells(pairs)[order] < 0]
    return np.union1d(order[:OUTLIERS], outside[:BEYOND])


def _explained(pairs: Pairs, drawn: Pairs, grid: Grid) -> str:
    """What is drawn, and what cannot be seen at first."""
    text = f"density, and the {len(drawn):,} points that are furthest off"
    outside, shown = (int((grid.cells(some) < 0).sum()) for some in (pairs, drawn))
    if outside:
        text += f"; {outside:,} lie outside of this view (double-click shows all)"
    if outside > shown:
        text += f", of which {outside - shown:,} are not drawn"
    return text


def _ends(*arrays: NDArray[np.float64]) -> tuple[float, float]:
    return min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)


def _numbers(pairs: Pairs) -> dict[str, object]:
    return {
        "text": "<br>".join(_said(pairs)),
        "align": "left",
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.02,
        "y": 0.98,
        "xanchor": "left",
        "yanchor": "top",
    }


def _said(pairs: Pairs) -> list[str]:
    """The numbers in the panel."""
    shown = SHOWN[pairs.quantity]
    found = [
        f"MAE {digits(shown.factor * pairs.mae)} {shown.error_unit}",
        f"RMSE {digits(shown.factor * pairs.rmse)} {shown.error_unit}",
    ]
    found += [] if np.isnan(pairs.r2) else [f"R² {pairs.r2:.4f}"]
    found.append(f"n = {len(pairs):,}")
    return found + ([f"{pairs.unanswered:,} without an answer"] if pairs.unanswered else [])
