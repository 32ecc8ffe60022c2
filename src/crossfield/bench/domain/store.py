"""Finished calculations of a model, one line each in a file that only grows; a kill loses at most the last.

Every line says what it is of by a digest over all that its values follow from, besides the model: structures,
settings, the function and its version, added dispersion. The model is in the name of the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from crossfield.bench.domain.benchmark import Benchmark, Item
from crossfield.bench.domain.results import MEASURED, SubjectResult, read_results
from crossfield.bench.domain.subject import Subject
from crossfield.errors import InputError
from crossfield.files import cache_folder, replacing
from crossfield.replay.lock import locked
from crossfield.zoo.download import file_sha256

SUBJECT = "subject.json"
Status = Literal["done", "not converged", "failed", "died"]


@dataclass(frozen=True)
class Outcome:
    """How one calculation ended."""

    status: Status
    values: Mapping[str, Any]  # empty unless done
    reason: str  # empty if done
    seconds: float


class Store:
    """Outcomes by digest, in the folder of a model.

    Args:
        folder: of the model; it is made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "calculations.jsonl"
        self._found: dict[str, Outcome] = {}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Within the block this process alone adds to the file; it waits for another that does."""
        with locked(self.file):
            self._load()
            yield

    def get(self, digest: str) -> Outcome | None:
        """What was calculated before; None: nothing."""
        return self._found.get(digest)

    def add(self, digest: str, item: str, outcome: Outcome) -> None:
        """Write an outcome down; it is on the disk when this returns."""
        line = {
            "digest": digest,
            "item": item,
            "status": outcome.status,
            "values": outcome.values,
            "reason": outcome.reason,
            "seconds": round(outcome.seconds, 4),
        }
        with self.file.open("ab") as file:
            file.write((json.dumps(line, allow_nan=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        self._found[digest] = outcome

    def _load(self) -> None:
        self._found.clear()
        self.file.touch()
        with self.file.open("rb+") as file:
            end = 0
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(end)  # the writer was killed here
                    break
                end += len(line)
                if (read := _outcome(line)) is not None:
                    self._found[read[0]] = read[1]


def folder_of(subject: Subject) -> Path:
    """Where the outcomes and results of a model are kept."""
    return _kept() / subject.fingerprint[:24]


def results_file(folder: Path, *, quick: bool) -> Path:
    """Where the results of a model are kept."""
    return folder / ("results-quick.json" if quick else "results.json")


def note_subject(subject: Subject, folder: Path) -> None:
    """Write down which model a folder is of."""
    with replacing(folder / SUBJECT) as temporary:
        temporary.write_text(subject.as_result().model_dump_json(), encoding="utf-8")


def kept_results(weights: Path) -> list[Path]:
    """Results of a model file, one file for each head and precision: of quick runs if these have more."""
    digest = file_sha256(weights)
    found = []
    for note in sorted(_kept().glob(f"*/{SUBJECT}")):
        try:
            subject = SubjectResult.model_validate_json(note.read_bytes())
        except (OSError, ValueError):
            continue  # the next run of this model writes it again
        if subject.weights == digest:
            files = [results_file(note.parent, quick=quick) for quick in (False, True)]
            found += sorted((file for file in files if file.exists()), key=_measured, reverse=True)[:1]
    return found


def _measured(file: Path) -> int:
    """Number of benchmarks with numbers in a file of results; of equal ones, the first is kept."""
    try:
        return sum(b.status in MEASURED for b in read_results(file).benchmarks)
    except InputError:
        return -1  # shown only if there is nothing better, and then refused by name


def _kept() -> Path:
    return cache_folder() / "benchmarks"


def item_digest(benchmark: Benchmark, item: Item, dispersion: str | None) -> str:
    """SHA-256 of all that the values of an item follow from, besides the model."""
    function = benchmark.calculate
    packages = [*benchmark.packages, *(["dftd3"] if dispersion else [])]
    used = {package: version(package) for package in packages}
    stated = [function.__module__, function.__qualname__, benchmark.version, dispersion, used]
    stated.append(dict(item.settings))
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
    for role, atoms in sorted(item.structures.items()):
        facts = [role, len(atoms), atoms.info["charge"], atoms.info["spin"]]
        digest.update(json.dumps(facts).encode())
        for array, dtype in (
            (atoms.numbers, "<i8"),
            (atoms.positions, "<f8"),
            (atoms.cell.array, "<f8"),
            (atoms.pbc, "u1"),
        ):
            digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.hexdigest()


def _outcome(line: bytes) -> tuple[str, Outcome] | None:
    """A line of the file; None if it is damaged, and its calculation is done again."""
    try:
        v = json.loads(line)
        if v["status"] not in get_args(Status) or not isinstance(v["values"], dict):
            return None
        return str(v["digest"]), Outcome(v["status"], v["values"], str(v["reason"]), float(v["seconds"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
