"""How far an error may be off because other frames could have been the test: resampling of frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 1000
FEWEST = 200  # resamples, however many frames there are
AT_ONCE = 2_000_000  # numbers drawn together, which bounds memory
ALL_DRAWN = 20_000_000  # numbers drawn for one interval, which bounds time


class Intervals(NamedTuple):
    """Where MAE and RMSE lie, low and high; NaN with fewer than two frames."""

    mae: tuple[float, float]
    rmse: tuple[float, float]


def bootstrap(sums: NDArray[np.float64], *, seed: int, resamples: int = RESAMPLES) -> Intervals:
    """Percentile intervals by resampling frames: components of one frame err together.

    Args:
        sums: (frames, 3) sums of |d|, d^2 and 1 over the labels of each frame, at least one label each.
        seed: of the resampling.
        resamples: how many; fewer for very many frames, whose intervals are narrow anyway.
    """
    n = len(sums)
    nothing = (np.nan, np.nan)
    if n < 2 or not np.isfinite(sums).all():
        return Intervals(nothing, nothing)
    resamples = min(resamples, max(FEWEST, ALL_DRAWN // n))
    random = np.random.default_rng(seed)
    mae, rmse = np.empty(resamples), np.empty(resamples)
    step = max(1, AT_ONCE // n)
    for first in range(0, resamples, step):
        rows = random.integers(n, size=(min(step, resamples - first), n))
        drawn = slice(first, first + len(rows))
        absolute, squares, count = (sums[:, k][rows].sum(axis=1) for k in range(3))
        mae[drawn], rmse[drawn] = absolute / count, np.sqrt(squares / count)
    return Intervals(_interval(mae), _interval(rmse))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return float(low), float(high)
