"""The parity plot as a picture: predicted against reference, one column per head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crossfield.files import replacing
from crossfield.report.parity_pairs import SHOWN, Pairs, pairs_of
from crossfield.train.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_parity(predictions: Predictions, path: Path, split: str = "test") -> None:
    """Draw energies (upper row) and force components (lower row) of every head; write a PNG atomically.

    Args:
        predictions: of a run.
        path: PNG to write; its folder must exist.
        split: whose frames; heads without any are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heads = [head for head in predictions.heads if predictions.chosen(split, head).any()]
    figure = Figure(figsize=(3.1 * max(1, len(heads)), 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, max(1, len(heads)), squeeze=False)
    for column, head in enumerate(heads):
        energy = pairs_of(predictions, head, split, "energy")
        forces = pairs_of(predictions, head, split, "forces")
        _panel(axes[0, column], energy, f"{head}\nenergy − E0, eV/atom", 9.0)
        _panel(axes[1, column], forces, "force components, eV/Å", 3.0)
        axes[1, column].set_xlabel("reference")
    for row in axes:
        row[0].set_ylabel("predicted")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _panel(axis: Axes, pairs: Pairs, title: str, size: float) -> None:
    axis.set_title(title, fontsize=9)
    axis.set_aspect("equal", adjustable="datalim")
    if len(pairs):
        both = np.concatenate([pairs.reference, pairs.predicted])
        ends = [both.min(), both.max()]
        axis.plot(ends, ends, color="0.6", linewidth=0.8, zorder=1)
        axis.scatter(
            pairs.reference, pairs.predicted, s=size, alpha=0.45, color="#1f5fa8", linewidths=0, zorder=2
        )
        shown = SHOWN[pairs.quantity]
        text = f"MAE {shown.factor * pairs.mae:.0f} {shown.error_unit}"
        axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.locator_params(nbins=5)
