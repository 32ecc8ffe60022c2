"""PLA15: a ligand in the whole active site of a protein."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import Compared, add, compare, entries, mean_absolute_error
from crossfield.bench.domain.sets.interaction import ION_ION, ION_NEUTRAL, interaction, mae_of
from crossfield.bench.domain.sets.protein_ligand import complex_of, references
from crossfield.bench.domain.sets.reading import expect
from crossfield.bench.domain.sources import Sources

COMPLEXES = 15
QUICK = 350  # atoms at most


def inputs(sources: Sources) -> Inputs:
    """A PDB file per active site."""
    folder = sources.open("pla15_plf547") / "PLA15_pdbs"
    found = Inputs(context={})
    for name, reference in references(folder / "reference_energies.txt").items():
        with found.reading(name):
            structures = complex_of(folder / f"{name}.pdb")
            quick = len(structures["complex"]) <= QUICK
            add(found, *interaction(name, structures, reference, quick=quick))
    expect(found, COMPLEXES)
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Errors and correlation of interaction energies, kcal/mol."""
    compared = compare(inputs, values, "kcal/mol")
    metrics = {
        "MAE": mean_absolute_error(compared),
        "MAE (ion-ion)": mae_of(compared, [ION_ION]),
        "MAE (ion-neutral)": mae_of(compared, [ION_NEUTRAL]),
        "R²": _correlation(compared),
    }
    return Findings(metrics, entries(compared, "interaction energy", "kcal/mol"))


def _correlation(compared: Sequence[Compared]) -> float | None:
    """The square of Pearson's coefficient; None for fewer than three points, or equal ones."""
    pairs = np.array([(c.reference, c.predicted) for c in compared if c.predicted is not None])
    if len(pairs) < 3 or (np.ptp(pairs, axis=0) == 0).any():
        return None
    return float(np.corrcoef(pairs.T)[0, 1] ** 2)


BENCHMARK = Benchmark(
    name="pla15",
    title="PLA15 active sites",
    domain="molecules",
    description=(
        "Interaction energies of ligands with the whole active site of 15 proteins (283 to 584 atoms), all "
        "with a charged part, from single points of the complex and of its parts as they are in it. "
        "Reference: sum over pairs by MP2-F12 with a DLPNO-CCSD(T) correction, many-body part by B3LYP-D3 "
        "(source pla15_plf547)."
    ),
    reference=Reference("CCSD(T)/CBS"),
    metrics=(
        Metric("MAE", "kcal/mol", 0.5, 50.0, description="mean absolute error of interaction energies"),
        Metric("MAE (ion-ion)", "kcal/mol", 0.5, 50.0, description="both ligand and protein are charged"),
        Metric("MAE (ion-neutral)", "kcal/mol", 0.5, 50.0, description="ligand or protein is charged"),
        Metric("R²", "", 1.0, 0.5, description="square of Pearson's correlation with the reference"),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("pla15_plf547",),
    dispersion=True,
)
