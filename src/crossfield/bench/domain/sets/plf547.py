"""PLF547: a ligand beside single fragments of protein."""

from __future__ import annotations

from collections.abc import Mapping

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import add, compare, entries, mean_absolute_error
from crossfield.bench.domain.sets.interaction import ION_ION, ION_NEUTRAL, NEUTRAL, interaction, mae_of
from crossfield.bench.domain.sets.protein_ligand import complex_of, references
from crossfield.bench.domain.sets.reading import expect
from crossfield.bench.domain.sources import Sources

COMPLEXES = 547
EVERY = 15  # of which one is quick


def inputs(sources: Sources) -> Inputs:
    """A PDB file per pair; in the table of references, the name of a pair ends in the kind of fragment."""
    folder = sources.open("pla15_plf547") / "PLF547_pdbs"
    found = Inputs(context={})
    for index, (name, reference) in enumerate(references(folder / "reference_energies.txt").items()):
        with found.reading(name):
            structures = complex_of(folder / f"{name.rpartition('_')[0]}.pdb")
            add(found, *interaction(name, structures, reference, quick=index % EVERY == 0))
    expect(found, COMPLEXES)
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Errors of interaction energies, kcal/mol."""
    compared = compare(inputs, values, "kcal/mol")
    metrics = {
        "MAE": mean_absolute_error(compared),
        "MAE (neutral)": mae_of(compared, [NEUTRAL]),
        "MAE (charged)": mae_of(compared, [ION_NEUTRAL, ION_ION]),
    }
    return Findings(metrics, entries(compared, "interaction energy", "kcal/mol"))


BENCHMARK = Benchmark(
    name="plf547",
    title="PLF547 protein-ligand fragments",
    domain="molecules",
    description=(
        "Interaction energies of drug-like ligands with 547 single fragments of protein, more than half of "
        "them with an ion, from single points of the pair and of its parts as they are in it. Reference: "
        "MP2-F12 with a DLPNO-CCSD(T) correction (source pla15_plf547)."
    ),
    reference=Reference("CCSD(T)/CBS"),
    metrics=(
        Metric("MAE", "kcal/mol", 0.5, 50.0, description="mean absolute error of interaction energies"),
        Metric("MAE (neutral)", "kcal/mol", None, None, description="of pairs of neutral molecules"),
        Metric("MAE (charged)", "kcal/mol", None, None, description="of pairs with one ion or two"),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("pla15_plf547",),
    dispersion=True,
)
