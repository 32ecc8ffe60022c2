from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from crossfield.bench import memory
from crossfield.bench.memory import MemoryMeter, available

SIZE = 64  # MiB
linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peaks can be forgotten on Linux"
)


def take() -> None:
    np.ones(SIZE << 17)


@linux
def test_the_increase_is_what_was_taken_although_it_is_free_again() -> None:
    meter = MemoryMeter()
    take()
    usage = meter.usage()
    assert usage.peak is not None
    assert usage.increase is not None
    assert SIZE - 4 < usage.increase < SIZE + 32
    assert usage.peak > usage.increase


@linux
def test_what_was_taken_before_does_not_count() -> None:
    take()
    increase = MemoryMeter().usage().increase
    assert increase is not None
    assert increase < SIZE / 2


def test_a_system_that_forgets_no_peak_gives_that_of_the_whole_life(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "clear_refs")
    usage = MemoryMeter().usage()
    assert usage.increase is None
    assert usage.peak is not None
    assert usage.peak > 10
    monkeypatch.setitem(sys.modules, "resource", None)
    assert MemoryMeter().usage().peak is None


@linux
def test_memory_that_is_available() -> None:
    found = available()
    assert found is not None
    assert found > 10
