"""Time and memory per atom from a thousand to a hundred thousand atoms: energies and forces of water.

    python benchmarks/scaling.py [--size "128 channels"] [--dtype float32] [--threads N] [--write]

Every size runs in a process of its own. The neighbour list is made before and its time shown beside. Memory
is the peak of the process and, per atom, what it grew by since the model was ready.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from cases import SIZES
from crossfield.bench.machine import processor

REPEATS = ((1, 1, 5), (2, 3, 2), (4, 4, 3), (5, 7, 8), (8, 8, 9))  # of 192 atoms
HERE = Path(__file__).parent


def main() -> None:
    """Measure every size in a process of its own, and show the table."""
    options = parse()
    if options.repeats:
        print(json.dumps(measure(options)))
        return
    lines = [
        f"# Water, {options.size}, {options.dtype}, {options.threads} threads: energies and forces",
        "",
        f"{processor()}, Python {platform.python_version()}, {date.today()}",
        "",
        "| atoms | edges/atom | list, µs/atom | evaluation, µs/atom | peak, GiB | growth, KiB/atom |",
        "| --: | --: | --: | --: | --: | --: |",
    ]
    print("\n".join(lines))
    for repeats in REPEATS:
        command = [sys.executable, __file__, *sys.argv[1:], "--repeats", *map(str, repeats)]
        environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        n = found["atoms"]
        lines.append(
            f"| {n:,} | {found['edges'] / n:.1f} | {1e6 * found['list'] / n:.1f} | "
            f"{1e6 * found['evaluation'] / n:.1f} | {found['peak'] / 1024:.2f} | "
            f"{1024 * found['growth'] / n:.1f} |"
        )
        print(lines[-1], flush=True)
    if options.write:
        words = options.size.replace(" ", "-")
        path = HERE / "results" / f"{date.today()}-scaling-{words}-{options.dtype}.md"
        path.write_text("\n".join(lines) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time and memory per atom.")
    parser.add_argument("--size", default="128 channels", choices=list(SIZES))
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="keep the table under benchmarks/results")
    parser.add_argument("--repeats", type=int, nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, float]:
    """One size."""
    import torch

    from crossfield.bench.memory import MemoryMeter
    from crossfield.bench.structures import structure
    from crossfield.inference import Potential
    from crossfield.model import Model, ModelConfig
    from crossfield.theory import Head, Theory

    torch.manual_seed(0)
    config = ModelConfig.model_validate(SIZES[options.size])
    head = Head(name="head", theory=Theory(name="none"), E0=dict.fromkeys(config.elements, 0.0))
    potential = Potential(Model(config, [head]).to(getattr(torch, options.dtype)))
    potential.predict(structure("water 192"))  # compiles, and makes tables
    atoms = structure("water 192") * options.repeats
    atoms.rattle(0.01, seed=1)
    meter = MemoryMeter()
    start = time.perf_counter()
    graph = potential.graph(atoms)
    listed = time.perf_counter() - start
    potential.evaluate(graph, stress=False)
    times = []
    while len(times) < 3 or sum(times) < 2.0:
        start = time.perf_counter()
        potential.evaluate(graph, stress=False)
        times.append(time.perf_counter() - start)
    return {
        "atoms": len(atoms),
        "edges": graph.num_edges,
        "list": listed,
        "evaluation": statistics.median(times),
        "peak": meter.usage().peak or 0.0,
        "growth": meter.usage().increase or 0.0,
    }


if __name__ == "__main__":
    main()
