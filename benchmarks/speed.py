"""Crossfield and mace-torch 0.3.16, measured in one run: inference, steps of MD, training.

    python benchmarks/speed.py --quick
    python benchmarks/speed.py --sizes MH-1 --cases water AlN --dtypes float32 --write
    python benchmarks/speed.py --resume --write
    python benchmarks/speed.py --device cuda --write

mace-torch writes models with random weights, Crossfield converts them; both evaluate the same structures with
the same threads, each in a process of its own, and must agree. On a CPU they are timed in turns. On a GPU the
cases are others, more of them large; each is measured by itself, and crystals are doubled until they do not
fit. Results are kept as they come: --resume goes on with a run that was ended, and adds cases to one. All
cases take an hour or two on two cores, and some minutes on a GPU.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from cases import LARGEST, Case, cases
from crossfield.bench.device import check
from crossfield.bench.machine import slug
from crossfield.bench.memory import available
from record import Record, about
from roofline import Peaks
from speed_tables import (
    GPU_NOTES,
    LIBRARIES,
    NOTES,
    ROOFLINE_NOTES,
    Table,
    batch_table,
    differences,
    headline,
    means,
    roofline_table,
    stops,
    targets_table,
    times_table,
)
from turns import HERE, Limits, Side, measure

ROUNDS, SECONDS = {"cpu": 5, "cuda": 3}, {"cpu": 1.0, "cuda": 0.5}
TRY = 1.25  # of a GPU's memory that mace-torch may be guessed to take: it only costs the time of trying


class Run(NamedTuple):
    """Who measures, and how."""

    ours: Side
    theirs: Side | None
    limits: Limits
    deadline: float  # by the monotonic clock; no case begins after it
    models: Path  # folder


def main() -> None:
    """Measure, show, and write."""
    options = parse()
    backend = options.backend or ("triton" if options.device == "cuda" else "auto")
    check(options.device, backend)
    wanted = cases(
        sizes=options.sizes,
        structures=options.cases,
        dtypes=options.dtypes,
        quantities=options.quantities,
        quick=options.quick,
        gpu=backend == "triton",
    )
    if not wanted:
        sys.exit("no case is left: see --cases, --sizes, --dtypes and --quantities")
    if not options.alone and not Path(options.oracle).exists():
        sys.exit(
            f"{options.oracle} is missing: `make parity` makes it, or name another with --oracle, or leave "
            "mace-torch out with --alone"
        )
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        most = options.max_memory or round(0.8 * (available() or 16384.0) / 1024, 1)
        common = {"threads": options.threads, "max_memory": most, "cache": folder / "cache"}
        ours = stack.enter_context(
            closing(Side(sys.executable, "worker_crossfield.py", options.device, backend, **common))
        )
        theirs = None
        if not options.alone:
            side = Side(options.oracle, "worker_mace.py", options.device, options.mace, **common)
            theirs = stack.enter_context(closing(side))
        facts = ours.must("about")
        if facts["device"]["memory"]:
            most = options.max_memory or TRY * facts["device"]["memory"]
        limits = Limits(options.rounds, options.seconds, most, apart=options.device == "cuda")
        versions = theirs and theirs.must("about")["versions"]
        same = about(limits, options.threads, facts["device"], options.mace, facts["versions"], versions)
        record = Record(options.record, same, facts["peaks"])
        if options.resume:
            record.resume()
        else:
            record.begin()
        run(wanted, record, Run(ours, theirs, limits, options.deadline, folder), console)
        record.add_peaks(ours.must("about")["peaks"])
    parts = report(record)
    console.print()
    for part in parts:
        console.print(part.rich() if isinstance(part, Table) else part, soft_wrap=True)
    if options.write:
        console.print(f"written to {write(record, parts)}", soft_wrap=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Crossfield and mace-torch, timed.")
    for name, what in (
        ("--cases", "structures"),
        ("--sizes", "models"),
        ("--dtypes", "precisions"),
        ("--quantities", "tasks"),
    ):
        parser.add_argument(name, nargs="+", default=[], metavar="TEXT", help=f"only {what} with such names")
    parser.add_argument("--quick", action="store_true", help="a handful of cases, in about three minutes")
    parser.add_argument("--device", default="cpu", choices=list(ROUNDS))
    parser.add_argument("--backend", help="ours; with triton, the cases are those of a GPU")
    parser.add_argument("--mace", default="e3nn", choices=list(LIBRARIES), help="what mace-torch uses")
    parser.add_argument("--alone", action="store_true", help="without mace-torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, help="turns of each")
    parser.add_argument("--seconds", type=float, help="length of a turn; at least one call")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no case begins after so long")
    parser.add_argument(
        "--max-memory",
        type=float,
        metavar="GIB",
        help="of each process; cases that take more are left out (0.8 of what is free, or all of a GPU)",
    )
    parser.add_argument("--oracle", default=str(HERE.parent / ".venv-oracle/bin/python"), metavar="PYTHON")
    parser.add_argument("--write", action="store_true", help="keep the tables under benchmarks/results")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the record")
    parser.add_argument("--record", type=Path, default=HERE / ".speed.jsonl", help="results as they come")
    options = parser.parse_args()
    options.deadline = time.monotonic() + 60.0 * options.minutes
    options.rounds = options.rounds or ROUNDS[options.device]
    options.seconds = options.seconds or SECONDS[options.device]
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 3), min(options.seconds, 0.5)
    return options


def run(wanted: list[Case], record: Record, setting: Run, console: Console) -> None:
    """Measure what the record does not have yet."""
    done = {line.case for line in record.lines}
    open_cases = [case for case in wanted if case not in done]
    start = time.monotonic()
    for number, case in enumerate(open_cases, 1):
        now = time.monotonic()
        if now > setting.deadline:
            console.print(f"time is up: {len(open_cases) - number + 1} cases are left for --resume")
            break
        path = setting.models / f"{case.size}{'.model' if setting.theirs else '.safetensors'}"
        if not path.exists():
            (setting.theirs or setting.ours).must("build", size=case.size, path=str(path))
        limits = setting.limits
        if case.quantity == LARGEST:  # twice: once for each
            limits = limits._replace(largest=min(limits.largest, 0.5 * (setting.deadline - now)))
        line = measure(case, str(path), setting.ours, setting.theirs, limits)
        record.add(line)
        ratio = "–" if line.ratio is None else f"{line.ratio:.2f}"
        passed = time.monotonic() - start
        console.print(f"{passed:6.0f} s  {number}/{len(open_cases)}  {case}: ratio {ratio}", soft_wrap=True)


def report(record: Record) -> list[str | Table]:
    """What is shown, and kept."""
    peaks, lines = Peaks(**record.peaks), record.lines
    backends = {line.ours.backend for line in lines if line.ours is not None}
    gpu = record.about["device"]["memory"] is not None
    parts: list[str | Table] = [headline(record.about, peaks, backends), times_table(lines)]
    parts.append(" ".join(text for text in (means(lines), stops(lines), differences(lines)) if text))
    parts += [
        table for table in (batch_table(lines), targets_table(lines) if gpu else None) if table and table.rows
    ]
    parts += [*NOTES, *(GPU_NOTES if gpu else ())]
    if (roofline := roofline_table(lines, peaks)).rows:
        parts += ["Crossfield's inference against the machine:", roofline, *ROOFLINE_NOTES]
    return parts


def write(record: Record, parts: list[str | Table]) -> Path:
    """For the archive, as Markdown."""
    texts = [part.markdown() if isinstance(part, Table) else part for part in parts]
    name = slug(record.about["device"]["name"])
    path = HERE / "results" / f"speed-{date.today().isoformat()}-{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n\n".join(["# Crossfield and mace-torch", *texts]) + "\n")
    return path


if __name__ == "__main__":
    main()
