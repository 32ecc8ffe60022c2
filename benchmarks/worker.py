"""The part of a worker that is the same in both environments: it answers requests, one JSON line each."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

from crossfield.bench.memory import MemoryMeter
from crossfield.bench.structures import primer, structure
from crossfield.bench.timing import Job, times

ANSWER = "answer: "  # libraries print what they like: the mark tells the answer from it
DTYPES = {"float32": torch.float32, "float64": torch.float64}
NO_MEMORY = ("can't allocate memory", "bad_alloc", "Cannot allocate memory", "Unable to allocate")


class Results(NamedTuple):
    """What is compared."""

    energy: float  # eV
    forces: list[list[float]]  # (N, 3) eV/Å
    stress: list[list[float]] | None  # (3, 3) eV/Å^3; None: not evaluated


class Task(NamedTuple):
    """A quantity of one structure."""

    job: Job
    edges: int
    results: Callable[[], Results]  # by the way that is timed


class Model(NamedTuple):
    """A model, made ready for one quantity."""

    task: Callable[[Atoms], Task]
    parameters: int
    backend: str


def of_calculator(atoms: Atoms, calculator: Calculator) -> Results:
    """What a calculator of ASE gives."""
    copy = atoms.copy()
    copy.calc = calculator
    stress = copy.get_stress(voigt=False).tolist() if copy.pbc.all() else None
    return Results(float(copy.get_potential_energy()), copy.get_forces().tolist(), stress)


Load = Callable[[str, torch.dtype, str], Model]  # path of the file, precision, quantity
Handlers = Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]


class Bench:
    """Answers `prepare` and `time`; models stay as long as requests are about the same one."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._key: tuple[str, ...] = ()
        self._model: Model | None = None
        self._task: Task | None = None
        self._meter: MemoryMeter | None = None

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """`{path, dtype, quantity, structure}`: builds a task and evaluates it once."""
        key = (request["path"], request["dtype"], request["quantity"])
        self._task = None
        if key != self._key:
            self._key, self._model = (), None
            gc.collect()
            self._model, self._key = self._load(key[0], DTYPES[key[1]], key[2]), key
        assert self._model is not None
        atoms = structure(request["structure"])
        # what is compiled, loaded and tabulated on the way is no memory of the structure
        times(self._model.task(primer(atoms)).job, 0.0, at_least=2)
        task = self._model.task(atoms)
        self._meter = MemoryMeter()
        start = time.perf_counter()
        results = task.results()
        first = time.perf_counter() - start
        self._task = task
        return {
            "atoms": len(atoms),
            "edges": task.edges,
            "parameters": self._model.parameters,
            "backend": self._model.backend,
            "first": first,
            **results._asdict(),
        }

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """`{seconds}`: calls for about that long, but at least once."""
        assert self._task is not None
        assert self._meter is not None
        found = times(self._task.job, request["seconds"])
        return {"times": found, **self._meter.usage()._asdict()}


def serve(load: Load, others: Handlers) -> None:
    """Answer until the input ends; `{"what": name, ...}` is a request."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    _limit_memory()
    bench = Bench(load)
    handlers = {"prepare": bench.prepare, "time": bench.time, **others}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = handlers[request["what"]](request)
        except (RuntimeError, MemoryError) as error:
            if not (isinstance(error, MemoryError) or any(text in str(error) for text in NO_MEMORY)):
                raise
            answer = {"out_of_memory": True}
        print(f"\n{ANSWER}{json.dumps(answer)}", flush=True)


def _limit_memory() -> None:
    """An error in this process, before the system kills what it likes."""
    with suppress(ImportError, KeyError, ValueError, OSError):
        import resource

        limit = int(float(os.environ["MAX_MEMORY_GIB"]) * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
