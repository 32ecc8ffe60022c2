"""Errors: numbers by hand, intervals against a plain loop, and the worst frames by name."""

from __future__ import annotations

import numpy as np
import pytest

from crossfield.report import bootstrap as module
from crossfield.report.bootstrap import bootstrap
from crossfield.report.errors import error_rows, errors_section, frame_sums, worst_frames
from crossfield.report.parity_pairs import all_pairs, pairs_of
from crossfield.zoo.card_parts import QUANTITIES
from tests.report.predicted import predictions
from tests.report.runs import HOSTILE


def atom(energy: tuple[float, float], off: float = 0.0, **more: object) -> dict[str, object]:
    return {"Z": [1], "energy": energy, "forces": ([[1, -1, 0]], [[1 + off, -1, 0]]), **more}


def looped(sums: np.ndarray, seed: int, resamples: int) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(seed)
    mae, rmse = [], []
    for _ in range(resamples):
        absolute = squares = count = 0.0
        for k in random.integers(len(sums), size=len(sums)):
            absolute, squares, count = absolute + sums[k, 0], squares + sums[k, 1], count + sums[k, 2]
        mae.append(absolute / count)
        rmse.append((squares / count) ** 0.5)
    return mae, rmse


@pytest.mark.parametrize("at_once", [10_000, 21])
def test_intervals_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Whether the numbers are drawn together or in parts."""
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    random = np.random.default_rng(5)
    counts = random.integers(1, 9, 7)
    d = [random.normal(size=n) for n in counts]
    sums = np.array([[np.abs(x).sum(), (x * x).sum(), len(x)] for x in d])
    found = bootstrap(sums, seed=3, resamples=50)
    mae, rmse = looped(sums, 3, 50)
    assert found.mae == pytest.approx(tuple(np.percentile(mae, [2.5, 97.5])), rel=1e-12)
    assert found.rmse == pytest.approx(tuple(np.percentile(rmse, [2.5, 97.5])), rel=1e-12)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Errors of a frame are one number, seen in many components: the interval must be that of frames."""
    random = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        d = np.repeat(np.abs(random.normal(size=40))[:, None], 30, axis=1)
        sums = np.stack([d.sum(axis=1), (d * d).sum(axis=1), np.full(40, 30.0)], axis=1)
        low, high = bootstrap(sums, seed=seed, resamples=200).mae
        held += low <= np.sqrt(2 / np.pi) <= high
    assert 0.88 <= held / 200 <= 0.985


def test_one_frame_has_no_interval() -> None:
    assert np.isnan(bootstrap(np.array([[1.0, 1.0, 3.0]]), seed=0).mae).all()
    assert np.isnan(bootstrap(np.full((3, 3), np.nan), seed=0).rmse).all()


def test_many_frames_are_resampled_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALL_DRAWN", 30_000)
    sums = np.random.default_rng(0).uniform(1, 2, (300, 3))
    few, all_of_them = bootstrap(sums, seed=1), bootstrap(sums, seed=1, resamples=200)
    assert few == all_of_them


def test_rows_by_hand() -> None:
    p = predictions(
        atom((-2.0, -2.5), 0.3),
        atom((-1.0, -1.1), 0.0),
        {"Z": [1], "energy": (-4.0, -4.3)},  # no forces
        atom((-2.0, 0.0), split="train"),
        atom((-4.0, 0.0), split="train"),
        atom((0.0, 0.1), split="train"),  # an isolated one, from which E0 is
    )
    rows = {(r.quantity, r.split): r for r in error_rows(p, all_pairs(p), seed=0)}
    energy = rows["energy", "test"]
    assert (energy.frames, energy.labels) == (3, 3)
    assert energy.mae == pytest.approx((0.5 + 0.1 + 0.3) / 3)
    assert energy.baseline == pytest.approx((1 + 2 + 1) / 3)  # the mean of the training labels is -3
    sums = np.array([[0.5, 0.25, 1], [0.1, 0.01, 1], [0.3, 0.09, 1]])
    assert energy.intervals.mae == pytest.approx(bootstrap(sums, seed=0).mae)
    forces = rows["forces", "test"]
    assert (forces.frames, forces.labels) == (2, 6)
    assert forces.mae == pytest.approx(0.3 / 6)
    assert forces.rmse == pytest.approx(np.sqrt(0.09 / 6))
    assert forces.baseline == pytest.approx(4 / 6)
    assert ("stress", "test") not in rows
    assert ("energy", "validation") not in rows


def test_a_guess_needs_training_labels() -> None:
    p = predictions({"Z": [1], "energy": (1.0, 2.0)})
    (row,) = error_rows(p, all_pairs(p), seed=0)
    assert np.isnan(row.baseline)
    assert np.isnan(row.intervals.mae).all()


def test_sums_are_of_frames() -> None:
    p = predictions(atom((0, 0), 0.5), atom((0, 0), 0.2))
    frames, sums = frame_sums(pairs_of(p, "a", "test", "forces"))
    assert frames.tolist() == [0, 1]
    assert sums == pytest.approx(np.array([[0.5, 0.25, 3], [0.2, 0.04, 3]]))


def test_worst_frames_come_first_whatever_they_err_in() -> None:
    calm = [atom((0.0, 0.01), 0.01) for _ in range(20)]
    p = predictions(*calm, atom((0.0, 0.01), 3.0), atom((5.0, 0.0), 0.01))
    found = worst_frames([pairs_of(p, "a", "test", quantity) for quantity in QUANTITIES], 3)
    assert {found[0][0], found[1][0]} == {20, 21}
    errors = {frame: off for frame, _, off in found}
    assert errors[21]["energy"] == pytest.approx(-5000)  # meV/atom, with its sign
    assert errors[20]["forces"] == pytest.approx(1000)
    mean = (20 * 0.01 + 3.0 + 0.01) / 22
    assert {frame: ratio for frame, ratio, _ in found}[20] == pytest.approx(3.0 / mean)
    assert "g21 (file.xyz, frame 21)" in errors_section(p).html


def test_frames_without_an_answer_are_the_worst() -> None:
    p = predictions(atom((1.0, 1.5)), atom((1.0, np.nan), group="silent"), atom((2.0, 2.1)))
    (frame, ratio, errors), *_ = worst_frames([pairs_of(p, "a", "test", q) for q in ("energy", "forces")])
    assert (frame, ratio, errors["forces"]) == (1, np.inf, 0.0)
    assert np.isnan(errors["energy"])
    html = errors_section(p).html
    row = html[html.index("silent (file.xyz") :].partition("</tr>")[0]
    assert row.count(">no answer<") == 2  # times the mean error, and the energy
    assert 'data-value="inf">no answer' not in row  # which would sort last


def test_the_last_resort_is_training_frames_and_the_page_says_so() -> None:
    html = errors_section(predictions(atom((0.0, 0.1), split="train"))).html
    assert "a, train: the 1 worst frames" in html
    assert "of the test; where there are none, of validation, else of training" in html


def test_a_head_without_a_test_shows_validation_frames() -> None:
    p = predictions(atom((0.0, 0.1), split="validation"), atom((0.0, 0.2), split="train"))
    assert "a, validation: the 1 worst frames" in errors_section(p).html


def test_perfect_answers_have_no_ratio() -> None:
    html = errors_section(predictions(atom((1.0, 1.0)), atom((2.0, 2.0)))).html
    assert "nan" not in html
    assert "inf" not in html.replace('data-value="inf"', "")


def test_answers_that_are_missing_are_told() -> None:
    html = errors_section(predictions(atom((1.0, np.nan)), atom((2.0, 2.1)))).html
    assert "1 test labels of a (energy) have no answer" in html


def test_names_stay_text() -> None:
    p = predictions(atom((1.0, 1.1), group=HOSTILE, head=HOSTILE), heads=(HOSTILE,))
    assert "<img" not in errors_section(p).html


def test_without_predictions_the_page_says_how_to_get_them() -> None:
    assert "crossfield train" in errors_section(None).html
