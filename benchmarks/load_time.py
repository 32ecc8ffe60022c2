"""Time to load a model of the published MH-1 size, ours and mace-torch's, in turns, each in a new process.

    python benchmarks/load_time.py [--oracle PYTHON] [--rounds N] [--write]

The clock starts when torch has been imported and stops when the model is ready. Of ours, the time that the
import of crossfield takes is shown apart; mace-torch's includes its import likewise. The file is written by
mace-torch with random weights and converted once, which is timed too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from crossfield.bench.machine import processor, processor_slug, versions

HERE = Path(__file__).parent

MAKE = """
import sys, torch
from parity.cases import MODELS
from parity.oracle.models import build_model
torch.set_default_dtype(torch.float64)
case = next(case for case in MODELS if case.name == "published_size_independent")
torch.save(build_model(case), sys.argv[1])
"""
CONVERT = """
import sys, time
from pathlib import Path
from crossfield.zoo.convert import convert
start = time.perf_counter()
convert(Path(sys.argv[1]), Path(sys.argv[2]))
print(time.perf_counter() - start)
"""
OURS = """
import sys, time, torch
start = time.perf_counter()
import crossfield
from crossfield.zoo.load import load
imported = time.perf_counter()
load(sys.argv[1])
print(imported - start, time.perf_counter() - imported)
"""
THEIRS = """
import sys, time, torch
start = time.perf_counter()
import parity.oracle  # lets e3nn 0.4.4 read its constants
import mace.modules
imported = time.perf_counter()
torch.load(sys.argv[1], map_location="cpu", weights_only=False)
print(imported - start, time.perf_counter() - imported)
"""


def run(interpreter: str, code: str, *arguments: str) -> list[float]:
    """Numbers that a piece of Python prints in its last line, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [interpreter, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return [float(number) for number in (done.stdout.strip().splitlines() or [""])[-1].split()]


def headline() -> str:
    """Machine and versions."""
    ours = versions("crossfield", "torch")
    return (
        f"{processor()}, 1 thread; crossfield {ours['crossfield']}, mace-torch 0.3.16, "
        f"torch {ours['torch']}, Python {ours['python']}"
    )


def main() -> None:
    """Measure, show, and write."""
    parser = argparse.ArgumentParser(description="Loading a model of the published MH-1 size.")
    parser.add_argument("--oracle", default=str(HERE.parent / ".venv-oracle/bin/python"), metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--write", action="store_true", help="keep the table under benchmarks/results")
    options = parser.parse_args()
    if not Path(options.oracle).exists():
        sys.exit(f"{options.oracle} is missing: `make parity` makes it, or name another with --oracle")
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = f"{folder}/mh-1.model", f"{folder}/mh-1.safetensors"
        run(options.oracle, MAKE, theirs)
        (converting,) = run(sys.executable, CONVERT, theirs, ours)
        sizes = [Path(path).stat().st_size / 2**20 for path in (ours, theirs)]
        found: dict[str, list[list[float]]] = {"crossfield": [], "mace-torch": []}
        for _ in range(options.rounds):
            found["crossfield"].append(run(sys.executable, OURS, ours))
            found["mace-torch"].append(run(options.oracle, THEIRS, theirs))
    rows = []
    for (name, times), size in zip(found.items(), sizes, strict=True):
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        total = statistics.median(sum(pair) for pair in times)
        rows.append(f"| {name} | {size:.0f} | {medians[0]:.2f} | {medians[1]:.2f} | {total:.2f} |")
    text = "\n".join(
        (
            "# Loading a model of the published MH-1 size, float64",
            f"\n{headline()}\n",
            "| | file, MiB | import, s | load, s | both, s |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            f"\nMedians of {options.rounds} turns, torch imported; converting took {converting:.1f} s.",
        )
    )
    print(text)
    if options.write:
        path = HERE / "results" / f"{date.today().isoformat()}-loading-{processor_slug()}.md"
        path.write_text(text + "\n")
        print(f"written to {path}")


if __name__ == "__main__":
    main()
