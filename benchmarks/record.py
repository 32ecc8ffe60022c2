"""Results as they come, one JSON line each after one about the run: a run that was killed can go on."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import crossfield
from cases import Case
from crossfield.bench.machine import processor
from turns import Limits, Line, Measured

TIMED = ("algebra", "graph", "inference", "kernels", "model", "simulate", "zoo")  # folders of what is timed


class Record:
    """The file of a run.

    Args:
        path: the file.
        about: what must be the same in all of a run.
        peaks: what the machine can, as measured when the run began.
    """

    def __init__(self, path: Path, about: dict[str, Any], peaks: dict[str, Any]) -> None:
        self._path = path
        self.about, self.peaks = about, peaks
        self.lines: list[Line] = []

    def begin(self) -> None:
        """Start a new file; an earlier one is kept beside it."""
        if self._path.exists():
            self._path.replace(self._path.with_suffix(".old.jsonl"))
        self._write({"about": self.about, "peaks": self.peaks})

    def resume(self) -> None:
        """Take over what an earlier run has measured; ends if it was not measured alike."""
        if not self._path.exists():
            sys.exit(f"{self._path}: there is no run to resume")
        first, *others = self._path.read_text().splitlines(keepends=True)
        before = json.loads(first)
        for name, value in self.about.items():
            if before["about"].get(name) != value:
                sys.exit(
                    f"{self._path}: {name} was {before['about'].get(name)} and is {value}; that does not "
                    "belong into one table: begin anew, without --resume"
                )
        whole = [text for text in others if text.endswith("\n")]  # the last one may have been cut
        self._path.write_text("".join([first, *whole]))
        self.peaks = best(self.peaks, before["peaks"])
        for facts in map(json.loads, whole):
            if "peaks" in facts:
                self.peaks = best(self.peaks, facts["peaks"])
            else:
                self.lines.append(_line(facts))

    def add(self, line: Line) -> None:
        """Keep a result, on disk at once."""
        self.lines.append(line)
        self._write(asdict(line) | {"case": line.case._asdict()})

    def add_peaks(self, peaks: dict[str, Any]) -> None:
        """Keep another measurement of what the machine can; the best one counts."""
        self.peaks = best(self.peaks, peaks)
        self._write({"peaks": peaks})

    def _write(self, facts: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(facts) + "\n")
            file.flush()
            os.fsync(file.fileno())


def best(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The higher of two measurements: a machine that others use shows less than it can."""
    flops = {dtype: max(rate, other["flops"][dtype]) for dtype, rate in one["flops"].items()}
    return {"flops": flops, "bandwidth": max(one["bandwidth"], other["bandwidth"])}


def about(
    limits: Limits, threads: int, device: dict[str, Any], library: str, ours: Any, theirs: Any
) -> dict[str, Any]:
    """What results must have in common to stand in one table.

    Args:
        limits: turns and their length.
        threads: of each process.
        device: its name and memory.
        library: that mace-torch uses.
        ours, theirs: versions; None: not measured.
    """
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "device": device,
        "threads": threads,
        "rounds": limits.rounds,
        "seconds": limits.seconds,
        "crossfield": ours,
        "mace-torch": theirs,
        "library": library,
        "source": source_digest(),
    }


def source_digest() -> str:
    """Of the code that is timed, whose version number does not tell one state of it from the next."""
    package = Path(crossfield.__file__).parent
    digest = hashlib.sha256()
    for folder in TIMED:
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _line(facts: dict[str, Any]) -> Line:
    sides = {side: None if facts[side] is None else Measured(**facts[side]) for side in ("ours", "theirs")}
    return Line(**(facts | sides | {"case": Case(**facts["case"])}))
