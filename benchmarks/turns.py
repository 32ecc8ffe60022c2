"""Two processes that measure in turns, A B A B ..., each in an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.neighborlist import neighbor_list

from cases import SIZES, TOLERANCE, Case, memory_of_mace
from crossfield.bench.structures import structure

ANSWER = "answer: "  # as in worker.py, which imports torch
HERE = Path(__file__).parent
WARM_UP = 2  # calls besides the first; TorchScript, which mace-torch uses inside, optimises during them
LONG = 4.0  # s; no more of them after this
PATIENCE = 60.0  # s; no more turns of a case after this, once each had one


@dataclass(frozen=True)
class Measured:
    """What one of the two took."""

    seconds: float  # median
    calls: int
    peak: float | None  # MiB, largest resident memory of the process, libraries included
    increase: float | None  # MiB, of that, over the resident memory just before the first call
    backend: str


@dataclass(frozen=True)
class Line:
    """One case; None where it was not tried, or did not fit into memory."""

    case: Case
    atoms: int
    edges: int
    ours: Measured | None
    theirs: Measured | None
    differences: dict[str, float] | None  # of energy, forces, stress; relative

    @property
    def ratio(self) -> float | None:
        """How often ours fits into theirs."""
        return self.theirs.seconds / self.ours.seconds if self.ours and self.theirs else None


class Side:
    """A process that measures when asked. It begins anew after it ran out of memory.

    Args:
        interpreter: Python of its environment.
        script: what it runs.
        threads: that it may use.
        max_memory: that it may take, GiB.
        cache: where converted models go.
    """

    def __init__(self, interpreter: str, script: str, threads: int, max_memory: float, cache: Path) -> None:
        self._command = [interpreter, str(HERE / script)]
        self._environment = {
            k: v for k, v in os.environ.items() if k != "PYTHONPATH" or "crossfield" in script
        }
        self._environment |= {
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE",  # as crossfield sets it, for both
            "GOMP_SPINCOUNT": "1000",
            "MAX_MEMORY_GIB": str(max_memory),
            "CROSSFIELD_CACHE": str(cache),
        }
        self._process: subprocess.Popen[str] | None = None

    def ask(self, what: str, **request: Any) -> dict[str, Any] | None:
        """Send a request and wait for the answer; None: there was not enough memory."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                env=self._environment,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what} | request) + "\n")
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                answer: dict[str, Any] = json.loads(line.removeprefix(ANSWER))
                if "out_of_memory" not in answer:
                    return answer
                self.close()  # what is left of the case goes, too
                return None
        code = self._process.wait()
        self._process = None
        if code == -signal.SIGKILL:  # the system was short of memory
            return None
        sys.exit(f"{self._command} ended with code {code}")

    def must(self, what: str, **request: Any) -> dict[str, Any]:
        """As `ask`, where memory is no question."""
        answer = self.ask(what, **request)
        if answer is None:
            sys.exit(f"{self._command}: not enough memory for {what!r}; raise --max-memory")
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None


def measure(
    case: Case, path: str, ours: Side, theirs: Side, *, rounds: int, seconds: float, max_memory: float
) -> Line:
    """Compare both on one case, then time them in turns.

    Args:
        case: what to measure.
        path: the model, as mace-torch saved it.
        ours, theirs: who measures.
        rounds: turns of each.
        seconds: length of a turn; at least one call.
        max_memory: GiB; mace-torch is not tried where it would take more.
    """
    request = {name: part for name, part in case._asdict().items() if name != "size"} | {"path": path}
    atoms, edges = size_of(case)
    prepared = {ours: ours.ask("prepare", **request)}
    if memory_of_mace(case, atoms, edges) < 1024 * max_memory:
        prepared[theirs] = theirs.ask("prepare", **request)
    taking = {side: answer for side, answer in prepared.items() if answer is not None}
    differences = compare(case, *taking.values()) if len(taking) == 2 else None

    found: dict[Side, list[float]] = {side: [] for side in taking}
    usage: dict[Side, dict[str, Any]] = {}
    start = time.monotonic()
    for turn in range(-1, rounds):
        if turn > 0 and time.monotonic() - start > PATIENCE:
            break
        for side in list(found):
            if turn < 0:
                times = _warm_up(side, taking[side]["first"])
            else:
                times = side.ask("time", seconds=seconds)
            if times is None:
                del found[side]
            elif turn >= 0:
                found[side] += times["times"]
                usage[side] = times
    measured = {
        side: Measured(
            statistics.median(times),
            len(times),
            usage[side]["peak"],
            usage[side]["increase"],
            taking[side]["backend"],
        )
        for side, times in found.items()
    }
    return Line(case, atoms, edges, measured.get(ours), measured.get(theirs), differences)


def size_of(case: Case) -> tuple[int, int]:
    """Numbers of atoms and edges, known also where neither of the two can say."""
    atoms = structure(case.structure)
    return len(atoms), len(neighbor_list("i", atoms, SIZES[case.size]["cutoff"]))


def _warm_up(side: Side, spent: float) -> dict[str, Any] | None:
    answer: dict[str, Any] | None = {}
    for _ in range(WARM_UP):
        if spent < LONG:
            answer = side.ask("time", seconds=0.0)
            if answer is None:
                return None
            spent += sum(answer["times"])
    return answer


def compare(case: Case, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """Relative differences of the results: of energies by their size, of forces and stress by the largest.

    An energy counts as at least 1 eV per atom, forces as at least 1 eV/Å: what is left of the forces on an
    atom of a crystal is the rounding of larger ones. Anything above the tolerance ends the run, for then it
    is not the same that is timed.
    """
    for name in ("edges", "parameters"):
        if ours[name] != theirs[name]:
            sys.exit(f"{case}: not the same work: {name} {ours[name]} and {theirs[name]}")
    differences = {}
    for name, least in (("energy", float(ours["atoms"])), ("forces", 1.0), ("stress", 0.0)):
        if ours[name] is None or theirs[name] is None:
            continue
        a, b = np.asarray(ours[name]), np.asarray(theirs[name])
        differences[name] = float(np.abs(a - b).max() / max(np.abs(b).max(), least))
        if not differences[name] <= TOLERANCE[case.dtype]:
            sys.exit(f"{case}: {name} differs by {differences[name]:.1e} of its size")
    return differences
