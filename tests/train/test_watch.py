"""Over-fitting is said once, where it happens and nowhere else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import ase.io
import numpy as np
import pytest
from rich.console import Console

from crossfield.data.batch import GraphDataset
from crossfield.train import Config, train
from crossfield.train.metrics import Error, HeadErrors, Metrics, Score
from crossfield.train.restart import load_restart
from crossfield.train.watch import FRAMES, Watch, loss_by_head, watched
from tests.data.frames import frame

SCORE = Score({"a": {"energy": 1.0}, "b": {"energy": 2.0}})


def errors(**of_head: float) -> Metrics:
    return Metrics(tuple(HeadErrors(n, 1, Error(x, x, 1), None, None) for n, x in of_head.items()))


def warnings(pairs: Sequence[tuple[float, float]], watch: Watch | None = None) -> list[int]:
    """After which of these training and validation errors of head `a` a warning is given."""
    watch = watch or Watch(SCORE, {})
    return [i for i, (t, v) in enumerate(pairs) if watch.compare(errors(a=t, b=1.0), errors(a=v, b=1.0))]


def test_said_once_after_three_in_a_row() -> None:
    parting = [(1.0, 1.0), (0.8, 0.9), (0.6, 1.0), (0.4, 1.1), (0.3, 1.2), (0.2, 1.3), (0.1, 1.4)]
    assert warnings(parting) == [4]


def test_said_again_by_no_later_rise() -> None:
    watch = Watch(SCORE, {})
    rise = [(0.5, 0.5), (0.4, 0.6), (0.3, 0.6), (0.2, 0.6)]
    assert warnings(rise, watch) == [3]
    assert warnings([(0.15, 0.4), (0.1, 0.6), (0.05, 0.6), (0.01, 0.6)], watch) == []


@pytest.mark.parametrize(
    "pairs",
    [
        [(1.0, 1.0), (0.9, 0.95), (0.8, 0.9), (0.7, 0.85), (0.6, 0.8)],  # both fall
        [(0.5, 0.5)] + [(0.4, 0.54)] * 9,  # less than a tenth
        [(0.5, 0.5)] + [(0.6, 0.9)] * 9,  # both have risen: training has gone wrong in another way
        [(0.5, 0.5), (0.4, 0.7), (0.3, 0.7), (0.2, 0.54), (0.2, 0.7), (0.2, 0.7)],  # not in a row
        [(0.5, 0.5), (0.4, 0.7), (0.3, 0.7), (0.3, 0.4), (0.2, 0.6), (0.2, 0.6)],  # a new best between
        [(0.5, math.nan), (0.4, math.nan), (0.3, math.nan), (0.2, math.nan)],
    ],
)
def test_nothing_is_said(pairs: list[tuple[float, float]]) -> None:
    assert warnings(pairs) == []


def test_the_head_and_the_numbers_are_named() -> None:
    """The one that parts, measured from its best; another that learns is not meant."""
    watch = Watch(SCORE, {})
    said = []
    for k in range(5):
        train_errors = errors(a=1.0 - 0.1 * k, b=2.0 - 0.25 * k)
        said += watch.compare(train_errors, errors(a=1.0 - 0.1 * k, b=1.0 + 0.25 * k))
    assert len(said) == 1
    assert said[0].startswith("warning: head b is being over-fitted: its validation error has risen by 75 %")
    assert "fell by 38 %" in said[0]


def test_heads_without_validation_or_training_frames_are_left_out() -> None:
    watch = Watch(SCORE, state := {})  # type: ignore[var-annotated]
    for k in range(6):
        assert watch.compare(errors(a=1.0 - 0.1 * k), errors(b=1.0 + k)) == []
    assert state == {}


def test_state_goes_on_where_it_was() -> None:
    """Through JSON and back in the middle of a rise: the warning comes at the same time."""
    pairs = [(1.0, 1.0), (0.8, 0.9), (0.6, 1.0), (0.4, 1.1), (0.3, 1.2), (0.2, 1.3)]
    state: dict[str, list[float]] = {}
    assert warnings(pairs[:4], Watch(SCORE, state)) == []
    copy = {name: list(values) for name, values in state.items()}
    assert warnings(pairs[4:], Watch(SCORE, copy)) == [0]
    assert warnings(pairs[4:], Watch(SCORE, copy)) == []


def test_watched_frames_are_a_few_of_every_head() -> None:
    """The same ones for the same seed; no single atoms, which are learnt by heart in any case."""
    frames = [frame("H" * (1 + i % 3), energy=-1.0, index=i) for i in range(120)]
    heads = [0 if i < 100 else 2 for i in range(120)]
    dataset = GraphDataset(frames, heads, 4.0)
    found, again, other = (watched(dataset, 3, seed) for seed in (0, 0, 1))
    assert found.heads.count(0) == FRAMES < 66
    assert found.heads.count(2) == sum(f.num_atoms > 1 for f in frames[100:])
    assert min(f.num_atoms for f in found.frames) == 2
    assert [f.index for f in found.frames] == [f.index for f in again.frames]
    assert [f.index for f in found.frames] != [f.index for f in other.frames]
    assert len(watched(GraphDataset([frame("H", energy=-1.0)], [0], 4.0), 1, 0)) == 0


def test_loss_by_head_is_a_mean_over_steps() -> None:
    sums = [[2.0, 4.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert loss_by_head(sums, 4, ["a", "kept", "b"]) == {
        "a": {"energy": 0.5, "forces": 1.0, "stress": 0.0},
        "b": {"energy": 0.0, "forces": 0.25, "stress": 0.0},
    }


@pytest.fixture
def noise(data_folder: Path, tmp_path: Path) -> Path:
    """Six crystals whose forces mean nothing: they can be learnt by heart only."""
    random = np.random.default_rng(0)
    frames = ase.io.read(data_folder / "metals.xyz", ":6")
    for i, atoms in enumerate(frames):
        atoms.calc = None
        forces = random.normal(size=(len(atoms), 3))
        atoms.arrays["forces"] = forces - forces.mean(axis=0)
        atoms.info["energy"] = float(random.normal())
        atoms.info["system"] = f"s{i}"
    ase.io.write(tmp_path / "noise.xyz", frames, format="extxyz")
    return tmp_path / "noise.xyz"


def test_a_real_run_that_learns_by_heart_is_warned_of(
    configure: Callable[..., Config], noise: Path, console: Console
) -> None:
    """Once, and the best weights are from before. What was said is in the state that is saved."""
    learning = "learning_rate: 0.02, clip: null, ema: 0, epochs: 40, batch_size: 16, threads: 1, device: cpu"
    config = configure(
        f"training={{{learning}}}",
        "schedule.kind=constant",
        "split={validation: 0.4, test: 0}",
        "loss={kind: l2, energy: 0, stress: 0}",
        "model.channels=16",
        heads={
            "noise": {"theory": "emt", "data": {"files": [str(noise)], "check_units": False}, "scale": 1.0}
        },
    )
    result = train(config, console=console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert sum("head noise is being over-fitted" in line for line in lines) == 1
    assert result.best_step is not None
    assert result.best_step < result.step
    state = load_restart(result.folder / "restart.safetensors").state
    assert state.watch["noise"][3] == 1.0
    log = [json.loads(line) for line in (result.folder / "log.jsonl").read_text().splitlines()]
    ends = log[0], log[-1]
    begin, end = ({k: line[k]["noise"]["forces"]["mae"] for k in ("train", "validation")} for line in ends)
    assert end["train"] < 0.9 * begin["train"]
    assert end["validation"] > 1.2 * begin["validation"]


def test_a_healthy_run_is_not_warned_of(finetune: Callable[..., Config], console: Console) -> None:
    train(finetune("training.epochs=6"), console=console)
    assert "over-fitted" not in console.file.getvalue()  # type: ignore[attr-defined]
