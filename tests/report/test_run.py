"""Folders of runs: finished, going on, damaged."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from crossfield.errors import InputError
from crossfield.report.logged import read_log
from crossfield.report.run import read_run
from crossfield.train.restart import KIND, RunState
from crossfield.zoo import container
from tests.report.runs import FORGETTING, epoch, make_run


def write_restart(path: Path, **state: object) -> None:
    document = {
        "state": asdict(RunState(**state)),  # type: ignore[arg-type]
        "config": {},
        "base": None,
        "data": {"pbe": {"theory": "pbe_gpaw", "role": "taught"}},
        "heads": {"pbe": {"E0": {"8": -9.5}, "scale": 2.0, "shift": 0.0}},
    }
    container.write(path, KIND, {"x": torch.zeros(1)}, document)


def test_a_finished_run_is_read_whole(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, forgetting=FORGETTING, rejected={"pbe": {"a.xyz": {"3": "no energy"}}}))
    assert run.finished
    assert run.progress == 1.0
    assert run.heads == ("pbe", "dft")
    assert run.frames == {h: {"train": 4, "test": 1} for h in ("pbe", "dft")}
    assert [e.step for e in run.epochs] == [10, 20, 30]
    assert run.best is not None
    assert run.best.step == 30
    assert run.step == 30
    assert run.errors is not None
    assert run.errors.test["pbe"].energy.mae == 0.03  # type: ignore[union-attr]
    assert run.forgetting is not None
    assert [c.worse for c in run.forgetting.changes] == [False, True, False]
    assert run.model is not None
    (first, second) = run.model.heads
    assert (first.method, first.role, first.rejected) == ("method / basis", "taught", 2)
    assert (first.elements[1].E0, first.elements[1].uncertainty, first.elements[1].frames) == (-1.0, 0.25, 4)
    assert second.elements[1].E0 == -2.0
    assert second.elements[1].frames is None


def test_the_best_epoch_is_the_last_that_was_said_to_be(tmp_path: Path) -> None:
    make_run(tmp_path)
    lines = [
        epoch(1, ("pbe",)),
        epoch(2, ("pbe",)),
        epoch(3, ("pbe",), best=False),
        epoch(4, ("pbe",), best=None),
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    best = read_run(tmp_path).best
    assert best is not None
    assert best.epoch == 2


def test_a_line_that_is_still_written_waits(tmp_path: Path) -> None:
    log = make_run(tmp_path) / "log.jsonl"
    whole = log.read_bytes()
    for length in (len(whole) - 1, len(whole) - 40):
        log.write_bytes(whole[:length])
        assert [e.epoch for e in read_log(log)] == [1, 2]
    log.write_bytes(b"")
    assert read_log(log) == ()


@pytest.mark.parametrize("line", ["{", "[]", '{"epoch": 1}', '{"epoch": 1, "step": 2, "loss": NaN}', ""])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    log = make_run(tmp_path) / "log.jsonl"
    log.write_text(f"{json.dumps(epoch(1, ('pbe',)))}\n{line}\n{json.dumps(epoch(2, ('pbe',)))}\n")
    with pytest.raises(InputError, match=r"log\.jsonl: line 2 is damaged"):
        read_run(tmp_path)


@pytest.mark.parametrize("name", ["errors.json", "forgetting.json", "splits.json", "rejected.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff\xfe", b"[" * 5000])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    make_run(tmp_path)
    (tmp_path / name).write_bytes(content)
    if (name, content) == ("errors.json", b'{"a": 1}'):
        assert (
            read_run(tmp_path).errors is not None
        )  # keys of other versions do not matter, and all are optional
        return
    with pytest.raises(InputError, match=f"{name}: is damaged"):
        read_run(tmp_path)


def test_damaged_weights_and_configurations_are_named(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "best.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"best\.safetensors"):
        read_run(tmp_path)
    (tmp_path / "best.safetensors").unlink()
    for text in ("- a", "heads: [", "heads: 3"):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(InputError, match=r"config\.yaml: is"):
            read_run(tmp_path)


def test_a_run_that_has_just_begun_knows_its_heads(tmp_path: Path) -> None:
    make_run(tmp_path, ("pbe",), epochs=0, finished=False, weights=False)
    run = read_run(tmp_path)
    assert (run.finished, run.progress, run.best, run.model, run.heads) == (False, None, None, None, ("pbe",))
    write_restart(tmp_path / "restart.safetensors", step=7)
    run = read_run(tmp_path)
    assert run.step == 7
    assert run.model is not None
    assert (run.model.heads[0].theory, run.model.heads[0].elements[8].E0) == ("pbe_gpaw", -9.5)


def test_progress_is_that_of_epochs_or_minutes_whichever_is_further(tmp_path: Path) -> None:
    make_run(tmp_path, epochs=2, finished=False)
    assert read_run(tmp_path).progress == 0.5
    (tmp_path / "config.yaml").write_text("training: {epochs: 4, minutes: 0.25}")  # 10 s of 15 s are over
    assert read_run(tmp_path).progress == pytest.approx(2 / 3)


def test_a_restart_file_that_cannot_be_read_is_told_and_no_more(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "restart.safetensors").write_bytes(b"of another version")
    run = read_run(tmp_path)
    assert len(run.troubles) == 1
    assert "restart.safetensors" in run.troubles[0]


def test_lines_of_older_versions_are_read(tmp_path: Path) -> None:
    log = make_run(tmp_path) / "log.jsonl"
    log.write_text(
        '{"epoch": 1, "step": 9, "loss": null, "learning_rate": 0.1, "validation": null, "x": 1}\n'
    )
    (only,) = read_log(log)
    assert (only.loss, only.loss_by_head, only.train, only.best) == (None, {}, None, None)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        read_run(tmp_path)
