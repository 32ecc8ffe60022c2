"""What benchmarks of barrier heights share: single points, mean absolute errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import entries, mean_absolute_error, mean_error
from crossfield.bench.domain.sets.reactions import compare
from crossfield.bench.domain.sources import Sources


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Mean absolute and mean signed error of the reactions that the context of a set lists."""
    compared = compare(inputs.context, inputs, values)
    metrics = {"MAE": mean_absolute_error(compared), "ME": mean_error(compared)}
    return Findings(metrics, entries(compared, "barrier height", "kcal/mol"))


def barrier_benchmark(
    name: str,
    title: str,
    description: str,
    inputs: Callable[[Sources], Inputs],
    *,
    source: str,
    reference: Reference,
    good: float,
    bad: float,
) -> Benchmark:
    """A benchmark whose inputs list molecules and, as the context, barriers.

    Args:
        name, title, description, inputs, reference: as in `Benchmark`.
        source: the set.
        good, bad: thresholds of the mean absolute error, kcal/mol.
    """
    return Benchmark(
        name=name,
        title=title,
        domain="reactions",
        description=description,
        reference=reference,
        metrics=(
            Metric("MAE", "kcal/mol", good, bad, description="mean absolute error of barrier heights"),
            Metric(
                "ME", "kcal/mol", None, None, description="mean signed error; negative: barriers are too low"
            ),
        ),
        inputs=inputs,
        calculate=energies,
        analyse=analyse,
        sources=(source,),
        dispersion=True,
        states=True,
    )
