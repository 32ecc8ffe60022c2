"""A folder of `crossfield train`, finished or not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from crossfield.errors import InputError
from crossfield.report.facts import ModelFacts, read_model, read_restart
from crossfield.report.logged import (
    ERRORS,
    FORGETTING,
    REJECTED,
    SPLITS,
    Epoch,
    Forgetting,
    Rejected,
    read_json,
    read_log,
)
from crossfield.train.folder import RunFolder
from crossfield.zoo.card import Results

JUST_NOW = 60.0  # s: a run that has written something since is running
# s, and times the longest epoch: a run that goes on writes more often
SILENCE, EPOCHS_OF_SILENCE = 600.0, 3.0


@dataclass(frozen=True)
class Run:
    """All that its files say."""

    path: Path
    config: Mapping[str, Any]
    epochs: tuple[Epoch, ...]
    errors: Results | None  # of a run that has ended
    forgetting: Forgetting | None  # of one that has ended, and began from a base
    frames: Mapping[str, Mapping[str, int]]  # numbers by head and split
    rejected: Rejected
    model: ModelFacts | None  # None in the first moments
    watch: Mapping[str, list[float]] = field(default_factory=dict)  # of over-fitting, by head
    step: int = 0  # steps done
    written: float = 0.0  # when something was last written, s since 1970
    read: float = 0.0  # when it was read, s since 1970
    troubles: tuple[str, ...] = ()  # files that are there and cannot be read

    @property
    def finished(self) -> bool:
        """Whether it ended by itself: errors are found then."""
        return self.errors is not None

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights are the best; without validation frames, the last one."""
        return next((e for e in reversed(self.epochs) if e.best), None)

    @property
    def silent(self) -> float | None:
        """Seconds since something was written, where that is much longer than any epoch took; else None."""
        ends = [0.0, *(epoch.seconds for epoch in self.epochs)]
        longest = max((end - begin for begin, end in pairwise(ends)), default=float("inf"))
        silent = self.read - self.written
        return silent if not self.finished and silent > max(SILENCE, EPOCHS_OF_SILENCE * longest) else None

    @property
    def heads(self) -> tuple[str, ...]:
        """Names, in the order of the model."""
        if self.model is not None:
            return tuple(head.name for head in self.model.heads)
        return tuple(self.frames) or tuple(self.config.get("heads", {}))

    @property
    def progress(self) -> float | None:
        """From 0 to 1; None where it cannot be told."""
        if self.finished:
            return 1.0
        training = self.config.get("training", {})
        epochs, minutes = training.get("epochs"), training.get("minutes")
        last = self.epochs[-1] if self.epochs else None
        if last is None or not epochs:
            return None
        done = last.epoch / epochs
        return min(1.0, max(done, last.seconds / (60.0 * minutes)) if minutes else done)


def is_run(path: Path) -> bool:
    """Whether a folder is, or was, written by `crossfield train`."""
    folder = RunFolder(path)
    return folder.config.is_file() or folder.log.is_file()


def last_written(folder: RunFolder) -> float:
    """When a run last wrote something, s since 1970; now, if it never has."""
    return max((file.stat().st_mtime for file in folder.files if file.exists()), default=time.time())


def minutes_of_silence(folder: RunFolder) -> int | None:
    """Whole minutes since a run wrote something, with which its state changes; None: it has ended."""
    if folder.errors.exists():
        return None
    return max(0, int((time.time() - last_written(folder)) // JUST_NOW))


def read_run(path: Path) -> Run:
    """Read a folder as it is now.

    Raises:
        InputError: it holds no run, or a file is damaged; the message names it.
    """
    if not is_run(path):
        raise InputError("holds no run of `crossfield train` (no config.yaml, no log.jsonl)", file=path)
    folder = RunFolder(path)
    splits = read_json(folder.splits, SPLITS) or {}
    model, watch, step, troubles = _facts(folder)
    epochs = read_log(folder.log)
    return Run(
        path=path,
        config=_config(folder.config),
        epochs=epochs,
        errors=read_json(folder.errors, ERRORS),
        forgetting=read_json(folder.forgetting, FORGETTING),
        frames={
            head: {split: sum(map(len, files.values())) for split, files in by_split.items()}
            for head, by_split in splits.items()
        },
        rejected=read_json(folder.rejected, REJECTED) or {},
        model=model,
        watch=watch,
        step=max([step, *(epoch.step for epoch in epochs)]),
        written=last_written(folder),
        read=time.time(),
        troubles=troubles,
    )


def _config(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"is damaged: {error}", file=path) from error
    if not isinstance(found, dict) or any(
        not isinstance(found.get(key, {}), dict) for key in ("heads", "training")
    ):
        raise InputError("is no configuration of a run", file=path)
    return found


def _facts(folder: RunFolder) -> tuple[ModelFacts | None, Mapping[str, list[float]], int, tuple[str, ...]]:
    """From the best weights there are, else from the restart file, which is there from the first moment."""
    troubles: list[str] = []
    model: ModelFacts | None = None
    state: Mapping[str, Any] = {}
    weights = next((path for path in (folder.best, folder.last) if path.exists()), None)
    if weights is not None:
        model = read_model(weights)
    if folder.restart.exists():
        try:
            known, state = read_restart(folder.restart)
            model = model or known
        except InputError as error:  # nothing that is missed but the note on over-fitting
            troubles.append(str(error))
    return model, state.get("watch") or {}, int(state.get("step") or 0), tuple(troubles)
