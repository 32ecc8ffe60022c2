"""What every head could do before a run, and what it can after: the proof that nothing was forgotten.

Errors are of frames that were not trained on: those kept for validation and test. Both models are compared
on the same frames, and the intervals are of resampled frames, paired: the same ones before and after. Frames
with labels, which tell errors, and frames with the base's own answers, which tell drift, are kept apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table

from crossfield.data.batch import GraphDataset
from crossfield.data.frame import Frame
from crossfield.heads import keep_heads, only_elements
from crossfield.model.fingerprint import fingerprint
from crossfield.model.model import Model
from crossfield.theory import Head
from crossfield.train.crossed import MOST, Crossed, crossed
from crossfield.train.head_data import HeadData, Role
from crossfield.train.metrics import frame_errors, label_spread
from crossfield.train.pool import Answer
from crossfield.train.sections import ForgettingConfig
from crossfield.zoo.card import Quantity
from crossfield.zoo.card_parts import QUANTITIES, UNITS

CONFIDENCE = 0.95
STYLE: dict[str, Any] = {
    "box": box.SIMPLE_HEAD,
    "padding": (0, 1, 0, 0),
    "caption_justify": "left",
}


@dataclass(frozen=True)
class Change:
    """Mean absolute error of one head and property, eV/atom, eV/Å or eV/Å^3."""

    head: str
    role: Role
    quantity: Quantity
    frames: int
    before: float
    after: float
    interval: tuple[float, float]  # of after - before, 95 %; NaN where the model answers with NaN
    allowed: float | None  # largest after; None: this head was not there before
    own_answers: bool  # whether labels are the base's answers, so that `before` is zero and `after` is drift

    @property
    def worse(self) -> bool:
        """Whether it got worse than is allowed; NaN is."""
        return self.allowed is not None and not self.after <= self.allowed


@dataclass(frozen=True)
class Forgetting:
    """The report on all heads."""

    changes: tuple[Change, ...]
    matrix: tuple[Crossed, ...]
    answers: tuple[str, ...]  # all heads of the model
    unchanged: tuple[str, ...]  # without frames to compare, and the same as before, bit for bit
    not_compared: tuple[str, ...]  # without frames to compare, and not the same
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
            "worse": [_named(change) for change in self.worse],
            "unchanged": list(self.unchanged),
            "not_compared": list(self.not_compared),
            "changes": [{**vars(change), "worse": change.worse} for change in self.changes],
            "matrix": [
                {
                    "frames_of": row.head,
                    "own_answers": row.own_answers,
                    "quantity": row.quantity,
                    "frames": row.frames,
                    "before": dict(zip(self.answers, row.before, strict=True)),
                    "after": dict(zip(self.answers, row.after, strict=True)),
                }
                for row in self.matrix
            ],
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
        heads: of both, with their frames.
        config: what is allowed.
        batch_size: structures evaluated at once.
        seed: of the resampling.
    """
    changes: list[Change] = []
    matrix: list[Crossed] = []
    unchanged: list[str] = []
    not_compared: list[str] = []
    for position, h in enumerate(heads):
        aside = (*h.frames.validation, *h.frames.test)
        if not aside:
            (unchanged if _same(before, after, h.head) else not_compared).append(h.head.name)
        for own_answers in (False, True):
            frames = [frame for frame in aside if isinstance(frame, Answer) == own_answers]
            if frames:
                dataset = GraphDataset(
                    frames, [position] * len(frames), after.config.cutoff, after.config.extra_inputs
                )
                errors = [frame_errors(model, dataset, batch_size) for model in (before, after)]
                changes += _changes(h, frames, own_answers, errors, config, seed)
                matrix += crossed(h.head.name, dataset, (before, after), batch_size, own_answers=own_answers)
    return Forgetting(
        changes=tuple(changes),
        matrix=tuple(matrix),
        answers=tuple(h.head.name for h in heads),
        unchanged=tuple(unchanged),
        not_compared=tuple(not_compared),
        tolerance=config.tolerance,
    )


def change_table(report: Forgetting) -> Table:
    """The errors of every head before and after, with the interval of their difference."""
    table = Table(title="Before and after: MAE on frames kept aside", **STYLE)
    for column in ("head", "property", "frames", "before", "after", "change, 95 %", "allowed"):
        table.add_column(column, justify="left" if column in ("head", "property") else "right")
    last = ("", False)
    for change in report.changes:
        unit, factor = UNITS[change.quantity]
        low, high = (factor * x for x in change.interval)
        block = (change.head, change.own_answers)
        table.add_row(
            _frames_of(*block) if block != last else "",
            f"{change.quantity} {unit}",
            str(change.frames),
            "-" if change.own_answers else f"{factor * change.before:.3g}",
            f"{factor * change.after:.3g}",
            f"{low:+.3g} to {high:+.3g}",
            "new" if change.allowed is None else f"{factor * change.allowed:.3g}",
            style="red" if change.worse else None,
        )
        last = block
    for name in report.unchanged:
        table.add_row(name, "unchanged, bit for bit", "0", *["-"] * 4)
    for name in report.not_compared:
        table.add_row(name, "not compared: no frames", "0", *["-"] * 4, style="yellow")
    if any(change.own_answers for change in report.changes):
        table.caption = (
            "* labels are the base's own answers: the number is how far the head has drifted from them, not "
            f"its error, and {100 * report.tolerance:g} % of the spread of the labels are allowed; frames "
            "with labels (replay.NAME.validation_data) tell more"
        )
    return table


def matrix_table(report: Forgetting) -> Table:
    """Errors of every head's answers on the frames of every head, before and after."""
    table = Table(title="Frames of one head, answers of another: MAE before > after", **STYLE)
    if any(row.frames == MOST for row in report.matrix):
        table.caption = f"of at most {MOST} frames of each head"
    table.add_column("frames of")
    table.add_column("property")
    for name in report.answers:
        table.add_column(name, justify="right")
    last = ("", False)
    for row in report.matrix:
        unit, factor = UNITS[row.quantity]
        pairs = zip(row.before, row.after, strict=True)
        cells = [f"{_digits(factor * was)} > {_digits(factor * now)}" for was, now in pairs]
        block = (row.head, row.own_answers)
        table.add_row(_frames_of(*block) if block != last else "", f"{row.quantity} {unit}", *cells)
        last = block
    return table


def _changes(
    h: HeadData,
    frames: Sequence[Frame],
    own_answers: bool,
    errors: Sequence[NDArray[np.float64]],
    config: ForgettingConfig,
    seed: int,
) -> list[Change]:
    """By property; errors before and after are those of `frame_errors`."""
    found = []
    spread = label_spread(frames, h.head.E0)
    for k, name in enumerate(QUANTITIES):
        old, new = (e[:, k][:, [0, 2]] for e in errors)
        if not old[:, 1].any():
            continue
        was = _mean(old)
        size = spread[name] if own_answers else was
        found.append(
            Change(
                head=h.head.name,
                role=h.role,
                quantity=name,
                frames=int((old[:, 1] > 0).sum()),
                before=was,
                after=_mean(new),
                interval=_interval(old, new, config.resamples, seed),
                allowed=None if h.reference is not None else was + config.tolerance * size,
                own_answers=own_answers,
            )
        )
    return found


def _same(before: Model, after: Model, head: Head) -> bool:
    """Whether a head answers as it did for its elements: all weights that this depends on are the same."""
    one, other = (
        fingerprint(only_elements(keep_heads(model, [head.name]), sorted(head.E0)))
        for model in (before, after)
    )
    return one == other


def _mean(errors: NDArray[np.float64]) -> float:
    """Of (frames, 2): over all labels."""
    return float(errors[:, 0].sum() / errors[:, 1].sum())


def _interval(
    before: NDArray[np.float64], after: NDArray[np.float64], resamples: int, seed: int
) -> tuple[float, float]:
    """Where the difference of the means lies, by bootstrap over frames."""
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        return float("nan"), float("nan")
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


def _named(change: Change) -> str:
    return f"{change.head}: {change.quantity}" + (
        " (drift from its own answers)" if change.own_answers else ""
    )


def _frames_of(head: str, own_answers: bool) -> str:
    return f"{head} *" if own_answers else head


def _digits(x: float) -> str:
    return f"{x:.3g}" if np.isfinite(x) else "-"
