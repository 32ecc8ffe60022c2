"""Time of inference and of a training step, ours and mace-torch's, measured in turns in one run.

    python benchmarks/train_step.py [--all] [--threads N] [--oracle PYTHON] [--write]

Both have random weights of the same configuration and the same edges, which are found before; inference is
energy, forces and, in crystals, stress; training is a loss on the forces and its gradient. Each is warmed up,
then they take turns, and medians are compared. Memory is the peak of the process, libraries included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from cases import QUANTITIES, SIZES, STRUCTURES

ANSWER = "answer: "  # as in worker.py, which imports torch
HERE = Path(__file__).parent
WARM_UP = 3  # calls; TorchScript, which mace-torch uses inside, optimises during the first ones
LONG = 4.0  # s; no more of them after this
COLUMNS = (
    *("model", "structure", "edges/atom", "dtype", "task"),
    *("ours, ms", "mace, ms", "ratio", "ours, MiB", "mace, MiB"),
)


class Line(NamedTuple):
    """One measurement."""

    size: str
    structure: str
    edges_per_atom: float
    dtype: str
    quantity: str
    seconds: tuple[float, float]  # medians: ours, theirs
    peak: tuple[float, float]  # MiB

    def cells(self) -> list[str]:
        ours, theirs = self.seconds
        return [
            self.size,
            self.structure,
            f"{self.edges_per_atom:.1f}",
            self.dtype,
            self.quantity,
            f"{1000 * ours:.1f}",
            f"{1000 * theirs:.1f}",
            f"{theirs / ours:.2f}",
            *(f"{peak:.0f}" for peak in self.peak),
        ]


class Worker:
    """A process that measures when asked."""

    def __init__(self, interpreter: str, script: str, threads: int) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" or "crossfield" in script}
        environment |= {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        self._process = subprocess.Popen(
            [interpreter, str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment,
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        sys.exit(f"{self._process.args!r} ended with code {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Measure, show, and write."""
    options = parse()
    if not Path(options.oracle).exists():
        sys.exit(f"{options.oracle} is missing: `make parity` makes it, or name another with --oracle")
    console = Console(width=None if sys.stdout.isatty() else 112, highlight=False)
    console.print(headline(options.threads), soft_wrap=True)
    ours = Worker(sys.executable, "worker_crossfield.py", options.threads)
    theirs = Worker(options.oracle, "worker_mace.py", options.threads)
    dtypes = ("float32", "float64") if options.all else ("float32",)
    cases = list(product(SIZES, STRUCTURES, dtypes, QUANTITIES))
    lines = []
    start = time.monotonic()
    try:
        with console.status("starting") as status:
            for number, wanted in enumerate(cases, 1):
                status.update(f"{number}/{len(cases)}: {', '.join(wanted)}")
                names = dict(zip(("size", "structure", "dtype", "quantity"), wanted, strict=True))
                lines.append(measure(ours, theirs, names, options.rounds, options.seconds))
    finally:
        ours.close()
        theirs.close()
    console.print(as_table(lines))
    console.print(f"{means(lines)} ({time.monotonic() - start:.0f} s)")
    if options.write:
        console.print(f"written to {write(lines, options.threads)}", soft_wrap=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Crossfield and mace-torch, timed in turns.")
    parser.add_argument("--all", action="store_true", help="float64 too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--oracle", default=str(HERE.parent / ".venv-oracle/bin/python"), metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--seconds", type=float, default=0.7, help="length of a turn; at least one call")
    parser.add_argument("--write", action="store_true", help="keep the table under benchmarks/results")
    return parser.parse_args()


def measure(ours: Worker, theirs: Worker, names: dict[str, str], rounds: int, seconds: float) -> Line:
    """Medians of one case, in turns: A B A B ..."""
    workers = (ours, theirs)
    jobs = [worker.ask({"prepare": names}) for worker in workers]
    if jobs[0]["edges"] != jobs[1]["edges"] or jobs[0]["parameters"] != jobs[1]["parameters"]:
        sys.exit(f"{names}: not the same work: {jobs}")
    for worker in workers:
        start = time.monotonic()
        for _ in range(WARM_UP):
            if time.monotonic() - start < LONG:
                worker.ask({"seconds": 1e-9})
    times: tuple[list[float], list[float]] = ([], [])
    peak = (0.0, 0.0)
    for _ in range(rounds):
        answers = [worker.ask({"seconds": seconds}) for worker in workers]
        for found, answer in zip(times, answers, strict=True):
            found += answer["times"]
        peak = (answers[0]["peak"], answers[1]["peak"])
    edges_per_atom = jobs[0]["edges"] / jobs[0]["atoms"]
    medians = (statistics.median(times[0]), statistics.median(times[1]))
    return Line(edges_per_atom=edges_per_atom, seconds=medians, peak=peak, **names)


def as_table(lines: list[Line]) -> Table:
    """For the terminal."""
    table = Table(
        title="a ratio above 1: Crossfield is faster", box=box.SIMPLE_HEAD, padding=0, pad_edge=False
    )
    for column in COLUMNS:
        left = column in ("model", "structure", "dtype", "task")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line.cells())
    return table


def write(lines: list[Line], threads: int) -> Path:
    """For the archive, as Markdown."""
    path = HERE / "results" / f"{date.today().isoformat()}-{processor_name()}.md"
    path.parent.mkdir(exist_ok=True)
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(line.cells() for line in lines)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    title = f"# Crossfield and mace-torch\n\n{headline(threads)}"
    path.write_text(f"{title}\n\n{table}\n\n{means(lines)}\n")
    return path


def means(lines: list[Line]) -> str:
    """One number for each quantity."""
    ratios = {q: [x.seconds[1] / x.seconds[0] for x in lines if x.quantity == q] for q in QUANTITIES}
    parts = (f"{name} {statistics.geometric_mean(found):.2f}" for name, found in ratios.items())
    return f"Geometric mean of the ratios mace/ours: {', '.join(parts)}."


def headline(threads: int) -> str:
    """Machine and versions."""
    return (
        f"{processor()}, {threads} thread{'s' if threads > 1 else ''}; "
        f"crossfield {version('crossfield')} (plain PyTorch {version('torch')}), "
        "mace-torch 0.3.16 (eager, independent couplings, no GPU library)"
    )


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        if found:
            return " ".join(found[1].split())
    return platform.processor() or platform.machine()


def processor_name() -> str:
    """Name of the processor, fit for that of a file."""
    return re.sub(r"[^\w.]+", "-", processor()).strip("-")


if __name__ == "__main__":
    main()
