"""Threads for the kernels: as many as torch uses, asleep while there is nothing to do.

A kernel runs without the interpreter's lock, so that plain Python threads are enough. Work is cut into as
many parts as there are threads, the same ones each time, so that results do not depend on how the threads get
on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray


def threads() -> int:
    """Threads in use: `torch.set_num_threads` sets them, and before that OMP_NUM_THREADS."""
    return torch.get_num_threads()


@cache
def _pool(size: int, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="crossfield")


def run(work: Callable[[int], None], parts: int) -> None:
    """Do work(0), work(1), ..., one of them in this thread; the first error is raised when all have ended."""
    if parts < 2:
        for part in range(parts):
            work(part)
        return
    pool = _pool(parts - 1, os.getpid())  # a forked process has none of its parent's
    others = [pool.submit(work, part) for part in range(1, parts)]
    try:
        work(0)
    finally:
        errors = [future.exception() for future in others]
    for error in errors:
        if error is not None:
            raise error


def cut(weights: NDArray[np.int64], parts: int) -> list[tuple[int, int]]:
    """Cut a row of items into neighbouring parts (begin, end) of about the same weight."""
    total = np.concatenate([[0], np.cumsum(weights)])
    ends = np.searchsorted(total, total[-1] * np.arange(1, parts + 1) / parts)
    ends[-1:] = len(weights)
    begins = np.concatenate([[0], ends[:-1]])
    return [(int(b), int(e)) for b, e in zip(begins, ends, strict=True)]


def share(weights: NDArray[np.int64], work: Callable[[int, int, int], None]) -> None:
    """Do work(part, begin, end) for all items, shared among the threads."""
    parts = cut(weights, max(1, min(threads(), len(weights))))
    run(lambda part: work(part, *parts[part]), len(parts))
