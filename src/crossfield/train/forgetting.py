"""What every head could do before a run, and what it can after: the proof that nothing was forgotten.

Errors are of frames that were not trained on: those kept for validation and test. Both models are compared on
the same frames, and the intervals are of resampled frames, paired: the same ones before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from torch import Tensor

from crossfield.data.batch import Batch, GraphDataset
from crossfield.model.derivatives import Prediction, evaluate
from crossfield.model.model import Model
from crossfield.theory.units import GPA_PER_EV_A3, MEV
from crossfield.train.head_data import HeadData, Role
from crossfield.train.metrics import label_spread
from crossfield.train.sections import ForgettingConfig

Quantity = Literal["energy", "forces", "stress"]
QUANTITIES: tuple[Quantity, ...] = ("energy", "forces", "stress")
CONFIDENCE = 0.95
STYLE: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0)}
UNITS = {"energy": ("meV/atom", MEV), "forces": ("meV/Å", MEV), "stress": ("GPa", GPA_PER_EV_A3)}


@dataclass(frozen=True)
class Change:
    """Mean absolute error of one head and property, eV/atom, eV/Å or eV/Å^3."""

    head: str
    role: Role
    quantity: Quantity
    frames: int
    before: float
    after: float
    interval: tuple[float, float]  # of after - before, 95 %
    allowed: float | None  # largest after; None: this head was not there before
    own_answers: bool  # whether labels are the base's answers, so that `before` is zero

    @property
    def worse(self) -> bool:
        """Whether it got worse than is allowed."""
        return self.allowed is not None and self.after > self.allowed


@dataclass(frozen=True)
class Forgetting:
    """The report on all heads."""

    changes: tuple[Change, ...]
    heads: tuple[str, ...]  # that have frames
    matrix: NDArray[np.float64]  # (heads, answers) MAE of forces, eV/Å: frames of one, answers of another
    answers: tuple[str, ...]  # all heads of the model
    tolerance: float

    @property
    def worse(self) -> list[Change]:
        """What got worse than is allowed."""
        return [change for change in self.changes if change.worse]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, eV and Å."""
        return {
            "units": {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å^3"},
            "tolerance": self.tolerance,
            "confidence": CONFIDENCE,
            "worse": [f"{change.head}: {change.quantity}" for change in self.worse],
            "changes": [{**vars(change), "worse": change.worse} for change in self.changes],
            "matrix": {
                "forces": {
                    data: dict(zip(self.answers, row, strict=True))
                    for data, row in zip(self.heads, self.matrix.tolist(), strict=True)
                }
            },
        }


def forgetting(
    before: Model,
    after: Model,
    heads: Sequence[HeadData],
    config: ForgettingConfig,
    *,
    batch_size: int,
    seed: int,
) -> Forgetting:
    """Compare a model before and after training.

    Args:
        before: the model as training began, new heads included.
        after: the model as it is used.
        heads: of both, with their frames; those without frames to compare are left out.
        config: what is allowed.
        batch_size: structures evaluated at once.
        seed: of the resampling.
    """
    changes: list[Change] = []
    compared: list[str] = []
    rows: list[list[float]] = []
    for position, h in enumerate(heads):
        frames = (*h.frames.validation, *h.frames.test)
        if not frames:
            continue
        dataset = GraphDataset(
            frames, [position] * len(frames), after.config.cutoff, after.config.extra_inputs
        )
        errors = [_errors(model, dataset, batch_size) for model in (before, after)]
        spread = label_spread(frames, h.head.E0)
        for k, name in enumerate(QUANTITIES):
            if not errors[0][:, k, 1].any():
                continue
            low, high = _interval(errors[0][:, k], errors[1][:, k], config.resamples, seed)
            was, now = (_mean(e[:, k]) for e in errors)
            size = spread[name] if h.own_answers else was
            changes.append(
                Change(
                    head=h.head.name,
                    role=h.role,
                    quantity=name,
                    frames=int((errors[0][:, k, 1] > 0).sum()),
                    before=was,
                    after=now,
                    interval=(low, high),
                    allowed=None if h.reference is not None else was + config.tolerance * size,
                    own_answers=h.own_answers,
                )
            )
        compared.append(h.head.name)
        rows.append([_forces(after, dataset, answer, batch_size) for answer in range(len(heads))])
    matrix = np.array(rows).reshape(len(compared), len(heads))
    answers = tuple(h.head.name for h in heads)
    return Forgetting(tuple(changes), tuple(compared), matrix, answers, config.tolerance)


def change_table(report: Forgetting) -> Table:
    """The errors of every head before and after, with the interval of their difference."""
    table = Table(title="Before and after: MAE on frames kept aside", **STYLE)
    for column in ("head", "property", "frames", "before", "after", "change, 95 %", "allowed"):
        table.add_column(column, justify="left" if column in ("head", "property") else "right")
    last = ""
    for change in report.changes:
        unit, factor = UNITS[change.quantity]
        low, high = (factor * x for x in change.interval)
        table.add_row(
            change.head if change.head != last else "",
            f"{change.quantity} {unit}",
            str(change.frames),
            "(its own answers)" if change.own_answers else f"{factor * change.before:.3g}",
            f"{factor * change.after:.3g}",
            f"{low:+.3g} to {high:+.3g}",
            "new" if change.allowed is None else f"{factor * change.allowed:.3g}",
            style="red" if change.worse else None,
        )
        last = change.head
    return table


def matrix_table(report: Forgetting) -> Table:
    """Force errors of every head on the frames of every head, after training."""
    table = Table(
        title="Forces, meV/Å: frames of one head, answers of another",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("frames of")
    for name in report.answers:
        table.add_column(name, justify="right")
    for name, row in zip(report.heads, report.matrix, strict=True):
        table.add_row(name, *("-" if not np.isfinite(x) else f"{MEV * x:.3g}" for x in row))
    return table


def _errors(model: Model, dataset: GraphDataset, batch_size: int) -> NDArray[np.float64]:
    """(frames, properties, 2) sum of absolute errors of each frame, and number of labels."""
    found = np.zeros((len(dataset), len(QUANTITIES), 2))
    for first in range(0, len(dataset), batch_size):
        batch = dataset.batch(range(first, min(first + batch_size, len(dataset)))).to(model.device)
        labels = batch.labels
        prediction = evaluate(
            model,
            batch.graph,
            forces=bool(torch.isfinite(labels.forces).any()),
            stress=bool(torch.isfinite(labels.stress).any()),
        )
        part = _of_batch(prediction, batch)
        found[first : first + len(part)] = part
    return found


def _of_batch(prediction: Prediction, batch: Batch) -> NDArray[np.float64]:
    graph, labels = batch.graph, batch.labels
    S = graph.num_structures
    atoms = torch.bincount(graph.structure, minlength=S)
    every = torch.arange(S, device=atoms.device)
    pairs = (
        (prediction.energy / atoms, labels.energy / atoms, every),
        (prediction.forces, labels.forces, graph.structure),
        (prediction.stress, labels.stress, every),
    )
    found = torch.zeros(S, len(QUANTITIES), 2, dtype=torch.float64)
    for k, (predicted, label, structure) in enumerate(pairs):
        if predicted is not None:
            known = torch.isfinite(label)
            size = torch.where(known, (predicted - label).abs(), torch.zeros_like(label))
            found[:, k, 0] = _sum(size, structure, S)
            found[:, k, 1] = _sum(known.double(), structure, S)
    return found.numpy()


def _sum(x: Tensor, structure: Tensor, count: int) -> Tensor:
    rows = x.flatten(1).sum(dim=1) if x.ndim > 1 else x
    return rows.new_zeros(count).index_add(0, structure, rows).cpu()


def _mean(errors: NDArray[np.float64]) -> float:
    """Of (frames, 2): over all labels."""
    return float(errors[:, 0].sum() / errors[:, 1].sum())


def _interval(
    before: NDArray[np.float64], after: NDArray[np.float64], resamples: int, seed: int
) -> tuple[float, float]:
    """Where the difference of the means lies, by bootstrap over frames."""
    random = np.random.default_rng(seed)
    n = len(before)
    differences = np.empty(resamples)
    for i in range(resamples):
        rows = random.integers(n, size=n)
        count = before[rows, 1].sum()
        differences[i] = (after[rows, 0] - before[rows, 0]).sum() / count if count else np.nan
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.nanpercentile(differences, [tail, 100.0 - tail])
    return float(low), float(high)


def _forces(model: Model, dataset: GraphDataset, answer: int, batch_size: int) -> float:
    """MAE of the forces that one head answers on these frames; NaN without force labels."""
    errors = _errors(model, dataset.answered_by(answer), batch_size)[:, 1]
    return _mean(errors) if errors[:, 1].any() else float("nan")
