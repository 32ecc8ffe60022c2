"""Farthest-point sampling gives what the plain algorithm gives."""

from __future__ import annotations

import numpy as np
import pytest

from crossfield.errors import InputError
from crossfield.replay import farthest
from crossfield.replay.farthest import farthest_points


def plainly(points: np.ndarray, count: int, start: int) -> list[int]:
    """All distances after each choice, by differences."""
    points = points.astype(np.float64)
    chosen = [start]
    nearest = np.linalg.norm(points - points[start], axis=1)
    while len(chosen) < count:
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def reaches(points: np.ndarray, chosen: list[int]) -> list[float]:
    """Distance of each point to the nearest of those chosen before it."""
    points = points.astype(np.float64)
    between = [np.linalg.norm(points[chosen[:k]] - points[chosen[k]], axis=1) for k in range(1, len(chosen))]
    return [float(distances.min()) for distances in between]


def cloud(kind: str, n: int, D: int) -> np.ndarray:
    random = np.random.default_rng(n + D)
    points = random.normal(size=(n, D))
    if kind == "clusters":
        points = 0.05 * points + 10.0 * random.normal(size=(7, D))[random.integers(7, size=n)]
    if kind == "far from the origin":
        points = points * np.geomspace(1.0, 1e-3, D) + 1e4
    if kind == "a line":
        points = points[:, :1] * np.ones(D)
    return points


@pytest.fixture(params=["small blocks", "as they are"])
def blocks(request, monkeypatch) -> None:
    """Candidates run out and blocks end at every place."""
    if request.param == "small blocks":
        monkeypatch.setattr(farthest, "POOL", 9)
        monkeypatch.setattr(farthest, "POOL_BYTES", 0)
        monkeypatch.setattr(farthest, "ROWS", 16)
        monkeypatch.setattr(farthest, "COLUMNS", 3)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["ball", "clusters", "far from the origin", "a line"])
@pytest.mark.parametrize(("n", "D", "count"), [(1, 3, 1), (40, 1, 40), (150, 5, 60), (333, 24, 200)])
def test_the_choice_of_the_plain_algorithm(kind: str, n: int, D: int, count: int, dtype: type) -> None:
    points = cloud(kind, n, D).astype(dtype)
    chosen = farthest_points(points, count, start=n // 3)
    expected = plainly(points, count, n // 3)
    if dtype == np.float64:  # rounded to float32, some distances are equal
        np.testing.assert_array_equal(chosen, expected)
    np.testing.assert_allclose(reaches(points, chosen), reaches(points, expected), rtol=1e-9, atol=1e-10)


@pytest.mark.usefixtures("blocks")
def test_equal_points_come_last() -> None:
    """At 1e6 the distance of equal points comes out as round-off larger than that of the near ones."""
    random = np.random.default_rng(3)
    distinct = 1e6 + 1e-3 * random.normal(size=(30, 4))
    rows = np.concatenate([np.arange(30), random.integers(30, size=70)])
    points = distinct[rows]
    chosen = farthest_points(points, 100, start=50)
    assert chosen[0] == 50
    assert len({rows[k] for k in chosen[:30]}) == 30
    assert sorted(chosen) == list(range(100))


def test_all_points_equal() -> None:
    assert sorted(farthest_points(np.ones((5, 2)), 4, start=2)) == [0, 1, 2, 3]


def test_negative_zero_is_zero() -> None:
    points = np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.1]])
    assert farthest_points(points, 3).tolist() == [0, 2, 1]


@pytest.mark.parametrize("count", [0, 1, 12, 13, 1000])
def test_no_more_than_there_are(count: int) -> None:
    chosen = farthest_points(cloud("ball", 12, 3), count, start=4)
    assert len(set(chosen.tolist())) == len(chosen) == min(count, 12)
    assert chosen.dtype == np.int64


def test_the_points_are_left_as_they_are() -> None:
    points = cloud("ball", 50, 3)
    before = points.copy()
    farthest_points(points, 20)
    np.testing.assert_array_equal(points, before)


def test_progress_adds_up() -> None:
    steps: list[int] = []
    farthest_points(cloud("ball", 200, 3), 70, advance=steps.append)
    assert sum(steps) == 70


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(bad: float) -> None:
    points = cloud("ball", 20, 3)
    points[13, 1] = bad
    with pytest.raises(InputError, match="structure 13 contain NaN or infinity"):
        farthest_points(points, 5)


@pytest.mark.parametrize(
    ("points", "count", "start", "message"),
    [
        (np.zeros(4), 1, 0, "a table of real numbers"),
        (np.zeros((4, 2), dtype=int), 1, 0, "a table of real numbers"),
        (np.zeros((4, 2)), -1, 0, "at least 0"),
        (np.zeros((4, 2)), 1, 4, "the first point 4 is none of the 4"),
        (np.zeros((4, 2)), 1, -1, "the first point -1"),
        (np.zeros((0, 2)), 1, 0, "none of the 0"),
    ],
)
def test_refusals(points: np.ndarray, count: int, start: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        farthest_points(points, count, start=start)
