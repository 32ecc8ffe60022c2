"""Calculations side by side, each process with a calculator of its own."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import torch
from ase.calculators.calculator import Calculator

from crossfield.bench.domain.benchmark import Item, NotConverged, Values
from crossfield.bench.domain.dispersion import with_dispersion
from crossfield.bench.domain.store import Outcome
from crossfield.errors import InputError

AHEAD = 4  # jobs per process that wait for it


class Job(NamedTuple):
    """A calculation to do."""

    digest: str
    calculate: Callable[[Item, Calculator], Values]
    item: Item
    dispersion: str | None  # D3 parameters to add


class Finished(NamedTuple):
    """A calculation that was done."""

    job: Job
    outcome: Outcome


def calculate_all(
    jobs: Sequence[Job], make: Callable[[], Calculator], *, workers: int, log: Path
) -> Iterator[Finished]:
    """Do calculations, in any order, each of which may fail by itself.

    Args:
        jobs: what to do.
        make: makes a calculator, in every process.
        workers: number of processes; 1: this one.
        log: file for what calculators print in other processes.
    """
    if not jobs:
        return
    if workers == 1:
        desk = _Desk(make)
        for job in jobs:
            yield Finished(job, desk.outcome(job))
        return
    yield from _surviving(jobs, make, workers, AHEAD * workers, log)


def _surviving(
    jobs: Sequence[Job], make: Callable[[], Calculator], workers: int, ahead: int, log: Path
) -> Iterator[Finished]:
    """All outcomes, whatever processes die; with one job ahead, it is that which took its process along."""
    rest = [*jobs]
    while rest:
        broken: list[Job] = []
        done = set()
        for finished in _pool(rest, make, workers, ahead, log, broken):
            done.add(finished.job.digest)
            yield finished
        if ahead == 1:
            yield from (Finished(job, _died()) for job in broken)
        else:
            yield from _surviving(broken, make, 1, 1, log)
        done |= {job.digest for job in broken}
        rest = [job for job in rest if job.digest not in done]


def _died() -> Outcome:
    return Outcome("died", {}, "its process ended, most likely because there was too little memory", 0.0)


def _pool(
    jobs: Sequence[Job],
    make: Callable[[], Calculator],
    workers: int,
    ahead: int,
    log: Path,
    broken: list[Job],
) -> Iterator[Finished]:
    """Outcomes until all is done or a process dies; those handed out then go to `broken`."""
    # processes are started anew: threads and devices of torch do not survive a fork
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(make, log))
    waiting: dict[Future[Outcome], Job] = {}
    left = iter(jobs)
    try:
        for job in left:
            waiting[pool.submit(_work, job)] = job
            if len(waiting) >= ahead:
                yield from _finished(waiting)
        while waiting:
            yield from _finished(waiting)
    except BrokenProcessPool:
        broken += waiting.values()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            if process not in others:  # they would finish what they are at before they see that they may go
                process.terminate()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _finished(waiting: dict[Future[Outcome], Job]) -> Iterator[Finished]:
    ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in ready:
        outcome = future.result()  # raises where the process died, and the job stays among those waiting
        yield Finished(waiting.pop(future), outcome)


class _Desk:
    """Where one process calculates."""

    def __init__(self, make: Callable[[], Calculator]) -> None:
        self._base = make()
        self._with: dict[str | None, Calculator] = {None: self._base}

    def outcome(self, job: Job) -> Outcome:
        if job.dispersion not in self._with:
            self._with[job.dispersion] = with_dispersion(self._base, job.dispersion)
        begin = time.perf_counter()
        try:
            with redirect_stdout(sys.stderr):
                values = job.calculate(job.item, self._with[job.dispersion])
        except NotConverged as error:
            return Outcome("not converged", {}, _one_line(error), time.perf_counter() - begin)
        except Exception as error:  # noqa: BLE001  a calculator of anyone's may raise anything, and the rest goes on
            reason = f"{type(error).__name__}: {_one_line(error)}"
            return Outcome("failed", {}, reason, time.perf_counter() - begin)
        seconds = time.perf_counter() - begin
        if (where := _not_finite(values)) is not None:
            return Outcome("failed", {}, f"{where} is not a finite number", seconds)
        return Outcome("done", json.loads(json.dumps(values)), "", seconds)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def _not_finite(values: object, where: str = "") -> str | None:
    """Where a number is not finite; None: nowhere."""
    if isinstance(values, float):
        return None if math.isfinite(values) else where
    if isinstance(values, dict):
        pairs = [(f"{where}.{key}" if where else str(key), value) for key, value in values.items()]
    elif isinstance(values, (list, tuple)):
        pairs = [(f"{where}[{i}]", value) for i, value in enumerate(values)]
    else:
        return None
    return next((found for key, value in pairs if (found := _not_finite(value, key)) is not None), None)


_desk: _Desk | None = None  # of this process


def _begin(make: Callable[[], Calculator], log: Path) -> None:
    """What a process does first."""
    global _desk
    # what calculators print would run through the progress bar
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; the parent ends the rest
    threading.Thread(target=_follow_parent, daemon=True).start()
    torch.set_num_threads(1)
    _desk = _Desk(make)


def _follow_parent() -> None:
    """End this process when the one that started it has been killed; it would wait for work for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _work(job: Job) -> Outcome:
    if _desk is None:
        raise InputError("this process has no calculator")
    return _desk.outcome(job)
