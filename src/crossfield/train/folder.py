"""The folder of a run: its files, written so that a kill at any moment leaves each of them whole."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from crossfield.errors import InputError
from crossfield.files import replacing
from crossfield.train.config import Config

REPLAYED = (".xyz.gz", ".xyz.gz.json", ".safetensors", ".safetensors.parts")


class RunFolder:
    """Paths and small files of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.log = path / "log.jsonl"
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self.restart = path / "restart.safetensors"
        self.errors = path / "errors.json"
        self.forgetting = path / "forgetting.json"
        self.splits = path / "splits.json"
        self.rejected = path / "rejected.json"
        self.predictions = path / "predictions.safetensors"
        self.card = path / "model-card.md"
        self.replay = path / "replay"

    @property
    def files(self) -> list[Path]:
        """Those that exist."""
        weights = (self.best, self.last, self.restart)
        known = (self.config, self.log, *weights, *self._results, self.splits, self.rejected)
        return [file for file in known if file.exists()]

    def holds(self, weights: Path) -> bool:
        """Whether a file of weights is one that a run wrote here."""
        return self.config.is_file() and weights.name in (self.best.name, self.last.name)

    @property
    def _results(self) -> tuple[Path, ...]:
        """What a run finds at its end; only the card, if it was interrupted."""
        return self.errors, self.forgetting, self.predictions, self.card

    def check(self, *, resume: bool, overwrite: bool, reads: Sequence[Path] = ()) -> None:
        """Check that the run may write here; changes nothing.

        Args:
            resume: go on with the run that is here.
            overwrite: replace it.
            reads: files that the new run is to read; those that do not exist do not matter.

        Raises:
            InputError: there is a run already, none to resume, or one whose files the new run reads.
        """
        if resume and not self.restart.exists():
            raise InputError(f"{self.path} holds no run to resume (no {self.restart.name})")
        for file in () if resume else (*self.files, *self.replayed):
            if any(path.exists() and path.samefile(file) for path in reads):
                raise InputError(
                    f"{file} is read by this run, and would be replaced by it: choose another output"
                )
        if self.files and not (resume or overwrite):
            raise InputError(
                f"{self.path} already holds a run: --resume goes on with it, --overwrite replaces it; or "
                "choose another output"
            )

    def clear(self, replayed: Collection[str] = (), keep: Sequence[Path] = ()) -> None:
        """Make the folder, without the files of an older run.

        Args:
            replayed: heads of the base whose structures and labels are of the new run.
            keep: files of labels that stay, wherever they are.
        """
        for file in self.files:
            file.unlink()
        kept = {_file_name(head) for head in replayed}
        for path in self.replayed:
            if path.name.partition(".")[0] in kept or any(path.samefile(k) for k in keep if k.exists()):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.path.mkdir(parents=True, exist_ok=True)

    def replay_file(self, head: str, suffix: str) -> Path:
        """A file about what is replayed of a head."""
        return self.replay / (_file_name(head) + suffix)

    @property
    def replayed(self) -> list[Path]:
        """Structures and labels of the heads of a base, unfinished ones included."""
        return sorted(path for path in self.replay.glob("*") if path.name.endswith(REPLAYED))

    def forget_results(self) -> None:
        """Remove the results of a shorter run."""
        for file in self._results:
            file.unlink(missing_ok=True)

    def write_config(self, config: Config) -> None:
        """The configuration with all defaults, as a file that starts the same run from this folder."""
        # output is resolved against root in the same way as data files
        values = {**config.as_dict(), "root": os.path.relpath(config.root, self.path)}
        write_text(self.config, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))

    def append_log(self, line: Mapping[str, Any]) -> int:
        """Add a line to the log; returns the length of the log in bytes."""
        with self.log.open("ab") as file:
            file.write((to_json(line) + "\n").encode())
            return file.tell()

    def cut_log(self, size: int) -> None:
        """Forget log lines that were written after the restart file."""
        self.log.touch()
        if self.log.stat().st_size < size:
            raise InputError(f"is shorter than when {self.restart.name} was written", file=self.log)
        os.truncate(self.log, size)


def _file_name(head: str) -> str:
    """A name for files; heads of a base may be called anything."""
    return re.sub(r"[^\w\-]", lambda sign: f"%{ord(sign[0]):02x}", head)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half written."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a text file so that it is never seen half written."""
    write_bytes(path, content.encode())


def to_json(value: Any, indent: int | None = None) -> str:
    """Strict JSON: numbers that are not finite become null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
