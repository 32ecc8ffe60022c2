"""Parity: the right numbers in pairs, all of them drawn or counted, and names that stay text."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pytest

from crossfield.report.parity_figure import LIMITS, parity_figure
from crossfield.report.parity_pairs import all_pairs, pairs_of
from crossfield.report.parity_section import ALL_POINTS, _most, parity_section
from crossfield.theory.units import GPA_PER_EV_A3
from crossfield.train.predictions import Predictions
from tests.report.predicted import predictions
from tests.report.runs import HOSTILE

WATER = {
    "Z": [8, 1],
    "E0": -3.0,
    "energy": (-5.0, -5.5),
    "forces": ([[1, 0, 0], [0, 2, 0]], [[1.5, 0, 0], [0, 2, -0.1]]),
}
SECOND = {"Z": [1], "energy": (-1.0, -1.0), "forces": ([[0, 0, 3]], [[0, 0, 3]]), "stress": (0.01, 0.02)}


def figures(html: str) -> list[dict[str, Any]]:
    texts = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return [json.loads(text) for text in texts]


def numbers(value: Any) -> np.ndarray:
    if isinstance(value, dict):
        found = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]))
        return found.reshape([int(n) for n in value["shape"].split(",")]) if "shape" in value else found
    return np.array(value)


def counted(density: dict[str, Any]) -> np.ndarray:
    """(rows, columns) labels in each cell."""
    filled = density["filled"]
    counts = np.zeros(filled["bins"] ** 2, dtype=int)
    counts[np.cumsum(filled["steps"])] = filled["counts"]
    return counts.reshape(filled["bins"], -1)


def test_pairs_by_hand() -> None:
    p = predictions(WATER, SECOND)
    energy = pairs_of(p, "a", "test", "energy")
    assert energy.reference.tolist() == [-1.0, -1.0]  # (-5 + 3)/2 and -1
    assert energy.predicted.tolist() == [-1.25, -1.0]
    assert energy.mae == pytest.approx(0.125)
    assert energy.rmse == pytest.approx(np.sqrt(0.0625 / 2))
    assert np.isnan(energy.r2)  # labels are equal

    forces = pairs_of(p, "a", "test", "forces")
    assert len(forces) == 9
    assert forces.mae == pytest.approx((0.5 + 0.1) / 9)
    mean = (1 + 2 + 3) / 9
    apart = (1 - mean) ** 2 + (2 - mean) ** 2 + (3 - mean) ** 2 + 6 * mean**2
    assert forces.r2 == pytest.approx(1 - 0.26 / apart)
    assert [forces.place(k) for k in (0, 5, 8)] == ["atom 0 (O), x", "atom 1 (H), z", "atom 0 (H), z"]
    assert forces.frame.tolist() == [0] * 6 + [1] * 3

    stress = pairs_of(p, "a", "test", "stress")
    assert len(stress) == 9
    assert stress.mae == pytest.approx(0.01 * GPA_PER_EV_A3)
    assert stress.place(5) == "yz"
    assert len(pairs_of(p, "a", "train", "forces")) == 0


def test_pairs_are_of_their_head_and_split() -> None:
    frames = [{**SECOND, "head": h, "split": s} for h in ("a", "b") for s in ("train", "test", "test")]
    p = predictions(*frames, heads=("a", "b"))
    assert pairs_of(p, "b", "test", "forces").frame.tolist() == [4] * 3 + [5] * 3
    assert pairs_of(p, "a", "train", "energy").frame.tolist() == [0]


def test_an_answer_that_is_missing_is_counted_and_said() -> None:
    p = predictions({**WATER, "energy": (-5.0, np.nan)}, SECOND)
    energy = pairs_of(p, "a", "test", "energy")
    assert (len(energy), energy.unanswered) == (1, 1)
    assert "1 without an answer" in parity_section(p).html
    nothing = predictions({"Z": [1], "energy": (1.0, np.inf)})
    assert "no answer for any of the test labels" in parity_section(nothing).html


def test_every_point_of_a_small_set_is_drawn_with_its_place() -> None:
    html = parity_section(predictions(WATER, {**SECOND, "group": "ice"})).html
    energy, _, forces, *_ = figures(html)
    assert numbers(energy["data"][0]["x"]) == pytest.approx([-1, -1])
    assert numbers(energy["data"][0]["customdata"]) == pytest.approx([-250, 0])
    assert energy["data"][0]["text"] == ["g0 (file.xyz, frame 0)", "ice (file.xyz, frame 1)"]
    assert len(numbers(forces["data"][0]["x"])) == 9
    assert forces["data"][0]["text"][0] == "g0 (file.xyz, frame 0), atom 0 (O), x"
    assert "MAE 66.7 meV/Å" in html
    (numbers_above,) = forces["layout"]["annotations"]
    assert (numbers_above["y"], numbers_above["yanchor"]) == (1, "bottom")  # no points can be under it
    assert forces["layout"]["margin"]["t"] >= 40


def many(n: int, *, far: float = 0.0) -> Predictions:
    random = np.random.default_rng(0)
    forces = random.normal(size=(n, 3))
    off = forces + 0.02 * random.normal(size=(n, 3))
    forces[0, 0], off[0, 0] = far, far
    off[1, 1] += 2.0  # the largest error
    return predictions({"Z": [6] * n, "forces": (forces, off), "group": "box"})


def test_of_many_points_all_are_in_the_density_or_drawn() -> None:
    p = many(4000, far=1000.0)
    pairs = pairs_of(p, "a", "test", "forces")
    html = parity_figure(pairs, p.name, title="t", colour="#000000", limits=LIMITS._replace(points=5000))
    density, points = figures(html)[0]["data"][:2]
    x, y = numbers(points["x"]), numbers(points["y"])
    start, size, counts = density["x0"] - density["dx"] / 2, density["dx"], counted(density)
    assert density["x0"] == density["y0"]
    column, row = (np.floor((v - start) / size).astype(int) for v in (pairs.reference, pairs.predicted))
    inside = (column >= 0) & (column < 140) & (row >= 0) & (row < 140)
    assert (~inside).sum() <= 12
    expected = np.zeros((140, 140), dtype=int)
    np.add.at(expected, (row[inside], column[inside]), 1)
    assert (counts == expected).all()
    assert density["zmax"] == pytest.approx(np.log10(counts.max()))
    drawn = set(zip(x.tolist(), y.tolist(), strict=True))
    outside = zip(pairs.reference[~inside], pairs.predicted[~inside], strict=True)
    assert {(float(np.float32(a)), float(np.float32(b))) for a, b in outside} <= drawn
    worst = int(np.abs(pairs.error).argmax())
    assert float(np.float32(pairs.predicted[worst])) in y
    assert "lie outside of this view" in html
    # one number of 1000 does not make all others one spot
    assert figures(html)[0]["layout"]["xaxis"]["range"][1] < 10


def test_equal_labels_and_predictions_can_be_drawn() -> None:
    flat = np.zeros((2000, 3))
    p = predictions({"Z": [6] * 2000, "forces": (flat, flat)})
    html = parity_section(p).html
    density = figures(html)[0]["data"][0]
    assert density["filled"]["counts"] == [6000]
    assert "R²" not in figures(html)[0]["layout"]["annotations"][0]["text"]


def test_small_figures_have_all_their_points_as_long_as_these_are_few() -> None:
    assert _most([100, 2000, 9000]) == 2000
    assert _most([6000]) == 2500
    for sizes in ([2000, 2100] * 9, [1500] * 40, [400] * 50 + [2500], [39_000, 2500] * 20):
        most = _most(sizes)
        assert 0 < sum(n for n in sizes if n <= most) <= ALL_POINTS or most < min(sizes)
    assert _most([2000, 2100] * 9) == 2000


def test_all_pairs_are_those_of_each() -> None:
    splits = ("train", "test", "validation", "test")
    frames = [
        {**frame, "head": head, "split": split}
        for split in splits
        for head in ("b", "a")
        for frame in (WATER, SECOND, {"Z": [6, 6], "energy": (1.0, np.nan)})
    ]
    p = predictions(*frames, heads=("a", "b", "none"))
    found = all_pairs(p)
    assert len(found) == 2 * 3 * 3
    for (head, split, quantity), pairs in found.items():
        alone = pairs_of(p, head, split, quantity)
        assert alone.quantity == pairs.quantity
        for name in ("reference", "predicted", "frame", "atom", "Z", "component", "missing"):
            assert np.array_equal(getattr(alone, name), getattr(pairs, name)), name


def test_a_hundred_heads_are_a_page_of_a_few_megabytes() -> None:
    random = np.random.default_rng(2)
    heads = tuple(f"head {k}" for k in range(100))
    frames = []
    for head in heads:
        for split in ("train", "validation", "test"):
            forces = random.normal(size=(200, 3))
            pair = (forces, forces + 0.05 * random.normal(size=forces.shape))
            frames.append({"Z": random.integers(1, 20, 200), "forces": pair, "head": head, "split": split})
    assert len(parity_section(predictions(*frames, heads=heads)).html) < 3_000_000


def test_what_was_left_out_and_what_is_drift_is_said() -> None:
    html = parity_section(predictions({**WATER, "own": True}, SECOND, test=98)).html
    assert "a sample of 2 of its 100 test frames (seed 7)" in html
    assert "1 frames have the base&#x27;s own answers" in html


def test_names_stay_text() -> None:
    frames = [{**WATER, "group": HOSTILE, "head": HOSTILE, "split": s} for s in ("test", "train")]
    html = parity_section(predictions(*frames, heads=("a", HOSTILE))).html
    assert "<img" not in html
    shown = figures(html)[0]["data"][0]["text"][0]
    assert "<" not in shown  # plotly takes tags in texts for mark-up
    assert "&lt;img" in shown


def test_without_predictions_the_page_says_how_to_get_them() -> None:
    assert "crossfield train" in parity_section(None).html
    assert "crossfield train" in parity_section(predictions()).html
    assert "<figure" not in parity_section(predictions({"Z": [1]})).html  # frames without labels


def test_a_million_components_are_a_page_of_a_few_megabytes() -> None:
    random = np.random.default_rng(1)
    frames = []
    for head in ("a", "b"):
        for split in ("train", "test"):
            for part in range(10):
                forces = random.normal(size=(8400, 3))
                off = forces + 0.05 * random.normal(size=forces.shape)
                Z = random.integers(1, 30, 8400)
                frames.append(
                    {"Z": Z, "forces": (forces, off), "head": head, "split": split, "group": f"box {part}"}
                )
    p = predictions(*frames, heads=("a", "b"))
    assert p.forces.reference.size > 1_000_000
    assert len(parity_section(p).html) < 5_000_000
