"""Two processes that measure, each in an environment of its own, in turns or one after the other."""

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
from typing import Any, NamedTuple

import numpy as np

from cases import LARGEST, SIZES, TOLERANCE, Case, memory_of_mace
from crossfield.bench.structures import structures
from crossfield.graph import neighbour_list

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
    peak: float | None  # MiB, most memory of the process, libraries included; on a GPU, of PyTorch there
    increase: float | None  # MiB, of that, over the memory just before the first call
    backend: str
    atoms: int
    stopped: str = ""  # why there were not more atoms, where the largest is looked for


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
        """How often ours fits into theirs; None also where they are not of the same."""
        if self.ours is None or self.theirs is None or self.ours.atoms != self.theirs.atoms:
            return None
        return self.theirs.seconds / self.ours.seconds


class Limits(NamedTuple):
    """How long and how much."""

    rounds: int  # turns of each
    seconds: float  # length of a turn; at least one call
    max_memory: float  # GiB; mace-torch is not tried where it would take more
    apart: bool  # one after the other: both want all of the memory of a GPU, and nothing else uses it
    largest: float = 150.0  # s, for the largest crystal


class Side:
    """A process that measures when asked. It begins anew after it ran out of memory.

    Args:
        interpreter: Python of its environment.
        script: what it runs.
        device: that it measures.
        how: the back end, or the library of mace-torch.
        threads: that it may use.
        max_memory: that it may take, GiB.
        cache: where converted models go.
    """

    def __init__(
        self,
        interpreter: str,
        script: str,
        device: str,
        how: str,
        *,
        threads: int,
        max_memory: float,
        cache: Path,
    ) -> None:
        self._command = [interpreter, str(HERE / script), device, how]
        here = Path(interpreter).absolute() == Path(sys.executable).absolute()
        self._environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" or here}
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

    def release(self) -> None:
        """Let go of the case, and of the memory that it takes."""
        if self._process is not None:
            self.must("release")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None


def measure(case: Case, path: str, ours: Side, theirs: Side | None, limits: Limits) -> Line:
    """Compare both on one case, and time them.

    Args:
        case: what to measure.
        path: the model.
        ours, theirs: who measures; None: nobody.
        limits: how long and how much.
    """
    request = {name: part for name, part in case._asdict().items() if name != "size"} | {"path": path}
    sides = [ours, *([theirs] if theirs else [])]
    if case.quantity == LARGEST:
        return _largest(case, request, ours, theirs, limits)
    answers: dict[Side, dict[str, Any]] = {}
    measured: dict[Side, Measured] = {}
    differences, size = None, None
    for group in [[side] for side in sides] if limits.apart else [sides]:
        for side in group:
            if side is theirs:
                size = size or size_of(case, answers.get(ours))
                if memory_of_mace(case, *size) > 1024 * limits.max_memory:
                    continue
            answer = side.ask("prepare", **request)
            if answer is not None:
                answers[side] = answer
        if len(answers) == 2:
            differences = compare(case, *answers.values())
        ready = {side: answers[side] for side in group if side in answers}
        measured |= _in_turns(ready, limits)
        if limits.apart:
            for side in group:
                side.release()
    atoms, edges = size or size_of(case, answers.get(ours))
    mine, other = measured.get(ours), measured.get(theirs) if theirs else None
    return Line(case, atoms, edges, mine, other, differences)


def _in_turns(ready: dict[Side, dict[str, Any]], limits: Limits) -> dict[Side, Measured]:
    """Time what is prepared; those that run out of memory are left out."""
    found: dict[Side, list[float]] = {side: [] for side in ready}
    usage: dict[Side, dict[str, Any]] = {}
    start = time.monotonic()
    for turn in range(-1, limits.rounds):
        if turn > 0 and time.monotonic() - start > PATIENCE:
            break
        for side in list(found):
            if turn < 0:
                times = _warm_up(side, ready[side]["first"])
            else:
                times = side.ask("time", seconds=limits.seconds)
            if times is None:
                del found[side]
            elif turn >= 0:
                found[side] += times["times"]
                usage[side] = times
    return {
        side: Measured(
            statistics.median(times),
            len(times),
            usage[side]["peak"],
            usage[side]["increase"],
            ready[side]["backend"],
            ready[side]["atoms"],
        )
        for side, times in found.items()
    }


def _largest(case: Case, request: dict[str, Any], ours: Side, theirs: Side | None, limits: Limits) -> Line:
    """How far each gets."""
    found: list[Measured | None] = []
    edges = 0
    for side in (ours, theirs):
        answer = side.ask("largest", **request, seconds=limits.largest) if side else None
        if side:
            side.close()  # after an error of CUDA nothing works any more
        if answer is None or "atoms" not in answer:
            found.append(None)
            continue
        names = ("seconds", "peak", "increase", "backend", "atoms", "stopped")
        found.append(Measured(calls=2, **{name: answer[name] for name in names}))
        edges = edges or answer["edges"]
    return Line(case, next((m.atoms for m in found if m), 0), edges, found[0], found[1], None)


def size_of(case: Case, answer: dict[str, Any] | None) -> tuple[int, int]:
    """Numbers of atoms and edges; they are counted where there was no memory to say."""
    if answer is not None:
        return answer["atoms"], answer["edges"]
    atoms, cutoff = structures(case.structure), SIZES[case.size]["cutoff"]
    edges = {
        key: len(neighbour_list(a.positions, a.cell.array, a.pbc, cutoff).sender)
        for key, a in {id(a): a for a in atoms}.items()
    }
    return sum(map(len, atoms)), sum(edges[id(a)] for a in atoms)


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
    per_structure = ours["atoms"] / len(ours["energy"])
    for name, least in (("energy", per_structure), ("forces", 1.0), ("stress", 0.0)):
        if ours[name] is None or theirs[name] is None:
            continue
        a, b = np.asarray(ours[name]), np.asarray(theirs[name])
        differences[name] = float(np.abs(a - b).max() / max(np.abs(b).max(), least))
        if not differences[name] <= TOLERANCE[case.dtype]:
            sys.exit(f"{case}: {name} differs by {differences[name]:.1e} of its size")
    return differences
