"""Barrier heights: the seven barrier sets in GMTKN55, and sets that are published on their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from crossfield.bench.domain.benchmark import Benchmark, Inputs, Reference
from crossfield.bench.domain.sets import barriers_crbh20, barriers_xyz
from crossfield.bench.domain.sets.barrier_heights import barrier_benchmark
from crossfield.bench.domain.sets.gmtkn55_read import SOURCE, read_subsets
from crossfield.bench.domain.sources import Sources

SUBSETS: Mapping[str, str] = {
    "BH76": "76 barriers of hydrogen and heavy-atom transfers, nucleophilic substitutions, unimolecular and "
    "association reactions, most of radicals or anions",
    "BHPERI": "26 barriers of pericyclic reactions",
    "BHDIV10": "10 barriers of diverse reactions",
    "INV24": "24 barriers of inversions and racemisations, one of a cation",
    "BHROT27": "27 barriers of rotations about single bonds",
    "PX13": "13 barriers of proton exchange in clusters of water, ammonia and hydrogen fluoride",
    "WCPT18": "18 barriers of proton transfers, some of them through water molecules",
}


def inputs(subset: str, sources: Sources) -> Inputs:
    """Molecules of a subset of GMTKN55, all of them quick, and its reactions as the context.

    The molecules are those of the benchmark of GMTKN55, so that none is calculated twice.
    """
    found = read_subsets(sources, [subset])
    found.items = [replace(item, quick=True) for item in found.items]
    found.context = [reaction for read in found.context for reaction in read.reactions]
    return found


def _subset(name: str, contents: str) -> Benchmark:
    return barrier_benchmark(
        f"barriers_{name.lower()}",
        f"Barriers: {name}",
        f"Single points of minima and transition states for {contents}. References are coupled-cluster "
        "energies near the basis-set limit, as collected in GMTKN55 (doi:10.1039/C7CP04913G).",
        partial(inputs, name),
        source=SOURCE,
        reference=Reference("CCSD(T)/CBS and higher"),
        good=0.5,
        bad=50.0,
    )


BENCHMARKS: tuple[Benchmark, ...] = (
    *(_subset(name, contents) for name, contents in SUBSETS.items()),
    *barriers_xyz.BENCHMARKS,
    barriers_crbh20.BENCHMARK,
)
