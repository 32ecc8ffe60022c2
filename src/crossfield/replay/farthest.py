"""Farthest-point sampling: each point is the one that is farthest from those chosen before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from crossfield.errors import InputError

POOL = 1024  # candidates, at least, that are followed one point at a time
POOL_BYTES = 1 << 21  # of their features, and more of them if these are few: what a core's cache holds
ROWS = 8192  # of a block of all points
COLUMNS = 512  # chosen points that a block is compared with at once

Points = NDArray[np.floating]


def farthest_points(
    points: Points, count: int, *, start: int = 0, advance: Callable[[int], None] | None = None
) -> NDArray[np.int64]:
    """Choose points one after the other, each with the largest distance to the nearest one chosen so far.

    The result is that of the plain algorithm, which after each choice computes the distance of all points
    from it. Here that is done for the few candidates that are farthest away, and for all points only when
    these are used up: until then, what is known of the others is an upper bound, and below the best
    candidate. All points are then compared with all that was chosen meanwhile in one product of matrices.
    Memory beyond the points themselves is some tens of MB, and a few numbers per point.

    Args:
        points: (n, D) features; distances are Euclidean, in float64.
        count: how many to choose; all of them if there are not so many.
        start: row of the first one.
        advance: is told how many more have been chosen.

    Returns:
        (min(count, n),) rows in the order of choice. Rows that equal a chosen one come after all others.

    Raises:
        InputError: NaN or infinity, not a table of numbers, or a start outside of it.
    """
    points = np.asarray(points)
    _check(points, count, start)
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    distinct, repeated = _without_repeats(points, start)
    table = points if not len(repeated) else points[distinct]
    first = int(np.flatnonzero(distinct == start)[0])
    chosen = _greedy(table, min(count, len(distinct)), first, advance or (lambda step: None))
    return np.concatenate([distinct[chosen], repeated])[:count]


def _check(points: Points, count: int, start: int) -> None:
    if points.ndim != 2 or not np.issubdtype(points.dtype, np.floating):
        raise InputError(f"descriptors must be a table of real numbers, not {points.dtype} of {points.shape}")
    if count < 0:
        raise InputError(f"the number of points to choose must be at least 0, not {count}")
    if count and not 0 <= start < len(points):
        raise InputError(f"the first point {start} is none of the {len(points)}")
    for begin in range(0, len(points), ROWS):
        finite = np.isfinite(points[begin : begin + ROWS]).all(axis=1)
        if not finite.all():
            row = begin + int(np.argmin(finite))
            raise InputError(f"the descriptors of structure {row} contain NaN or infinity")


def _without_repeats(points: Points, start: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that differ from each other, ascending, and the rest, each of which equals one of them.

    The distance to an equal row comes out as round-off, not as zero, and might be chosen for it.
    """
    seen = {_key(points[start])}
    distinct: list[int] = [start]
    repeated: list[int] = []
    for row in range(len(points)):
        if row == start:
            continue
        key = _key(points[row])
        (repeated if key in seen else distinct).append(row)
        seen.add(key)
    return np.array(sorted(distinct), dtype=np.int64), np.array(repeated, dtype=np.int64)


def _key(row: Points) -> bytes:
    return hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest()  # -0.0 equals 0.0


def _greedy(points: Points, count: int, start: int, advance: Callable[[int], None]) -> NDArray[np.int64]:
    centre = points.mean(axis=0, dtype=np.float64)  # fewer digits are lost in distances from there
    nearest = np.full(len(points), np.inf)  # squared distance to the nearest one chosen, or a bound of it
    chosen, fresh = [start], [start]
    advance(1)
    while len(chosen) < count:
        _update(points, centre, fresh, nearest)
        nearest[fresh] = -1.0  # never again
        fresh = _from_pool(points, centre, nearest, count - len(chosen))
        chosen += fresh
        advance(len(fresh))
    return np.array(chosen, dtype=np.int64)


def _update(points: Points, centre: Points, fresh: list[int], nearest: NDArray[np.float64]) -> None:
    """Take points into account that have been chosen since the last time."""
    for left in range(0, len(fresh), COLUMNS):
        new = points[fresh[left : left + COLUMNS]] - centre
        square = np.einsum("kd,kd->k", new, new)
        for begin in range(0, len(points), ROWS):
            block = points[begin : begin + ROWS] - centre
            distance = block @ new.T  # (rows, columns)
            distance *= -2.0
            distance += square
            closest = distance.min(axis=1) + np.einsum("kd,kd->k", block, block)
            part = nearest[begin : begin + ROWS]
            np.minimum(part, np.maximum(closest, 0.0), out=part)


def _from_pool(points: Points, centre: Points, nearest: NDArray[np.float64], most: int) -> list[int]:
    """Choose from the farthest candidates for as long as one of them is certainly the farthest of all.

    Args:
        points, centre, nearest: as in `_greedy`; the distances are up to date.
        most: no more than so many.
    """
    size = max(POOL, POOL_BYTES // (8 * max(1, points.shape[1])))
    if len(points) > size:
        parts = np.argpartition(nearest, len(points) - size - 1)
        pool = np.sort(parts[-size:])  # of equals the first, whatever the partition did
        outside = float(nearest[parts[-size - 1]])
    else:
        pool, outside = np.arange(len(points)), -np.inf
    table = points[pool] - centre
    square = np.einsum("kd,kd->k", table, table)
    near = nearest[pool]
    found: list[int] = []
    while len(found) < most:
        k = int(near.argmax())
        if found and near[k] < outside:
            break
        found.append(int(pool[k]))
        distance = square - 2.0 * (table @ table[k]) + square[k]
        np.minimum(near, np.maximum(distance, 0.0), out=near)
        near[k] = -1.0
    return found
