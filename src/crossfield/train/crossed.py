"""What heads say of each other's frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from crossfield.data.batch import GraphDataset
from crossfield.model.model import Model
from crossfield.train.metrics import PROPERTIES, frame_errors

MOST = 100  # frames of a head for which all others are asked
Derivative = Literal["forces", "stress"]  # energies are on another scale for every head
DERIVATIVES: tuple[Derivative, ...] = ("forces", "stress")


@dataclass(frozen=True)
class Crossed:
    """MAE of the answers of all heads of a model on frames of one head, eV/Å or eV/Å^3."""

    head: str  # whose frames these are
    own_answers: bool  # whether their labels are the base's answers
    quantity: Derivative
    frames: int
    before: tuple[float, ...]  # by head that answers
    after: tuple[float, ...]


def crossed(
    head: str,
    dataset: GraphDataset,
    models: tuple[Model, Model],
    batch_size: int,
    *,
    own_answers: bool,
) -> list[Crossed]:
    """What all heads say of frames of one.

    Args:
        head: whose frames these are.
        dataset: the frames; of many, some at equal distances are taken.
        models: before and after.
        batch_size: structures evaluated at once.
        own_answers: whether labels are the base's answers.
    """
    some = dataset.subset(_few(len(dataset)))
    sums = [
        np.array([frame_errors(m, some.answered_by(i), batch_size).sum(axis=0) for i in range(len(m.heads))])
        for m in models
    ]  # (heads, properties, 3) each
    found = []
    for name in DERIVATIVES:
        k = PROPERTIES.index(name)
        if sums[0][:, k, 2].all():
            before, after = (tuple((s[:, k, 0] / s[:, k, 2]).tolist()) for s in sums)
            found.append(Crossed(head, own_answers, name, len(some), before, after))
    return found


def _few(count: int) -> Sequence[int]:
    """At most `MOST` positions, from the first to the last."""
    return [round(x) for x in np.linspace(0, count - 1, min(MOST, count)).tolist()]
