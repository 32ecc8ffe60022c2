"""Liquid water: radial distribution functions and density, against PBE-D3 and experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.results import Curve, Entry
from crossfield.bench.domain.sets.reading import json_of
from crossfield.bench.domain.sets.water_md import calculate, radii
from crossfield.bench.domain.sources import Place, Sources
from crossfield.bench.structures import structure
from crossfield.errors import InputError

FILES = {  # by what they are of
    "O-O": "pbe-d3-330k-g-r_oo.json",
    "O-H": "pbe-d3-330k-g-r_oh.json",
    "H-H": "pbe-d3-330k-g-r_hh.json",
    "O-O, experiment": "exp-300k-g-r_oo.json",
    "density": "water-NPT-PBE-330K-density.json",
}
# g/cm³ at 330 K and 1 atm, by the formula of Kell, J. Chem. Eng. Data 20, 97 (1975)
MEASURED_DENSITY = 0.9848
SETTLED = 5.0  # ps, from which on the density of the reference is averaged

SHARED = {
    "temperature": 330.0,  # K
    "timestep": 1.0,  # fs
    "relaxation": 50,  # steps at most
    "record": 10,  # steps
}
RUNS: tuple[dict[str, Any], ...] = (
    {
        "ensemble": "NVT",
        "equilibration": 5.0,  # ps
        "length": 10.0,  # ps
        "friction": 0.01,  # 1/fs
        "longest": 6.0,  # Å
        "bins": 300,
    },
    {
        "ensemble": "NPT",
        "equilibration": 10.0,  # ps
        "length": 20.0,  # ps
        "taut": 100.0,  # fs
        "taup": 1000.0,  # fs
    },
)
REPLICAS = 2


class Line(NamedTuple):
    """A reference, as read off from a figure."""

    x: NDArray[np.float64]  # (P,) ascending
    y: NDArray[np.float64]  # (P,)


def inputs(sources: Sources) -> Inputs:
    """Replicas of both runs, from 64 molecules at 1 g/cm³; in the context, the references by name."""
    place = sources.open("water")
    found = Inputs(context={})
    for name, file in FILES.items():
        with found.reading(name):
            found.context[name] = read_line(place / file)
    start = structure("water 192")
    for run in RUNS:
        for seed in range(1, REPLICAS + 1):
            name = f"{run['ensemble']}, replica {seed}"
            found.items.append(Item(name, {"start": start}, {**SHARED, **run, "seed": seed}))
    return found


def read_line(place: Place) -> Line:
    """The points of a file `{"x": [...], "y": [...]}`; those at one x are averaged.

    Raises:
        InputError: it is missing, damaged, or of another form.
    """
    fields = json_of(place)
    try:
        x, y = np.array(fields["x"], dtype=float), np.array(fields["y"], dtype=float)
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"is no line of points, or damaged ({error})", file=str(place)) from error
    if x.ndim != 1 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("x and y are no finite numbers of the same count", file=str(place))
    distinct, index = np.unique(x, return_inverse=True)
    if len(distinct) < 2:
        raise InputError("has fewer than two points", file=str(place))
    return Line(distinct, np.bincount(index, weights=y) / np.bincount(index))


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Means over the replicas that there are."""
    done = [item for item in inputs.items if item.name in values]
    volume = [item for item in done if item.settings["ensemble"] == "NVT"]
    pressure = [item for item in done if item.settings["ensemble"] == "NPT"]
    parts = [
        _distributions(volume, values, inputs.context) if volume else Findings({}),
        _densities(pressure, values, inputs.context) if pressure else Findings({}),
    ]
    metrics = {name: value for part in parts for name, value in part.metrics.items()}
    return Findings(
        metrics={metric.name: metrics.get(metric.name) for metric in METRICS},
        entries=[entry for part in parts for entry in part.entries],
        curves=[curve for part in parts for curve in part.curves],
    )


def overlap(r: NDArray[np.float64], g: NDArray[np.float64], reference: Line) -> tuple[float, float]:
    """How well two distributions agree where the reference is known.

    Returns:
        Their overlap in percent, 100 (1 - ∫|g - g'| / ∫(g + g')); and the mean of |g - g'|.
    """
    within = (r >= reference.x[0]) & (r <= reference.x[-1])
    own, other = g[within], np.interp(r[within], reference.x, reference.y)
    apart = np.abs(own - other)
    return float(100.0 * (1.0 - apart.sum() / (own + other).sum())), float(apart.mean())


def _distributions(
    runs: Sequence[Item], values: Mapping[str, Values], references: Mapping[str, Line]
) -> Findings:
    names = tuple(item.name for item in runs)
    r = radii(runs[0].settings)
    metrics: dict[str, float | None] = {}
    entries, curves, overlaps = [], [], {}
    for name, line in references.items():
        if name == "density":
            continue
        pair = name.partition(",")[0]
        g = np.mean([values[run]["rdf"][pair] for run in names], axis=0)
        overlaps[name], error = overlap(r, g, line)
        metrics[f"MAE of g(r), {name}"] = error
        entries.append(
            Entry(
                name=f"g(r) {name}",
                quantity="mean |Δg|",
                reference=0.0,
                predicted=error,
                items=names,
                note=f"overlap {overlaps[name]:.1f} %",
            )
        )
        curves.append(_curve(f"g(r) {name}", "distance / Å", "g(r)", Line(r, g), line))
    if {"O-O", "O-H", "H-H"} <= overlaps.keys():
        metrics["Overlap of g(r)"] = (overlaps["O-O"] + overlaps["O-H"] + overlaps["H-H"]) / 3.0
    return Findings(metrics, entries, curves)


def _densities(
    runs: Sequence[Item], values: Mapping[str, Values], references: Mapping[str, Line]
) -> Findings:
    names = tuple(item.name for item in runs)
    lines = [Line(np.array(values[name]["time"]), np.array(values[name]["density"])) for name in names]
    each = [float(line.y[line.x > run.settings["equilibration"]].mean()) for run, line in zip(runs, lines)]
    density = float(np.mean(each))
    compared = {"experiment": MEASURED_DENSITY}
    metrics: dict[str, float | None] = {"Density error": abs(density - MEASURED_DENSITY)}
    reference = references.get("density")
    if reference is not None:
        settled = reference.x >= min(SETTLED, float(reference.x[-1]))
        compared["PBE without dispersion"] = float(reference.y[settled].mean())
        metrics["Density less that of PBE"] = density - compared["PBE without dispersion"]
    return Findings(
        metrics,
        entries=[
            Entry(
                name=f"density, {name}",
                quantity="density",
                unit="g/cm³",
                reference=other,
                predicted=density,
                items=names,
                note="replicas: " + ", ".join(f"{d:.3f}" for d in each),
            )
            for name, other in compared.items()
        ],
        curves=[
            _curve(f"density, {name}", "time / ps", "density / g/cm³", line, reference)
            for name, line in zip(names, lines)
        ],
    )


def _curve(name: str, x_label: str, y_label: str, line: Line, reference: Line | None) -> Curve:
    return Curve(
        name=name,
        x_label=x_label,
        y_label=y_label,
        x=tuple(line.x.round(4).tolist()),
        y=tuple(line.y.tolist()),
        reference_x=() if reference is None else tuple(reference.x.tolist()),
        reference_y=() if reference is None else tuple(reference.y.tolist()),
    )


METRICS = (
    Metric("Overlap of g(r)", "%", 100.0, 80.0, description="mean of O-O, O-H and H-H, with PBE-D3"),
    Metric("Density error", "g/cm³", 0.0, 0.2, description="of the mean density, from experiment at 330 K"),
    Metric("MAE of g(r), O-O", "", None, None),
    Metric("MAE of g(r), O-H", "", None, None),
    Metric("MAE of g(r), H-H", "", None, None),
    Metric("MAE of g(r), O-O, experiment", "", None, None, description="at 300 K"),
    Metric("Density less that of PBE", "g/cm³", None, None, description="which had no dispersion"),
)
BENCHMARK = Benchmark(
    name="water",
    title="Liquid water",
    domain="liquids",
    description=(
        "64 molecules at 330 K: g(r) over 2 x 10 ps of Langevin dynamics at 1 g/cm³ after 5 ps each, "
        "against PBE-D3, and the density over 2 x 20 ps at 1 bar (Berendsen) after 10 ps each, against "
        "experiment (thresholds of ML-PEG). It takes 90,000 steps: 40 minutes of one core for a model that "
        "needs 25 ms a step, and the time for D3."
    ),
    reference=Reference("PBE-D3", functional=True),
    metrics=METRICS,
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
    sources=("water",),
    dispersion=True,
    opt_in=True,
)
