"""All benchmarks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from crossfield.bench.domain.benchmark import DOMAINS, Benchmark
from crossfield.errors import InputError, nearest

BENCHMARKS: tuple[Benchmark, ...] = ()


def choose(names: Sequence[str]) -> list[Benchmark]:
    """Benchmarks by name or domain; without names, all but those that are long.

    Raises:
        InputError: no such benchmark or domain.
    """
    if not names:
        return [b for b in BENCHMARKS if not b.opt_in]
    known = [b.name for b in BENCHMARKS]
    for name in names:
        if name not in known and name not in DOMAINS:
            raise InputError(
                f"unknown benchmark or domain {name!r}{nearest(name, [*known, *DOMAINS])} "
                "(`crossfield bench domain --list` shows all)"
            )
    return [b for b in BENCHMARKS if b.name in names or b.domain in names]
