"""Calculations side by side, in processes of their own, which may fail, hang or die by themselves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import torch
from ase.calculators.calculator import Calculator

from crossfield.bench.domain.desk import Desk, Job, too_long
from crossfield.bench.domain.store import Outcome
from crossfield.errors import InputError

AHEAD = 4  # jobs per process that wait for it


class Finished(NamedTuple):
    """A calculation that was done."""

    job: Job
    outcome: Outcome


class Shop(NamedTuple):
    """How calculations are done.

    Attributes:
        make: makes a calculator, in every process.
        workers: number of processes; 0: in this one, which then hangs or dies with a calculator.
        limit: seconds after which a calculation is given up; None: never.
        log: file for what calculators print in other processes.
    """

    make: Callable[[], Calculator]
    workers: int
    limit: float | None
    log: Path


def calculate_all(jobs: Sequence[Job], shop: Shop) -> Iterator[Finished]:
    """Do calculations, in any order, each of which may fail by itself.

    Raises:
        InputError: there is no calculator to be had in another process.
    """
    if not jobs:
        return
    if shop.workers == 0:
        desk = Desk(shop.make, shop.limit)
        for job in jobs:
            yield Finished(job, desk.outcome(job))
        return
    yield from _surviving(jobs, shop, AHEAD * shop.workers)


def _surviving(jobs: Sequence[Job], shop: Shop, ahead: int) -> Iterator[Finished]:
    """All outcomes, whatever processes die; with one job ahead, it is that which took its process along."""
    rest = [*jobs]
    while rest:
        broken: list[Job] = []
        done = set()
        for finished in _pool(rest, shop, ahead, broken):
            done.add(finished.job.digest)
            yield finished
        if ahead == 1:
            yield from (Finished(job, _died()) for job in broken)
        else:
            yield from _surviving(broken, shop._replace(workers=1), 1)
        done |= {job.digest for job in broken}
        rest = [job for job in rest if job.digest not in done]


def _died() -> Outcome:
    return Outcome("died", {}, "its process ended, most likely because there was too little memory", 0.0)


def _pool(jobs: Sequence[Job], shop: Shop, ahead: int, broken: list[Job]) -> Iterator[Finished]:
    """Outcomes until all is done or a process dies; those handed out then go to `broken`.

    Where a process ended itself because the time of its calculation was over, this one has its outcome, and
    the others are not suspected of anything.
    """
    # processes are started anew: threads and devices of torch do not survive a fork
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    pool = ProcessPoolExecutor(shop.workers, mp_context=context, initializer=_begin, initargs=(shop,))
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
        overdue = [job for job in waiting.values() if _overdue(shop, job).exists()]
        if not overdue:
            broken += waiting.values()
        for job in overdue:
            _overdue(shop, job).unlink()
            yield Finished(job, Outcome("failed", {}, too_long(shop.limit), shop.limit or 0.0))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            if process not in others:  # they would finish what they are at before they see that they may go
                process.terminate()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _overdue(shop: Shop, job: Job) -> Path:
    """What a process leaves behind that ends because of the time of a calculation."""
    return shop.log.with_name(f"overdue-{job.digest}")


def _finished(waiting: dict[Future[Outcome], Job]) -> Iterator[Finished]:
    ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in ready:
        outcome = future.result()  # raises where the process died, and the job stays among those waiting
        yield Finished(waiting.pop(future), outcome)


_desk: Desk | InputError | None = None  # of this process, or why it has none
_shop: Shop


def _begin(shop: Shop) -> None:
    """What a process does first."""
    global _desk, _shop
    _shop = shop
    # what calculators print would run through the progress bar
    handle = os.open(shop.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; the parent ends the rest
    threading.Thread(target=_follow_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        _desk = Desk(shop.make, shop.limit)
    except InputError as error:
        _desk = InputError(f"there is no calculator in another process: {error}")
    except Exception as error:  # noqa: BLE001  someone else's code; the parent is told, and says it
        _desk = InputError(f"there is no calculator in another process: {type(error).__name__}: {error}")


def _follow_parent() -> None:
    """End this process when the one that started it has been killed; it would wait for work for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _work(job: Job) -> Outcome:
    if not isinstance(_desk, Desk):
        raise InputError(str(_desk))
    return _desk.outcome(job, last=_overdue(_shop, job).touch)
