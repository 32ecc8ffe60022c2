"""Heads whose training and validation errors part: over-fitting is said aloud."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossfield.data.batch import GraphDataset
from crossfield.train.metrics import Metrics, Score

FRAMES = 32  # of each head's training set that are looked at
RISE = 1.1  # of the validation error over its best that counts
PATIENCE = 3  # validations in a row


def watched(dataset: GraphDataset, heads: int, seed: int) -> GraphDataset:
    """A few training frames of every head, the same ones all through the run; single atoms are left out.

    Args:
        dataset: all training frames.
        heads: number of heads.
        seed: of the choice.
    """
    of_head = np.asarray(dataset.heads)
    size = np.array([frame.num_atoms for frame in dataset.frames])
    chosen: list[int] = []
    for h in range(heads):
        members = np.flatnonzero((of_head == h) & (size > 1))
        order = np.random.default_rng([seed, h]).permutation(members)
        chosen += sorted(order[:FRAMES].tolist())
    return dataset.subset(chosen)


class Watch:
    """Compares errors of training and validation frames, head by head.

    Args:
        score: what makes one number of the errors of a head.
        state: best validation error, training error at that time, validations since then that were worse by
            10 % while the training error fell, and whether it was said; by head. Changes as it goes.
    """

    def __init__(self, score: Score, state: dict[str, list[float]]) -> None:
        self._score, self._state = score, state

    def compare(self, train: Metrics, validation: Metrics) -> list[str]:
        """Warnings after a validation, each given once."""
        trained = {h.head: self._score(Metrics((h,))) for h in train.heads}
        said = []
        for h in validation.heads:
            now, then = self._score(Metrics((h,))), trained.get(h.head, math.nan)
            if not (math.isfinite(now) and math.isfinite(then)):
                continue
            best, train_then, worse, told = self._state.setdefault(h.head, [now, then, 0.0, 0.0])
            if now <= best:
                self._state[h.head] = [now, then, 0.0, told]
                continue
            worse = worse + 1 if now > RISE * best and then < train_then else 0.0
            if worse >= PATIENCE and not told:
                told = 1.0
                said.append(
                    f"warning: head {h.head} is being over-fitted: its validation error has risen by "
                    f"{100 * (now / best - 1):.0f} % since its best, while that of its training frames "
                    f"fell by {100 * (1 - then / train_then):.0f} %. The best weights of all heads together "
                    "are kept; more frames, training.early_stop or adapt.kind=lora help"
                )
            self._state[h.head] = [best, train_then, worse, told]
        return said


def loss_by_head(sums: Sequence[Sequence[float]], steps: int, heads: Sequence[str]) -> Mapping[str, Any]:
    """Mean loss of each head by property, for the log; heads without any are left out.

    Args:
        sums: (heads, 3) over the steps.
        steps: their number.
        heads: names.
    """
    return {
        name: dict(zip(("energy", "forces", "stress"), (x / max(steps, 1) for x in row), strict=True))
        for name, row in zip(heads, sums, strict=True)
        if any(row)
    }
