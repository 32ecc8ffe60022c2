"""The folder of a run: its files, written so that a kill at any moment leaves each of them whole."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from crossfield.errors import InputError
from crossfield.files import replacing
from crossfield.train.config import Config


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

    @property
    def files(self) -> list[Path]:
        """Those that exist."""
        weights = (self.best, self.last, self.restart)
        results = (self.errors, self.forgetting)
        known = (self.config, self.log, *weights, *results, self.splits, self.rejected)
        return [file for file in known if file.exists()]

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Check that the run may write here; changes nothing.

        Raises:
            InputError: there is a run already, or none to resume.
        """
        if resume and not self.restart.exists():
            raise InputError(f"{self.path} holds no run to resume (no {self.restart.name})")
        if self.files and not (resume or overwrite):
            raise InputError(
                f"{self.path} already holds a run; resume it, overwrite it, or choose another output"
            )

    def clear(self) -> None:
        """Make the folder, without the files of an older run."""
        for file in self.files:
            file.unlink()
        self.path.mkdir(parents=True, exist_ok=True)

    def forget_results(self) -> None:
        """Remove the results of a shorter run."""
        self.errors.unlink(missing_ok=True)
        self.forgetting.unlink(missing_ok=True)

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
