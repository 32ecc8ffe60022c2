"""The part of a worker that is the same in both environments: it answers requests, one JSON line each.

python worker_crossfield.py DEVICE BACKEND
python worker_mace.py DEVICE LIBRARY
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

from crossfield.bench.device import DeviceMemoryMeter, meter, release, wait
from crossfield.bench.memory import MemoryMeter
from crossfield.bench.structures import primer, structure, structures
from crossfield.bench.timing import Job, times
from crossfield.graph import Edges
from largest import between, doubled, edges_of, repeated

ANSWER = "answer: "  # libraries print what they like: the mark tells the answer from it
DTYPES = {"float32": torch.float32, "float64": torch.float64}
NO_MEMORY = ("can't allocate memory", "bad_alloc", "Cannot allocate memory", "Unable to allocate")
NO_MEMORY += ("out of memory", "ALLOC_FAILED")  # of CUDA and its libraries
GROWTH = 2.5  # how much longer twice the crystal may take
SAME = 1e-3  # how far copies of a crystal may differ from one, relative, or in eV and eV/Å


class Setting(NamedTuple):
    """What stays the same for the life of a worker."""

    device: torch.device
    how: str  # the back end, or mace-torch's library


class Results(NamedTuple):
    """What is compared, of S structures of N atoms in all."""

    energy: list[float]  # (S,) eV
    forces: list[list[float]]  # (N, 3) eV/Å
    stress: list[list[list[float]]] | None  # (S, 3, 3) eV/Å^3; None: not evaluated


class Task(NamedTuple):
    """A quantity of some structures."""

    run: Callable[[], object]  # it need not wait for the device
    edges: int
    results: Callable[[], Results]  # by the way that is timed
    begin: Callable[[], object] = lambda: None  # as in Job
    lasts: int | None = None


class Model(NamedTuple):
    """A model, made ready for one quantity."""

    task: Callable[[Sequence[Atoms], Edges | None], Task]  # edges of a single one, where they are known
    parameters: int
    cutoff: float  # Å
    backend: str


def of_calculator(atoms: Atoms, calculator: Calculator) -> Results:
    """What a calculator of ASE gives."""
    copy = atoms.copy()
    copy.calc = calculator
    stress = [copy.get_stress(voigt=False).tolist()] if copy.pbc.all() else None
    return Results([float(copy.get_potential_energy())], copy.get_forces().tolist(), stress)


Load = Callable[[Setting, str, torch.dtype, str], Model]  # path of the file, precision, quantity
Handlers = Mapping[str, Callable[[Setting, dict[str, Any]], dict[str, Any]]]


class Bench:
    """Answers requests about tasks; models stay as long as requests are about the same one."""

    def __init__(self, setting: Setting, load: Load) -> None:
        self._setting, self._load = setting, load
        self._key: tuple[str, ...] = ()
        self._model: Model | None = None
        self._task: Task | None = None
        self._meter: MemoryMeter | DeviceMemoryMeter | None = None

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """`{path, dtype, quantity, structure}`: builds a task and evaluates it once."""
        self.release({})
        model, atoms = self._ready(request), structures(request["structure"])
        # what is compiled, loaded and tabulated on the way is no memory of the structure
        times(self._job(model.task([primer(a) for a in atoms[:2]], None)), 0.0, at_least=2)
        task = model.task(atoms, None)
        self._meter = meter(self._setting.device)
        start = time.perf_counter()
        results = task.results()
        first = time.perf_counter() - start
        self._task = task
        return {
            "atoms": sum(map(len, atoms)),
            "edges": task.edges,
            "parameters": model.parameters,
            "backend": model.backend,
            "first": first,
            **results._asdict(),
        }

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """`{seconds}`: calls for about that long, but at least once."""
        assert self._task is not None
        assert self._meter is not None
        found = times(self._job(self._task), request["seconds"])
        return {"times": found, **self._meter.usage()._asdict()}

    def release(self, request: dict[str, Any]) -> dict[str, Any]:
        """`{}`: forgets the task, and gives back the memory that it took."""
        self._task = self._meter = None
        release(self._setting.device)
        return {}

    def largest(self, request: dict[str, Any]) -> dict[str, Any]:
        """`{path, dtype, quantity, structure, seconds}`: copies of a crystal, as many as fit."""
        self.release({})
        model, atoms = self._ready(request), structure(request["structure"])
        edges, found, stopped = edges_of(atoms, model.cutoff), dict[str, Any](), ""
        start = time.monotonic()
        for copies in doubled():
            begin = time.monotonic()
            stopped = self._try(model, *repeated(atoms, edges, copies), found)
            now = time.monotonic()
            if not stopped and now - start + GROWTH * (now - begin) > request["seconds"]:
                stopped = "time"
            if stopped:
                break
        last = between(copies)
        if stopped == "memory" and last is not None:
            self._try(model, *repeated(atoms, edges, last), found)
        return {**found, "backend": model.backend, "stopped": stopped}

    def _try(self, model: Model, atoms: Atoms, edges: Edges, found: dict[str, Any]) -> str:
        """Evaluate, and keep what was found; what went wrong, if anything did."""
        try:
            usage = meter(self._setting.device)
            task = model.task([atoms], edges)
            results = task.results()
            seconds = min(times(self._job(task), 0.0, at_least=2))
        except (RuntimeError, MemoryError) as error:
            return "memory" if out_of_memory(error) else f"{type(error).__name__}: {error}"[:200]
        energy, force = results.energy[0] / len(atoms), float(np.abs(results.forces).max())
        for name, value in (("energy", energy), ("force", force)):
            first = found.setdefault(name, value)
            if not abs(value - first) <= SAME * max(abs(first), 1.0):
                return f"{name} of {len(atoms)} atoms is not that of fewer"
        found |= {"atoms": len(atoms), "edges": task.edges, "seconds": seconds, **usage.usage()._asdict()}
        return ""

    def _ready(self, request: dict[str, Any]) -> Model:
        key = (request["path"], request["dtype"], request["quantity"])
        if key != self._key or self._model is None:
            self._key, self._model = (), None
            release(self._setting.device)
            self._model = self._load(self._setting, key[0], DTYPES[key[1]], key[2])
            self._key = key
        return self._model

    def _job(self, task: Task) -> Job:
        def run() -> None:
            task.run()
            wait(self._setting.device)

        return Job(run, task.begin, task.lasts)


def serve(load: Load, others: Handlers) -> None:
    """Answer until the input ends; `{"what": name, ...}` is a request."""
    setting = Setting(torch.device(sys.argv[1]), sys.argv[2])
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if setting.device.type == "cpu":
        _limit_memory()
    bench = Bench(setting, load)
    handlers = {name: getattr(bench, name) for name in ("prepare", "time", "release", "largest")}
    handlers |= {name: lambda request, f=f: f(setting, request) for name, f in others.items()}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = handlers[request["what"]](request)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            answer = {"out_of_memory": True}
        print(f"\n{ANSWER}{json.dumps(answer)}", flush=True)


def out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether that is what an error means."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in NO_MEMORY)


def _limit_memory() -> None:
    """An error in this process, before the system kills what it likes."""
    with suppress(ImportError, KeyError, ValueError, OSError):
        import resource

        limit = int(float(os.environ["MAX_MEMORY_GIB"]) * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
