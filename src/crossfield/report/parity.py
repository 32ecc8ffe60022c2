"""Parity plots: predicted against reference, one column per head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossfield.data.batch import GraphDataset
from crossfield.files import replacing
from crossfield.model import Model, evaluate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Pairs:
    """Reference and predicted values of one head; energies are per atom, relative to E0."""

    energy: NDArray[np.float64]  # (F, 2) eV/atom
    forces: NDArray[np.float64]  # (components, 2) eV/Å


def parity_pairs(model: Model, dataset: GraphDataset, batch_size: int = 32) -> dict[str, Pairs]:
    """Reference and prediction for every head with frames in the data set."""
    energy: dict[int, list[NDArray[np.float64]]] = {}
    forces: dict[int, list[NDArray[np.float64]]] = {}
    for first in range(0, len(dataset), batch_size):
        batch = dataset.batch(range(first, min(first + batch_size, len(dataset)))).to(model.device)
        prediction = evaluate(model, batch.graph, stress=False)
        structure = batch.graph.structure.cpu().numpy()
        atoms = np.bincount(structure, minlength=batch.graph.num_structures)
        heads = batch.graph.head.cpu().numpy()
        E0 = np.array([_sum_E0(model, f.Z, h) for f, h in zip(dataset.frames[first:], heads, strict=False)])
        e = np.stack([batch.labels.energy.cpu().numpy(), prediction.energy.cpu().numpy()], axis=1)
        e = (e - E0[:, None]) / atoms[:, None]
        assert prediction.forces is not None
        f = np.stack([batch.labels.forces.cpu().numpy(), prediction.forces.cpu().numpy()], axis=2)
        for head in np.unique(heads):
            energy.setdefault(head, []).append(e[heads == head])
            forces.setdefault(head, []).append(f[heads[structure] == head].reshape(-1, 2))
    return {
        model.heads[h].name: Pairs(_labelled(np.concatenate(energy[h])), _labelled(np.concatenate(forces[h])))
        for h in sorted(energy)
    }


def plot_parity(pairs: Mapping[str, Pairs], path: Path) -> None:
    """Draw energies (upper row) and force components (lower row) of every head; write a PNG atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.1 * len(pairs), 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(pairs), squeeze=False)
    for column, (head, values) in enumerate(pairs.items()):
        _panel(axes[0, column], values.energy, f"{head}\nenergy − E0, eV/atom", 1000.0, "meV/atom", 9.0)
        _panel(axes[1, column], values.forces, "force components, eV/Å", 1000.0, "meV/Å", 3.0)
        axes[1, column].set_xlabel("reference")
    for row in axes:
        row[0].set_ylabel("predicted")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _panel(axis: Axes, pairs: NDArray[np.float64], title: str, factor: float, unit: str, size: float) -> None:
    axis.set_title(title, fontsize=9)
    axis.set_aspect("equal", adjustable="datalim")
    if len(pairs):
        ends = [pairs.min(), pairs.max()]
        axis.plot(ends, ends, color="0.6", linewidth=0.8, zorder=1)
        axis.scatter(pairs[:, 0], pairs[:, 1], s=size, alpha=0.45, color="#1f5fa8", linewidths=0, zorder=2)
        mae = factor * np.abs(pairs[:, 1] - pairs[:, 0]).mean()
        axis.text(0.04, 0.96, f"MAE {mae:.0f} {unit}", transform=axis.transAxes, va="top", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.locator_params(nbins=5)


def _labelled(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    return pairs[np.isfinite(pairs).all(axis=1)]


def _sum_E0(model: Model, Z: NDArray[np.int64], head: int) -> float:
    return sum(model.heads[head].E0[int(z)] for z in Z)
