"""S30L: association of large supramolecular complexes."""

from __future__ import annotations

from collections.abc import Mapping

from ase import Atoms

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import add, compare, entries, mean_absolute_error
from crossfield.bench.domain.sets.interaction import ION_ION, ION_NEUTRAL, NEUTRAL, interaction, mae_of
from crossfield.bench.domain.sets.reading import charge, expect, number, structure, text
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

COMPLEXES = 30
FOLDERS = {"complex": "AB", "host": "A", "guest": "B"}


def inputs(sources: Sources) -> Inputs:
    """A numbered folder per complex with Turbomole files, and references by line, kcal/mol."""
    folder = sources.open("s30l") / "s30l_test_set"
    place = folder / "references_s30.txt"
    references = [number(word, place) for word in text(place).split()]
    if len(references) != COMPLEXES:
        raise InputError(f"has {len(references)} energies instead of {COMPLEXES}", file=str(place))
    found = Inputs(context={})
    for index, reference in enumerate(references, start=1):
        with found.reading(str(index)):
            structures = {role: _read(folder / str(index) / part) for role, part in FOLDERS.items()}
            add(found, *interaction(f"{index:02d}", structures, reference, quick=True))
    expect(found, COMPLEXES)
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Errors of association energies, kcal/mol."""
    compared = compare(inputs, values, "kcal/mol")
    metrics = {
        "MAE": mean_absolute_error(compared),
        "MAE (neutral)": mae_of(compared, [NEUTRAL]),
        "MAE (charged)": mae_of(compared, [ION_NEUTRAL, ION_ION]),
    }
    return Findings(metrics, entries(compared, "association energy", "kcal/mol"))


def _read(folder: Place) -> Atoms:
    atoms = structure(folder / "coord", "turbomole")
    atoms.info["charge"] = charge(folder / ".CHRG", missing=0)
    return atoms


BENCHMARK = Benchmark(
    name="s30l",
    title="S30L association energies",
    domain="molecules",
    description=(
        "Association energies of 30 large supramolecular complexes, eight of them charged, from single "
        "points of the complex, the host and the guest, each at its own published geometry. Reference: "
        "measured free energies less calculated solvation and thermal contributions (source s30l)."
    ),
    reference=Reference("experiment"),
    metrics=(
        Metric("MAE", "kcal/mol", 2.4, 20.0, description="mean absolute error of association energies"),
        Metric("MAE (neutral)", "kcal/mol", None, None, description="of neutral complexes"),
        Metric("MAE (charged)", "kcal/mol", None, None, description="of charged complexes"),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("s30l",),
    dispersion=True,
)
