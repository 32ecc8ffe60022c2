"""CRBH20: barriers of cycloreversions in periodic boxes, by the functional of most data on solids."""

from __future__ import annotations

from crossfield.bench.domain.benchmark import Inputs, Reference
from crossfield.bench.domain.sets.barrier_heights import barrier_benchmark
from crossfield.bench.domain.sets.differences import UNITS
from crossfield.bench.domain.sets.reactions import barrier, located, molecule, with_quick
from crossfield.bench.domain.sets.reading import expect, structure
from crossfield.bench.domain.sources import Sources

SOURCE = "crbh20"
QUICK = 5  # smallest reactions
# eV, by number of reaction from 1; arXiv:2401.00096, appendix B.5
BARRIERS = (
    *(1.7194, 1.9241, 1.7499, 1.8238, 1.7237, 1.5653, 1.0911, 1.8983, 1.5477, 1.7115),
    *(1.7379, 2.0361, 1.8739, 1.9760, 1.8865, 1.5741, 1.2587, 1.7497, 1.6989, 1.7654),
)


def inputs(sources: Sources) -> Inputs:
    """Reactants and transition states, in files `1/react/POSCAR` and `1/ts/POSCAR`."""
    folder = sources.open(SOURCE)
    found = Inputs(context=[])
    for index, energy in enumerate(BARRIERS, start=1):
        with found.reading(f"reaction {index}"), located(folder / str(index)):
            reactant, top = (
                molecule(f"{index} {state}", structure(folder / str(index) / state / "POSCAR", "vasp"))
                for state in ("react", "ts")
            )
            height = energy * UNITS["eV"] / UNITS["kcal/mol"]
            found.context.append(barrier(f"reaction {index}", height, top, [reactant]))
            found.items += [reactant, top]
    expect(found, len(BARRIERS), len(found.context))
    found.items = with_quick(found.items, found.context, QUICK)
    return found


BENCHMARK = barrier_benchmark(
    "barriers_crbh20",
    "Barriers: CRBH20",
    "Single points of reactants and transition states of 20 cycloreversions in periodic boxes. References "
    "are PBE-D3(BJ) barriers (arXiv:2401.00096, appendix B.5).",
    inputs,
    source=SOURCE,
    reference=Reference("PBE-D3(BJ)", functional=True),
    good=1.0,
    bad=3.0,
)
