"""Lattice constants of 23 cubic and hexagonal crystals, against experiment and PBE-D3(BJ)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Metric, Reference, Values
from crossfield.bench.domain.results import Entry
from crossfield.bench.domain.sets.crystals import (
    calculate,
    constants_of,
    crystal_item,
    read_numbers,
    read_types,
)
from crossfield.bench.domain.sets.reading import expect
from crossfield.bench.domain.sources import Sources

CRYSTALS = 23
EXPERIMENT, PBE = "experiment", "PBE-D3(BJ)"
FILES = {EXPERIMENT: "lattice_constants_ref_exp.json", PBE: "lattice_constants_ref.json"}
METRICS = {EXPERIMENT: "MAE (Experimental)", PBE: "MAE (PBE)"}


class _Constant(NamedTuple):
    """A constant that is compared."""

    item: str
    axis: str  # "a" or "c"
    label: str
    reference: Mapping[str, float]  # Å, by source


def inputs(sources: Sources) -> Inputs:
    """One relaxation per crystal, begun at the experimental constants."""
    place = sources.open("lattice_constants")
    tables = {source: read_numbers(place / file) for source, file in FILES.items()}
    constants: list[_Constant] = []
    found = Inputs(context=constants)
    for name, kind in read_types(place).items():
        with found.reading(name):
            own = {source: constants_of(name, kind, table) for source, table in tables.items()}
            found.items.append(crystal_item(name, kind, own[EXPERIMENT]))
            for axis in ("a", "c"):
                reference = {source: getattr(values, axis) for source, values in own.items()}
                if reference[EXPERIMENT] is not None:
                    label = name if own[EXPERIMENT].c is None else f"{name}({axis})"
                    constants.append(_Constant(name, axis, label, reference))
    expect(found, CRYSTALS)
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Mean absolute errors, Å, over all constants; a hexagonal crystal has two."""
    entries = []
    errors: dict[str, list[float]] = {EXPERIMENT: [], PBE: []}
    for constant in inputs.context:
        predicted = values[constant.item][constant.axis] if constant.item in values else None
        for source, reference in constant.reference.items():
            entries.append(
                Entry(
                    name=constant.label,
                    group=source,
                    quantity="lattice constant",
                    unit="Å",
                    reference=reference,
                    predicted=predicted,
                    items=(constant.item,),
                )
            )
            if predicted is not None:
                errors[source].append(abs(predicted - reference))
    return Findings(
        metrics={METRICS[s]: float(np.mean(e)) if e else None for s, e in errors.items()},
        entries=entries,
        notes=(
            "The DFT column contains D3(BJ), and none is added to models, as in ML-PEG: "
            "a model that reproduces PBE without dispersion must deviate from it.",
        ),
    )


BENCHMARK = Benchmark(
    name="lattice_constants",
    title="Lattice constants",
    domain="materials",
    description=(
        "24 lattice constants of 23 crystals (fcc, bcc, diamond, rock salt, zinc blende, 2H-SiC), relaxed "
        "from the experimental ones at fixed symmetry to 1 meV/Å. Compared with experiment and "
        "PBE-D3(BJ): set of ML-PEG, references of Batatia et al., J. Chem. Phys. 163, 184110 (2025)."
    ),
    reference=Reference("PBE-D3(BJ) and experiment", functional=True),
    metrics=(
        Metric(METRICS[EXPERIMENT], "Å", 0.0, 0.2, description="mean absolute error against experiment"),
        Metric(METRICS[PBE], "Å", 0.0, 0.2, description="mean absolute error against PBE-D3(BJ)"),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
    sources=("lattice_constants",),
)
