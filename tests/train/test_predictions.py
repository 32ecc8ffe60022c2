"""Predictions beside labels: complete, of the right frames, bounded, and checked when they are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from crossfield.data.batch import GraphDataset
from crossfield.data.reference import per_atom
from crossfield.errors import InputError
from crossfield.model import evaluate
from crossfield.train import Config, evaluate_dataset, train
from crossfield.train.folder import RunFolder
from crossfield.train.predictions import Compared, Predictions, Recorder, sample
from crossfield.train.predictions_file import KIND, load_predictions, save_predictions
from crossfield.train.setup import Setup, prepare
from crossfield.zoo import container

Configure = Callable[..., Config]


@pytest.fixture
def setup(configure: Configure) -> Setup:
    return prepare(configure("training.precision=64-true"))


def record(setup: Setup, dataset: GraphDataset, split: str = "test", **options: Any) -> Predictions:
    recorder = Recorder(setup.model.heads, 0, **options)
    evaluate_dataset(setup.model, dataset, 5, recorder.watch(split, dataset))
    return recorder.predictions()


def test_they_are_those_of_single_frames_beside_their_labels(setup: Setup) -> None:
    p = record(setup, setup.train)
    assert len(p) == len(setup.train)
    last = np.cumsum(p.atoms)
    for i, frame in enumerate(setup.train.frames):
        alone = evaluate(setup.model, setup.train.batch([i]).graph)
        atoms = slice(last[i] - p.atoms[i], last[i])
        head = setup.model.heads[setup.train.heads[i]]
        assert p.heads[p.head[i]] == head.name
        assert (p.file[i], p.index[i], p.group[i]) == (frame.file, frame.index, frame.group)
        assert p.name(i) == f"{frame.group} ({Path(frame.file).name}, frame {frame.index})"
        assert p.Z[atoms].tolist() == frame.Z.tolist()
        assert p.energy.reference[i] == frame.energy
        assert p.energy.predicted[i] == pytest.approx(alone.energy.item(), rel=1e-12)
        assert p.energy_per_atom.reference[i] == pytest.approx(per_atom(frame, head.E0), rel=1e-9, abs=1e-12)
        assert p.forces.reference[atoms] == pytest.approx(frame.forces)
        assert p.forces.predicted[atoms] == pytest.approx(alone.forces.numpy(), rel=1e-9, abs=1e-12)
        if frame.stress is None:
            assert np.isnan([p.stress.reference[i], p.stress.predicted[i]]).all()
        else:
            assert p.stress.reference[i] == pytest.approx(frame.stress)
            assert p.stress.predicted[i] == pytest.approx(alone.stress.numpy()[0], rel=1e-9, abs=1e-12)
    assert not p.own_answers.any()
    assert p.left_out("test", "metals") == p.left_out("test", "clusters") == 0


def test_a_missing_label_has_no_prediction_beside_it(setup: Setup) -> None:
    frames = [
        replace(f, energy=None) if i % 2 else replace(f, forces=None) for i, f in enumerate(setup.test.frames)
    ]
    dataset = GraphDataset(frames, setup.test.heads, setup.model.config.cutoff)
    p = record(setup, dataset)
    assert np.isnan(p.energy.reference).tolist() == [bool(i % 2) for i in range(len(frames))]
    assert (np.isnan(p.energy.predicted) == np.isnan(p.energy.reference)).all()
    without = np.repeat([i % 2 == 0 for i in range(len(frames))], p.atoms)
    assert np.isnan(p.forces.reference[without]).all()
    assert np.isnan(p.forces.predicted[without]).all()
    assert np.isfinite(p.forces.predicted[~without]).all()


def test_watching_changes_no_error(setup: Setup) -> None:
    recorder = Recorder(setup.model.heads, 0)
    watched = evaluate_dataset(setup.model, setup.test, 4, recorder.watch("test", setup.test))
    assert watched == evaluate_dataset(setup.model, setup.test, 4)


def test_a_sample_is_bounded_random_and_the_same_for_a_seed() -> None:
    sizes = np.array([30, 3, 60, 3, 3, 45, 6])
    assert sample(sizes, 150, np.random.default_rng(0)).all()
    found = [sample(sizes, 60, np.random.default_rng(seed)) for seed in range(20)]
    assert all(0 < sizes[kept].sum() <= 60 for kept in found)
    assert len({tuple(kept) for kept in found}) > 5
    assert (found[3] == sample(sizes, 60, np.random.default_rng(3))).all()
    # whatever its size, a frame is kept
    assert sample(np.array([500, 500]), 60, np.random.default_rng(0)).sum() == 1


def test_of_many_frames_a_sample_of_every_head_is_kept(setup: Setup) -> None:
    full, part = record(setup, setup.train), record(setup, setup.train, most={"test": 24})
    for head in full.heads:
        own = part.chosen("test", head)
        assert 0 < 3 * part.atoms[own].sum() <= 24
        assert part.left_out("test", head) == full.chosen("test", head).sum() - own.sum() > 0
    place = {(f, int(k)): i for i, (f, k) in enumerate(zip(full.file, full.index, strict=True))}
    for i in range(len(part)):
        k = place[part.file[i], int(part.index[i])]
        assert part.energy.predicted[i] == pytest.approx(full.energy.predicted[k], rel=1e-12)


def same(a: Predictions, b: Predictions) -> bool:
    return all(
        np.array_equal(np.asarray(x), np.asarray(y), equal_nan=np.asarray(x).dtype.kind == "f")
        for name in vars(a)
        for x, y in [(getattr(a, name), getattr(b, name))]
    )


def rounded(p: Predictions) -> Predictions:
    """As they are in a file."""
    return replace(p, forces=Compared(*(x.astype(np.float32).astype(float) for x in p.forces)))


def test_they_come_back_from_a_file_and_are_the_same_bytes(setup: Setup, tmp_path: Path) -> None:
    p = record(setup, setup.train)
    for name in ("a", "b"):
        save_predictions(tmp_path / name, p)
    assert same(load_predictions(tmp_path / "a"), rounded(p))
    assert not same(load_predictions(tmp_path / "a"), replace(p, E0=p.E0 + 1))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


BAD: dict[str, tuple[Callable[[dict[str, Any], dict[str, torch.Tensor]], Any], str]] = {
    "label": (lambda d, t: t["energy"].__setitem__((0, 0), torch.inf), "energy has labels"),
    "no label": (lambda d, t: t["forces"].__setitem__((0, 0, 0), torch.nan), "without a label"),
    "E0": (lambda d, t: t["E0"].__setitem__(0, torch.nan), "E0"),
    "head": (lambda d, t: t["head"].__setitem__(0, 2), "head has values"),
    "split": (lambda d, t: t["split"].__setitem__(0, -1), "split has values"),
    "element": (lambda d, t: t["Z"].__setitem__(0, 0), "Z has values"),
    "atoms": (lambda d, t: t["atoms"].__setitem__(0, 1), "add up"),
    "text": (lambda d, t: t["group"].__setitem__(0, 999), "group has values"),
    "missing": (lambda d, t: t.pop("stress"), "left over: stress"),
    "shape": (lambda d, t: t.update(stress=t["stress"][:-1]), "stress is"),
    "type": (lambda d, t: t.update(index=t["index"].double()), "index is"),
    "heads": (lambda d, t: d.update(heads=["metals", "metals"]), "twice"),
    "names": (lambda d, t: d.update(texts=[1] * 99), "names"),
    "counts": (lambda d, t: d.update(frames={"test": {"metals": 0, "clusters": 0}}), "more frames"),
    "no counts": (lambda d, t: d.pop("frames"), "frames"),
    "negative": (lambda d, t: d.update(frames={"test": {"metals": -1}}), "number of frames"),
    "seed": (lambda d, t: d.update(seed="x"), "invalid literal"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_file_with_values_that_cannot_be_is_refused(setup: Setup, tmp_path: Path, fault: str) -> None:
    """With checksums that are right: whoever wrote it."""
    path = tmp_path / "p"
    save_predictions(path, record(setup, setup.test))
    document, tensors = container.read(path, KIND)
    change, message = BAD[fault]
    change(document, tensors)
    container.write(path, KIND, tensors, {k: v for k, v in document.items() if k not in ("sha256",)})
    with pytest.raises(InputError, match=message) as caught:
        load_predictions(path)
    assert caught.value.file == path


def test_a_file_that_is_cut_or_of_another_kind_is_refused(setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "p"
    save_predictions(path, record(setup, setup.test))
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole[:40], b"", b"x" * 200, whole[:-3] + b"\x7f" + whole[-2:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            load_predictions(path)
    with pytest.raises(InputError, match="no such file"):
        load_predictions(tmp_path / "none")


def test_a_run_leaves_them_with_the_errors_that_it_reports(configure: Configure, console: Console) -> None:
    result = train(configure(), console=console)
    folder = RunFolder(result.folder)
    p = load_predictions(folder.predictions)
    errors = json.loads(folder.errors.read_text())
    for split in ("train", "validation", "test"):
        for head in p.heads:
            own = p.chosen(split, head)
            assert own.sum() == errors[split][head]["frames"]
            off = np.abs(p.energy.predicted - p.energy.reference)[own] / p.atoms[own]
            assert off.mean() == pytest.approx(errors[split][head]["energy"]["mae"], rel=1e-9)
            forces = np.abs(p.forces.predicted - p.forces.reference)[own[p.frame_of_atom]]
            assert forces.mean() == pytest.approx(errors[split][head]["forces"]["mae"], rel=1e-5)
    assert folder.predictions in folder.files
    assert folder.card in folder.files

    folder.forget_results()
    assert not any(f.exists() for f in (folder.predictions, folder.card, folder.errors))
    assert folder.best.exists()


def test_the_base_s_own_answers_are_told_from_labels(finetune: Configure, console: Console) -> None:
    result = train(finetune("training.epochs=1"), console=console)
    p = load_predictions(RunFolder(result.folder).predictions)
    by_head = {h: p.own_answers[p.head == k] for k, h in enumerate(p.heads)}
    assert by_head["clusters"].all()  # structures without labels
    assert not by_head["metals"].any()
    assert not by_head["alloys"].any()
