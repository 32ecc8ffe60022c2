"""The errors tab: every head, property and split with intervals, and the frames that are furthest off."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from ase.formula import Formula
from numpy.typing import NDArray

from crossfield.report.bootstrap import CONFIDENCE, Intervals, bootstrap
from crossfield.report.parity_pairs import SHOWN, Key, Pairs, all_pairs
from crossfield.report.parity_section import MISSING, SPLITS, rounded
from crossfield.report.pieces import heading, notes, paragraph
from crossfield.report.section import Section
from crossfield.report.table import Cell, number, table
from crossfield.theory.units import digits
from crossfield.train.metrics import constant_energy
from crossfield.train.predictions import Predictions
from crossfield.zoo.card import Quantity
from crossfield.zoo.card_parts import QUANTITIES

WORST = 10
CONSTANT = (
    "constant (mean of the training set)"  # the guess that errors stand against, by this name everywhere
)


@dataclass(frozen=True)
class Row:
    """Errors of one head, split and property; in units of their own (`SHOWN`, `unit`)."""

    head: str
    split: str
    quantity: Quantity
    frames: int  # that have labels
    labels: int
    mae: float
    rmse: float
    intervals: Intervals
    baseline: float  # MAE of a guess that sees no structure; NaN where there is nothing to guess from
    unanswered: int


def errors_section(predictions: Predictions | None, *, seed: int = 0) -> Section:
    """Errors with intervals, and the worst frames; None: a run that has no predictions, or none yet.

    Args:
        predictions: of a run.
        seed: of the resampling.
    """
    if predictions is None or not len(predictions):
        return Section("errors", "Errors", paragraph(MISSING))
    pairs = all_pairs(predictions)
    rows = error_rows(predictions, pairs, seed=seed)
    html = paragraph(
        f"MAE and RMSE with {100 * CONFIDENCE:g} % intervals in brackets, by resampling frames (not "
        f"components, which err together). The {CONSTANT} guesses the mean training energy "
        "per atom after E0, no forces and no stress: its MAE is the spread that there is to explain."
    )
    html += notes(
        [
            ("bad", f"{row.unanswered:,} {row.split} labels of {row.head} ({row.quantity}) have no answer.")
            for row in rows
            if row.unanswered
        ]
    )
    html += _table(rows) + heading("The frames that are furthest off")
    html += paragraph(
        "Those without an answer, and then by the largest ratio of a frame's error to the mean error of its "
        "head, over all properties: frames of the test; where there are none, of validation, else of "
        "training. Wrong labels often stand here."
    )
    html += "".join(_worst(predictions, pairs, head) for head in dict.fromkeys(row.head for row in rows))
    return Section("errors", "Errors", html)


def error_rows(predictions: Predictions, pairs: Mapping[Key, Pairs], *, seed: int) -> list[Row]:
    """All that the table shows, by head, property and split."""
    found = []
    for head in predictions.heads:
        guess = _constant(predictions, pairs.get((head, "train", "energy")))
        for quantity in QUANTITIES:
            for split in SPLITS:
                own = pairs.get((head, split, quantity))
                if own is not None:
                    _, sums = frame_sums(own)
                    off = own.reference - (guess if quantity == "energy" else 0.0)
                    found.append(
                        Row(
                            head=head,
                            split=split,
                            quantity=quantity,
                            frames=len(sums),
                            labels=len(own),
                            mae=own.mae,
                            rmse=own.rmse,
                            intervals=bootstrap(sums, seed=seed),
                            baseline=float(np.abs(off).mean()) if len(own) else np.nan,
                            unanswered=own.unanswered,
                        )
                    )
    return found


def frame_sums(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Frames that have pairs, and (frames, 3) sums of |d|, d^2 and 1 over those of each."""
    d, count = pairs.error, np.bincount(pairs.frame)
    frames = np.flatnonzero(count)
    terms = (np.bincount(pairs.frame, weights=term)[frames] for term in (np.abs(d), d * d))
    return frames.astype(np.int64), np.stack([*terms, count[frames]], axis=1)


def _constant(predictions: Predictions, train: Pairs | None) -> float:
    """The energy that sees no structure, eV/atom; NaN where there is nothing to guess it from."""
    return np.nan if train is None else constant_energy(train.reference, predictions.atoms[train.frame])


def _table(rows: Sequence[Row]) -> str:
    shown: list[Sequence[str | Cell]] = [
        [
            row.head,
            f"{row.quantity}, {SHOWN[row.quantity].error_unit}",
            row.split,
            _between(row.mae, row.intervals.mae, SHOWN[row.quantity].factor),
            _between(row.rmse, row.intervals.rmse, SHOWN[row.quantity].factor),
            number(row.frames, "{:,}"),
            number(row.labels, "{:,}"),
            rounded(SHOWN[row.quantity].factor * row.baseline),
            number(100 * row.mae / row.baseline if row.baseline else np.nan, "{:.1f} %"),
        ]
        for row in rows
    ]
    interval = f"[{100 * CONFIDENCE:g} %]"
    head = (
        "head",
        "property",
        "split",
        f"MAE {interval}",
        f"RMSE {interval}",
        "frames",
        "labels",
        "MAE of the constant",
        "MAE / that",
    )
    return table(head, shown, caption="Errors of the best weights", heads=2)


def _between(value: float, interval: tuple[float, float], factor: float) -> Cell:
    low, high = (factor * end for end in interval)
    if np.isnan(value):
        return number(value)
    if np.isnan(low):
        return number(factor * value, digits(factor * value), hint="one frame has no interval")
    return Cell(f"{digits(factor * value)} [{digits(low)}, {digits(high)}]", factor * value)


def _worst(predictions: Predictions, pairs: Mapping[Key, Pairs], head: str) -> str:
    split = next(s for s in SPLITS if any((head, s, quantity) in pairs for quantity in QUANTITIES))
    labelled = [pairs[head, split, quantity] for quantity in QUANTITIES if (head, split, quantity) in pairs]
    ranked = worst_frames(labelled)
    columns = ["frame", "formula", "times the mean error"]
    columns += [f"{quantity}, {SHOWN[quantity].error_unit}" for quantity in QUANTITIES]
    rows: list[Sequence[str | Cell]] = []
    for frame, ratio, errors in ranked:
        own = [
            _silent() if np.isnan(errors.get(quantity, 0.0)) else rounded(errors.get(quantity, np.nan))
            for quantity in QUANTITIES
        ]
        times = _silent() if np.isinf(ratio) else rounded(ratio)
        rows.append([predictions.name(frame), _formula(predictions, frame), times, *own])
    caption = (
        f"{head}, {split}: the {len(rows)} worst frames, with the error of the energy per atom and the mean "
        "absolute error of forces and stress"
    )
    return table(columns, rows, caption=caption)


def _silent() -> Cell:
    """In place of an error: worse than any."""
    return Cell("no answer", sys.float_info.max, "bad")


def worst_frames(
    by_quantity: Sequence[Pairs], count: int = WORST
) -> list[tuple[int, float, dict[Quantity, float]]]:
    """The frames that are furthest off, worst first: those with a label that has no answer, and then others.

    Args:
        by_quantity: pairs of one head and split, of each property that has labels.
        count: how many at most.

    Returns:
        Frame, the largest ratio of its error to the mean absolute error of the head, and its errors: of the
        energy per atom with its sign, mean absolute ones of forces and stress, in the units of `SHOWN`. The
        ratio is infinite where there is no answer, and that error NaN.
    """
    ratios: dict[int, float] = {}
    errors: dict[int, dict[Quantity, float]] = {}
    for pairs in by_quantity:
        quantity, (frames, sums) = pairs.quantity, frame_sums(pairs)
        own, mean = sums[:, 0] / sums[:, 2], pairs.mae
        signed = pairs.error if quantity == "energy" else own
        for frame, off, value in zip(frames.tolist(), own.tolist(), signed.tolist()):
            ratios[frame] = max(ratios.get(frame, 0.0), off / mean if mean else 0.0)
            errors.setdefault(frame, {})[quantity] = SHOWN[quantity].factor * value
        for frame in np.unique(pairs.missing).tolist():
            ratios[frame] = np.inf
            errors.setdefault(frame, {})[quantity] = np.nan
    worst = sorted(ratios, key=lambda frame: -ratios[frame])[:count]
    return [(frame, ratios[frame], errors[frame]) for frame in worst]


def _formula(predictions: Predictions, frame: int) -> str:
    last = int(predictions.atoms[: frame + 1].sum())
    Z = predictions.Z[last - int(predictions.atoms[frame]) : last]
    return str(Formula.from_list([chemical_symbols[z] for z in Z]).format("hill"))
