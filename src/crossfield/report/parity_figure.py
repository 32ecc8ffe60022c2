"""One parity plot: all points while they are few, their density and the outliers where they are many."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossfield.report.figure import figure, typed
from crossfield.report.palette import NEUTRAL
from crossfield.report.parity_pairs import SHOWN, Pairs
from crossfield.theory.units import digits

EDGE = 0.0005  # fraction of the numbers that may lie beyond the density at each end
LONGEST = 60  # signs of a structure's name
MARGIN = {"l": 58, "r": 12, "t": 12, "b": 44}
ABOVE = 40  # pixels for the numbers, where no points can be under them
GOOD_FIT = 0.9  # R²: above, differences are in the third and fourth digit
DENSITY = ("#8fa3bd", "#3d7fd0", "#7a6bd6", "#c94f9f", "#e8862e", "#f2c53d")  # few to many

Name = Callable[[int], str]  # of a frame


class Limits(NamedTuple):
    """How much one figure may have."""

    points: int  # drawn one by one; more are drawn as their density
    outliers: int  # largest errors that are drawn as points over a density
    beyond: int  # points that are drawn outside of the density; of more, those with the largest errors
    bins: int  # of the density along each axis

    def shared(self, figures: int, enough: int) -> Limits:
        """Less in each of many figures, so that all together have no more than `enough` of them would.

        Args:
            figures: how many there are.
            enough: how many may have all.
        """
        share = min(1.0, enough / max(1, figures))
        return Limits(
            points=max(50, int(share * self.points)),
            outliers=max(10, int(share * self.outliers)),
            beyond=max(20, int(share * self.beyond)),
            bins=max(30, int(share**0.5 * self.bins)),
        )


LIMITS = Limits(points=2500, outliers=150, beyond=1000, bins=140)


def parity_figure(
    pairs: Pairs, name: Name, *, title: str, colour: str, limits: Limits = LIMITS, height: int = 380
) -> str:
    """A parity plot as HTML.

    Args:
        pairs: at least one.
        name: names frames.
        title: of the figure; plain text.
        colour: of the points.
        limits: of what is drawn.
        height: pixels.
    """
    shown = SHOWN[pairs.quantity]
    ends = _ends(pairs.reference, pairs.predicted)
    room = 0.04 * (ends[1] - ends[0]) or 1.0
    view, caption, data = (ends[0] - room, ends[1] + room), title, []
    if len(pairs) <= limits.points:
        data.append(_points(pairs, name, colour))
    else:
        grid = _grid(pairs, limits.bins)
        drawn = pairs.of(_singled_out(pairs, grid, limits))
        data += [_density(pairs, grid), _points(drawn, name, colour)]
        view = grid.low, grid.high
        caption += "; " + _explained(pairs, drawn, grid)
    diagonal = {"x": ends, "y": ends, "mode": "lines", "line": {"color": NEUTRAL, "width": 1}}
    data.append({"type": "scatter", **diagonal, "hoverinfo": "skip"})
    layout = {
        "xaxis": {"title": {"text": f"reference, {shown.unit}"}, "range": view},
        "yaxis": {"title": {"text": f"predicted, {shown.unit}"}, "range": view},
        "showlegend": False,
        "hovermode": "closest",
        "hoverdistance": 6,  # nearer than usual: what is beside a point is for the density to tell
        "margin": MARGIN | {"t": ABOVE},
        "annotations": [_numbers(pairs)],
    }
    return figure(
        {"data": data, "layout": layout},
        title=caption,
        alt=f"{title}: predicted against reference. {', '.join(_said(pairs))}",
        height=height,
    )


def _points(pairs: Pairs, name: Name, colour: str) -> dict[str, object]:
    shown = SHOWN[pairs.quantity]
    return {
        "type": "scatter",
        "x": typed(pairs.reference),
        "y": typed(pairs.predicted),
        "text": [_label(pairs, k, name) for k in range(len(pairs))],
        "customdata": typed(shown.factor * pairs.error),
        "mode": "markers",
        "marker": {"color": colour, "size": 5, "opacity": 0.7},
        "hovertemplate": f"%{{text}}<br>reference %{{x:.4g}} {shown.unit}<br>predicted %{{y:.4g}} "
        f"{shown.unit}<br>error %{{customdata:+.3g}} {shown.error_unit}<extra></extra>",
    }


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


def _density(pairs: Pairs, grid: Grid) -> dict[str, object]:
    """How many pairs there are in each cell, in logarithmic colours; cells without any are not written."""
    cells, counts = np.unique(grid.cells(pairs), return_counts=True)
    cells, counts = cells[cells >= 0], counts[cells >= 0]
    largest = max(int(counts.max(initial=0)), 2)
    ticks = range(int(np.log10(largest)) + 1)
    unit, start, half = SHOWN[pairs.quantity].unit, grid.low + grid.size / 2, f"{grid.size / 2:.2g}"
    return {
        "type": "heatmap",
        "filled": {  # the page makes z and customdata of it
            "bins": grid.bins,
            "steps": np.diff(cells, prepend=0).tolist(),  # from one cell with pairs to the next
            "counts": counts.tolist(),
        },
        "x0": start,
        "y0": start,
        "dx": grid.size,
        "dy": grid.size,
        "zmin": 0,
        "zmax": float(np.log10(largest)),
        "colorscale": [[k / (len(DENSITY) - 1), colour] for k, colour in enumerate(DENSITY)],
        "colorbar": {
            "tickvals": list(ticks),
            "ticktext": [f"{10**k:,}" for k in ticks],
            "title": {"text": "per cell", "side": "right"},
            "thickness": 8,
            "outlinewidth": 0,
        },
        "hoverongaps": False,
        "hovertemplate": f"%{{customdata:,}} labels<br>reference %{{x:.4g}} ± {half} {unit}"
        f"<br>predicted %{{y:.4g}} ± {half} {unit}<extra></extra>",
    }


def _singled_out(pairs: Pairs, grid: Grid, limits: Limits) -> NDArray[np.int64]:
    """Which pairs are drawn as points over the density: the largest errors, and what lies outside of it."""
    order = np.argsort(-np.abs(pairs.error), kind="stable")
    outside = order[grid.cells(pairs)[order] < 0]
    return np.union1d(order[: limits.outliers], outside[: limits.beyond])


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
    errors, others = _said(pairs)[:2], _said(pairs)[2:]
    return {
        "text": f"{', '.join(errors)}<br>{', '.join(others)}",
        "align": "left",
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
    }


def _said(pairs: Pairs) -> list[str]:
    """The numbers above the panel."""
    shown = SHOWN[pairs.quantity]
    found = [
        f"MAE {digits(shown.factor * pairs.mae)} {shown.error_unit}",
        f"RMSE {digits(shown.factor * pairs.rmse)} {shown.error_unit}",
    ]
    found += [] if np.isnan(pairs.r2) else [f"R² {pairs.r2:.{4 if pairs.r2 > GOOD_FIT else 2}f}"]
    found.append(f"n = {len(pairs):,}")
    return found + ([f"{pairs.unanswered:,} without an answer"] if pairs.unanswered else [])
