"""All benchmarks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from crossfield.bench.domain.benchmark import DOMAINS, Benchmark
from crossfield.bench.domain.sets import (
    barriers,
    cohesive,
    diatomics,
    dmc_ice13,
    elasticity,
    eos,
    extensivity,
    gmtkn55,
    lattice_constants,
    lnci16,
    locality,
    nve,
    oc157,
    phonons,
    pla15,
    plf547,
    s24,
    s30l,
    slab_oxygen,
    slab_rotation,
    smoothness,
    vacancy,
    water,
    wiggle150,
    x23,
)
from crossfield.errors import InputError, nearest

BENCHMARKS: tuple[Benchmark, ...] = (
    *(m.BENCHMARK for m in (lattice_constants, eos, cohesive, elasticity, phonons, vacancy)),
    *(m.BENCHMARK for m in (x23, dmc_ice13)),
    *(m.BENCHMARK for m in (gmtkn55, wiggle150, s30l, lnci16, plf547, pla15)),
    *(m.BENCHMARK for m in (s24, slab_oxygen, oc157)),
    *barriers.BENCHMARKS,
    *(m.BENCHMARK for m in (diatomics, locality, extensivity, smoothness, slab_rotation, nve)),
    water.BENCHMARK,
)


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
