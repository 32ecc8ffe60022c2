from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from crossfield.data.batch import GraphDataset
from crossfield.data.read import read_source
from crossfield.data.source import Source
from crossfield.model.derivatives import evaluate
from crossfield.theory import Theory
from crossfield.train import Config, baseline_metrics, error_table, evaluate_dataset
from crossfield.train.metrics import (
    Error,
    HeadErrors,
    Metrics,
    Score,
    constant_energy,
    frame_errors,
    label_spread,
)
from crossfield.train.setup import Setup, prepare


@pytest.fixture
def setup(configure: object) -> Setup:
    config = configure()  # type: ignore[operator]
    assert isinstance(config, Config)
    return prepare(config)


def test_errors_are_those_of_single_frames(setup: Setup) -> None:
    """Batched errors against a loop over frames in numpy."""
    metrics = evaluate_dataset(setup.model, setup.train, batch_size=5)
    assert [h.head for h in metrics.heads] == ["metals", "clusters"]
    for number, errors in enumerate(metrics.heads):
        found: dict[str, list[np.ndarray]] = {"energy": [], "forces": [], "stress": []}
        frames = [(i, f) for i, f in enumerate(setup.train.frames) if setup.train.heads[i] == number]
        for i, frame in frames:
            p = evaluate(setup.model, setup.train.batch([i]).graph)
            found["energy"].append((p.energy.numpy() - frame.energy) / frame.num_atoms)
            found["forces"].append((p.forces.numpy() - frame.forces).ravel())
            if frame.stress is not None:
                found["stress"].append((p.stress.numpy()[0] - frame.stress).ravel())
        assert errors.frames == len(frames)
        for name, differences in found.items():
            error = getattr(errors, name)
            if not differences:
                assert error is None
                continue
            d = np.concatenate(differences)
            assert error.mae == pytest.approx(np.abs(d).mean(), rel=1e-4)
            assert error.rmse == pytest.approx(math.sqrt((d**2).mean()), rel=1e-4)
            assert error.labels == d.size
    assert metrics.heads[0].stress is not None
    assert metrics.heads[1].stress is None


def test_errors_of_frames_do_not_depend_on_their_batch(setup: Setup) -> None:
    """Sizes differ, some frames have no stress, and sums over frames are those of the heads."""
    together, alone = (frame_errors(setup.model, setup.train, batch_size=n) for n in (7, 1))
    assert together.shape == (len(setup.train), 3, 3)
    assert together == pytest.approx(alone, rel=1e-4, abs=1e-6)
    labels = [[1, 3 * f.num_atoms, 9 * (f.stress is not None)] for f in setup.train.frames]
    assert together[:, :, 2].tolist() == labels
    metals, clusters = evaluate_dataset(setup.model, setup.train, batch_size=7).heads
    for errors, number in ((metals, 0), (clusters, 1)):
        own = together[np.array(setup.train.heads) == number].sum(axis=0)
        for name, error in errors.items():
            k = ("energy", "forces", "stress").index(name)
            assert error.mae == pytest.approx(own[k, 0] / own[k, 2], rel=1e-12)


def test_empty_dataset_has_no_heads(setup: Setup) -> None:
    assert evaluate_dataset(setup.model, GraphDataset([], [], 4.0)).heads == ()


def metrics_of(a: float, b: float) -> Metrics:
    pairs = (("a", a), ("b", b))
    return Metrics(tuple(HeadErrors(n, 4, Error(x, x, 4), Error(2 * x, x, 12), None) for n, x in pairs))


def test_score_is_the_mean_over_heads_and_properties() -> None:
    score = Score({"a": {"energy": 0.1, "forces": 0.5}, "b": {"energy": 10.0, "forces": 50.0}})
    # head b has errors a hundred times larger, and a hundred times the spread: it counts as much as a
    assert score(metrics_of(0.02, 2.0)) == pytest.approx((0.2 + 0.08 + 0.2 + 0.08) / 4)
    for better in (metrics_of(0.01, 2.0), metrics_of(0.02, 1.0)):
        assert score(better) < score(metrics_of(0.02, 2.0))
    assert math.isnan(score(metrics_of(math.nan, 1.0)))
    assert score(metrics_of(1.0, 1.0)) == pytest.approx((10 + 4 + 0.1 + 0.04) / 4)
    # a property that is not trained on does not count
    assert Score({"a": {"energy": 0.1}})(metrics_of(0.02, 2.0)) == pytest.approx(0.2)
    assert math.isnan(Score({})(metrics_of(1.0, 1.0)))


def test_spread_and_baseline_by_hand(data_folder: Path) -> None:
    source = Source(files=(data_folder / "metals.xyz",))
    frames = read_source(source, Theory(name="emt")).frames
    train, test = frames[:8], frames[8:]
    E0 = {29: 1.0, 13: -2.0}
    x = np.array([(f.energy - sum(E0[int(z)] for z in f.Z)) / f.num_atoms for f in frames])
    spread = label_spread(train, E0)
    assert spread["energy"] == pytest.approx(x[:8].std())
    assert spread["forces"] == pytest.approx(np.mean([np.abs(f.forces).mean() for f in train]))
    assert spread["stress"] == pytest.approx(np.std([f.stress for f in train]))

    base = baseline_metrics("metals", train, test, E0)
    assert base.energy is not None
    assert base.forces is not None
    assert base.stress is not None
    assert base.energy.mae == pytest.approx(np.abs(x[8:] - x[:8].mean()).mean())
    assert base.forces.rmse == pytest.approx(np.sqrt(np.mean([f.forces**2 for f in test])))
    assert base.stress.mae == pytest.approx(np.mean([np.abs(f.stress) for f in test]))
    assert (base.energy.labels, base.forces.labels) == (6, 36)


def test_isolated_atoms_are_no_part_of_the_constant() -> None:
    energies, atoms = np.array([-2.0, -4.0, 4e-4, -6.0]), np.array([2, 1, 1, 3])
    assert constant_energy(energies, atoms) == pytest.approx(-4.0)
    assert math.isnan(constant_energy(energies[2:3], atoms[2:3]))


def test_without_training_energies_there_is_no_constant(data_folder: Path) -> None:
    frames = read_source(Source(files=(data_folder / "metals.xyz",)), Theory(name="emt")).frames
    silent = [replace(frame, energy=None) for frame in frames[:4]]
    found = baseline_metrics("metals", silent, frames[4:], {29: 1.0, 13: -2.0})
    assert found.energy is None
    assert found.forces is not None


def test_table_shows_units_and_missing_properties(console: Console) -> None:
    a = HeadErrors("a", 2, Error(0.0123, 0.02, 2), Error(0.5, 0.6, 9), Error(0.001, 0.002, 18))
    b = HeadErrors("b", 2, None, Error(0.001, 0.002, 6), None)
    console.print(error_table({"test": Metrics((a, b)), "train": Metrics((b,))}, {"a": a}))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    rows = [line.split() for line in text.splitlines()]
    assert ["a", "energy", "meV/atom", "12.3", "12.3", "20.0", "-", "-"] in rows
    assert ["forces", "meV/Å", "500", "500", "600", "-", "-"] in rows
    assert ["stress", "GPa", "0.160", "0.160", "0.320", "-", "-"] in rows
    assert ["stress", "meV/Å^3", "1.00", "1.00", "2.00", "-", "-"] in rows
    assert ["b", "forces", "meV/Å", "-", "1.00", "2.00", "1.00", "2.00"] in rows
    assert sum("energy" in row for row in rows) == 1


def test_table_fits_a_narrow_terminal() -> None:
    a = HeadErrors("molecules", 2, *[Error(1.234, 2.345, 9)] * 3)
    console = Console(file=io.StringIO(), width=80)
    splits = dict.fromkeys(("train", "validation", "test"), Metrics((a,)))
    console.print(error_table(splits, {"molecules": a}))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    assert ["molecules", "energy", "meV/atom", *["1234"] * 2, "2345", *["1234", "2345"] * 2] in [
        line.split() for line in text.splitlines()
    ]
