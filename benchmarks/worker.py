"""The part of a worker that is the same in both environments: it answers requests, one JSON line each."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from cases import structure

ANSWER = "answer: "
DTYPES = {"float32": torch.float32, "float64": torch.float64}


class Job(NamedTuple):
    """Something to time."""

    run: Callable[[], object]
    edges: int
    parameters: int


def serve(prepare: Callable[..., Job]) -> None:
    """Answer until the input ends.

    `{"prepare": {size, structure, dtype, quantity}}` builds a job, `{"seconds": s}` runs it for about that
    long, but at least once.
    """
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    job: Job | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            job = None
            gc.collect()
            _forget_peak()
            torch.manual_seed(0)
            wanted = request["prepare"]
            atoms = structure(wanted["structure"])
            job = prepare(wanted["size"], atoms, DTYPES[wanted["dtype"]], wanted["quantity"])
            answer: dict[str, Any] = {"edges": job.edges, "parameters": job.parameters, "atoms": len(atoms)}
        else:
            assert job is not None
            answer = {"times": _times(job.run, request["seconds"]), "peak": _peak()}
        # libraries print what they like: the mark tells the answer from it
        print(f"\n{ANSWER}{json.dumps(answer)}", flush=True)


def _times(run: Callable[[], object], seconds: float) -> list[float]:
    times: list[float] = []
    while sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def _forget_peak() -> None:
    """Let the peak of memory begin anew, where the system can."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def _peak() -> float:
    """Largest resident memory of this process so far, MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    kilo = 1 if sys.platform != "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / kilo
