"""Where one process calculates: whatever a calculator does, there is an outcome."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import NamedTuple

from ase.calculators.calculator import Calculator

from crossfield.bench.domain.benchmark import Item, NotConverged, Values
from crossfield.bench.domain.dispersion import with_dispersion
from crossfield.bench.domain.store import Outcome, Status

GRACE = 30.0  # s, that a calculation which does not heed its end is given


class Job(NamedTuple):
    """A calculation to do."""

    digest: str
    calculate: Callable[[Item, Calculator], Values]
    item: Item
    dispersion: str | None  # D3 parameters to add


class _TooLong(BaseException):
    """The time of a calculation is over; nothing that a calculator catches."""


class Desk:
    """A calculator, and with it those that have dispersion added.

    Args:
        make: makes the calculator.
        limit: seconds after which a calculation is given up; None: never.
    """

    def __init__(self, make: Callable[[], Calculator], limit: float | None) -> None:
        self._base, self._limit = make(), limit
        self._with: dict[str | None, Calculator] = {None: self._base}

    def outcome(self, job: Job, *, last: Callable[[], None] | None = None) -> Outcome:
        """Do a calculation.

        Args:
            job: the calculation.
            last: what is done before this process ends itself where nothing else ends the calculation; None:
                it does not end.
        """
        if job.dispersion not in self._with:
            self._with[job.dispersion] = with_dispersion(self._base, job.dispersion)
        begin = time.perf_counter()

        def ended(status: Status, reason: str) -> Outcome:
            return Outcome(status, {}, reason, time.perf_counter() - begin)

        try:
            with redirect_stdout(sys.stderr), _limited(self._limit, last):
                values = job.calculate(job.item, self._with[job.dispersion])
        except NotConverged as error:
            return ended("not converged", _one_line(error))
        except _TooLong:
            return ended("failed", too_long(self._limit))
        except (Exception, SystemExit) as error:  # noqa: BLE001  anyone's calculator; the rest goes on
            return ended("failed", f"{type(error).__name__}: {_one_line(error)}")
        if (where := _not_finite(values)) is not None:
            return ended("failed", f"{where} is not a finite number")
        return Outcome("done", json.loads(json.dumps(values)), "", time.perf_counter() - begin)


def too_long(limit: float | None) -> str:
    """The reason that is given when the time of a calculation is over."""
    return f"it took longer than {limit:g} s (--timeout)"


@contextmanager
def _limited(seconds: float | None, last: Callable[[], None] | None) -> Iterator[None]:
    """Raise `_TooLong` in the block when its time is over; end the process if that does not help."""
    if seconds is None:
        yield
        return

    def end() -> None:
        assert last is not None
        try:
            last()
        finally:
            os._exit(1)

    end_of_all = threading.Timer(seconds + GRACE, end)
    end_of_all.daemon = True
    if last is not None:
        end_of_all.start()
    alarm = hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, _ring) if alarm else None
    if alarm:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        end_of_all.cancel()
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise _TooLong


def _one_line(error: BaseException) -> str:
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
