"""Memory of this process: how much something took at its worst."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Usage(NamedTuple):
    """What a system can say of the memory of a process; None: it cannot."""

    peak: float | None  # MiB, largest resident memory of the process, libraries included
    increase: float | None  # MiB, of that, what came on top of the resident memory before


class MemoryMeter:
    """Follows the resident memory of this process from the moment it is made.

    What earlier work has left is given back to the system first, else it would be used again unseen. Peaks
    can be forgotten on Linux alone; elsewhere the peak is that of the whole life of the process.
    """

    def __init__(self) -> None:
        gc.collect()
        with suppress(OSError, AttributeError):  # a C library without it
            ctypes.CDLL(None).malloc_trim(0)
        self._before: float | None = None
        with suppress(OSError):
            _CLEAR.write_text("5")  # the peak begins anew
            self._before = _field("VmRSS")

    def usage(self) -> Usage:
        """The peak so far."""
        if self._before is None:
            return Usage(_largest_ever(), None)
        peak = _field("VmHWM")
        return Usage(peak, max(0.0, peak - self._before))


def available() -> float | None:
    """Memory of the machine that is free or can be made so, MiB; None: the system does not say."""
    with suppress(OSError):
        return _field("MemAvailable", Path("/proc/meminfo"))
    return None


def _field(name: str, file: Path = _STATUS) -> float:
    """A line of such a file, in MiB."""
    line = next(line for line in file.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def _largest_ever() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    kilobytes = 1024 if sys.platform != "darwin" else 1024**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobytes
