"""Crossfield and mace-torch 0.3.16, measured in turns in one run: inference, steps of MD, training.

    python benchmarks/speed.py --quick
    python benchmarks/speed.py --sizes MH-1 --cases water AlN --dtypes float32 --write
    python benchmarks/speed.py --resume --write

mace-torch writes models with random weights, Crossfield converts them; both evaluate the same structures with
the same threads, each in a process and an environment of its own, and must agree before they are timed.
Results are kept as they come: --resume goes on with a run that was ended, and adds cases to one. All cases
take an hour or two on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from cases import Case, cases
from crossfield.bench.machine import processor_slug
from crossfield.bench.memory import available
from record import Record, about
from roofline import Peaks
from tables import NOTES, ROOFLINE_NOTES, differences, headline, means, roofline_table, times_table
from turns import HERE, Side, measure


def main() -> None:
    """Measure, show, and write."""
    options = parse()
    wanted = cases(
        sizes=options.sizes,
        structures=options.cases,
        dtypes=options.dtypes,
        quantities=options.quantities,
        quick=options.quick,
    )
    if not wanted:
        sys.exit("no case is left: see --cases, --sizes, --dtypes and --quantities")
    if not Path(options.oracle).exists():
        sys.exit(f"{options.oracle} is missing: `make parity` makes it, or name another with --oracle")
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        common = (options.threads, options.max_memory, Path(folder) / "cache")
        ours = Side(sys.executable, "worker_crossfield.py", *common)
        theirs = Side(options.oracle, "worker_mace.py", *common)
        try:
            record = open_record(options, ours, theirs)
            run(wanted, record, ours, theirs, options, Path(folder), console)
            record.add_peaks(ours.must("about")["peaks"])
        finally:
            ours.close()
            theirs.close()
    show(record, console)
    if options.write:
        console.print(f"written to {write(record)}", soft_wrap=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Crossfield and mace-torch, timed in turns.")
    for name, what in (
        ("--cases", "structures"),
        ("--sizes", "models"),
        ("--dtypes", "precisions"),
        ("--quantities", "tasks"),
    ):
        parser.add_argument(name, nargs="+", default=[], metavar="TEXT", help=f"only {what} with such names")
    parser.add_argument("--quick", action="store_true", help="a handful of cases, in about three minutes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn; at least one call")
    parser.add_argument(
        "--max-memory",
        type=float,
        default=round(0.8 * (available() or 16384.0) / 1024, 1),
        metavar="GIB",
        help="of each process; cases that take more are left out (%(default)s)",
    )
    parser.add_argument("--oracle", default=str(HERE.parent / ".venv-oracle/bin/python"), metavar="PYTHON")
    parser.add_argument("--write", action="store_true", help="keep the tables under benchmarks/results")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the record")
    parser.add_argument("--record", type=Path, default=HERE / ".speed.jsonl", help="results as they come")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 3), min(options.seconds, 0.5)
    return options


def open_record(options: argparse.Namespace, ours: Side, theirs: Side) -> Record:
    """The file of this run, new or resumed."""
    facts = ours.must("about")
    versions = (facts["versions"], theirs.must("about")["versions"])
    record = Record(
        options.record, about(options.threads, options.rounds, options.seconds, *versions), facts["peaks"]
    )
    if options.resume:
        record.resume()
    else:
        record.begin()
    return record


def run(
    wanted: list[Case],
    record: Record,
    ours: Side,
    theirs: Side,
    options: argparse.Namespace,
    folder: Path,
    console: Console,
) -> None:
    """Measure what the record does not have yet."""
    done = {line.case for line in record.lines}
    open_cases = [case for case in wanted if case not in done]
    start = time.monotonic()
    for number, case in enumerate(open_cases, 1):
        path = folder / f"{case.size}.model"
        if not path.exists():
            theirs.must("build", size=case.size, path=str(path))
        limits: dict[str, Any] = {"rounds": options.rounds, "seconds": options.seconds}
        line = measure(case, str(path), ours, theirs, max_memory=options.max_memory, **limits)
        record.add(line)
        ratio = "–" if line.ratio is None else f"{line.ratio:.2f}"
        passed = time.monotonic() - start
        console.print(f"{passed:6.0f} s  {number}/{len(open_cases)}  {case}: ratio {ratio}", soft_wrap=True)


def show(record: Record, console: Console) -> None:
    """The tables on the terminal."""
    peaks, lines = Peaks(**record.peaks), record.lines
    console.print(f"\n{_headline(record)}\n", soft_wrap=True)
    console.print(times_table(lines).rich())
    console.print(means(lines), soft_wrap=True)
    console.print(differences(lines), soft_wrap=True)
    if (roofline := roofline_table(lines, peaks)).rows:
        console.print()
        console.print(roofline.rich())
    for note in (*NOTES, *(ROOFLINE_NOTES if roofline.rows else ())):
        console.print(note, style="dim")


def write(record: Record) -> Path:
    """The tables for the archive, as Markdown."""
    peaks, lines = Peaks(**record.peaks), record.lines
    roofline = roofline_table(lines, peaks)
    parts = [
        "# Crossfield and mace-torch",
        _headline(record),
        times_table(lines).markdown(),
        f"{means(lines)} {differences(lines)}",
        *NOTES,
    ]
    if roofline.rows:
        parts += ["## Crossfield's inference against the machine", roofline.markdown(), *ROOFLINE_NOTES]
    path = HERE / "results" / f"speed-{date.today().isoformat()}-{processor_slug()}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n")
    return path


def _headline(record: Record) -> str:
    backends = {line.ours.backend for line in record.lines if line.ours is not None}
    return headline(record.about, Peaks(**record.peaks), backends)


if __name__ == "__main__":
    main()
