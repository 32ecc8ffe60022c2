"""Diatomics: is the energy of two atoms, over their distance, a curve with one well and one wall?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from numpy.typing import NDArray
from scipy.signal import find_peaks
from scipy.stats import spearmanr

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.results import Curve, Entry
from crossfield.bench.domain.sets.series import evaluate
from crossfield.bench.domain.sources import Sources

ELEMENTS = (*range(1, 84), *range(89, 95))  # those of the widest published potentials
GRID = {"shortest": 0.18, "longest": 6.0, "points": 100}  # Å
BOX = 30.0  # Å; not periodic, for calculators that want a cell in any case
QUICK_HOMONUCLEAR = 20
QUICK_PAIRS = (
    ("H", "C"), ("H", "N"), ("H", "O"), ("H", "F"), ("C", "N"), ("C", "O"), ("N", "O"), ("C", "F"),
    ("Li", "F"), ("Na", "Cl"), ("Mg", "O"), ("Al", "O"), ("Si", "O"), ("O", "Ti"), ("O", "Fe"), ("O", "Cu"),
    ("Ga", "As"), ("Zn", "S"), ("C", "Pt"), ("Ni", "Al"),
)  # fmt: skip
SMALL_FORCE = 0.01  # eV/Å, whose sign says nothing
SMALL_CURVATURE = 0.5  # eV/Å²
PROMINENCE = 0.1  # eV, of a minimum
HOLE = 1.0  # Spearman's ρ of a curve that is lowest where it begins, and so has no wall at all
SHOWN = 30.0  # eV; what is higher, or lower, is left out of the curves that are shown
WORST = 24  # heteronuclear curves that are shown


class Shape(NamedTuple):
    """What a curve looks like; 1, 1, 1, -1 and 1 for a Morse curve."""

    flips: int  # of the sign of the force
    minima: int
    inflections: int
    repulsion: float | None  # Spearman's ρ of energy and distance up to the lowest point
    attraction: float | None  # and beyond it


def inputs(sources: Sources) -> Inputs:
    """All pairs of elements, homonuclear ones first."""
    quick = {(Z, Z) for Z in ELEMENTS[:QUICK_HOMONUCLEAR]}
    quick |= {_pair(atomic_numbers[a], atomic_numbers[b]) for a, b in QUICK_PAIRS}
    pairs = sorted(combinations_with_replacement(ELEMENTS, 2), key=lambda pair: (pair[0] != pair[1], pair))
    items = []
    for pair in pairs:
        bond = float(covalent_radii[list(pair)].sum())
        dimer = Atoms(pair, positions=[[0.0, 0.0, 0.0], [0.0, 0.0, bond]], cell=[BOX] * 3)
        name = "-".join(chemical_symbols[Z] for Z in pair)
        items.append(Item(name, {"pair": dimer}, GRID, quick=pair in quick))
    return Inputs(items=items)


def calculate(item: Item, calculator: Calculator) -> Values:
    """Energies less that at the largest distance (eV) and forces that push the atoms apart (eV/Å).

    They are rounded to 1 µeV: beyond the cutoff of a model its energy is constant but for the last digits,
    and a rank correlation would see order in them.
    """
    pairs = []
    for r in distances(item):
        pair = item.structures["pair"].copy()
        pair.positions[1, 2] = r
        pairs.append(pair)
    points = evaluate(pairs, calculator, tables=False)
    energies = np.array([point.energy for point in points])
    forces = np.array([point.forces[1, 2] for point in points])
    return {"energies": (energies - energies[-1]).round(6).tolist(), "forces": forces.round(6).tolist()}


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Means over the pairs that there are."""
    shapes: dict[str, Shape] = {}
    for item in inputs.items:
        if (found := values.get(item.name)) is not None:
            energies, forces = np.array(found["energies"]), np.array(found["forces"])
            shapes[item.name] = shape(distances(item), energies, forces)
    attempted = [item for item in inputs.items if item.name in shapes]
    same = [item for item in attempted if _homonuclear(item)]
    odd = [item for item in attempted if not _homonuclear(item) and _faults(shapes[item.name]) > 0]
    odd.sort(key=lambda item: -_faults(shapes[item.name]))
    shown = [*same, *odd[:WORST]]
    return Findings(
        metrics={
            "Force flips": _mean([s.flips for s in shapes.values()]),
            "Energy minima": _mean([s.minima for s in shapes.values()]),
            "Energy inflections": _mean([s.inflections for s in shapes.values()]),
            "ρ(E, repulsion)": _mean([s.repulsion for s in shapes.values()]),
            "ρ(E, attraction)": _mean([s.attraction for s in shapes.values()]),
        },
        entries=[_entry(item, shapes[item.name]) for item in attempted],
        curves=[_curve(item, values[item.name]) for item in shown],
        notes=[
            f"{len(attempted)} pairs, {len(same)} of them homonuclear; curves are shown of these and of the "
            f"{len(shown) - len(same)} worst others. {sum(_faults(s) > 0 for s in shapes.values())} pairs "
            "have more than one force flip or minimum."
        ],
    )


def distances(item: Item) -> NDArray[np.float64]:
    """(P,) Å, evenly spaced, shortest first."""
    grid = item.settings
    return np.linspace(grid["shortest"], grid["longest"], grid["points"])


def shape(r: NDArray[np.float64], E: NDArray[np.float64], F: NDArray[np.float64]) -> Shape:
    """What a curve looks like.

    Args:
        r: (P,) distances, Å, ascending.
        E: (P,) energies, eV.
        F: (P,) forces along the bond, eV/Å.
    """
    well = int(np.argmin(E))
    minima, _ = find_peaks(-E, prominence=PROMINENCE, width=1)
    return Shape(
        flips=_sign_changes(F, SMALL_FORCE),
        minima=len(minima),
        inflections=_sign_changes(np.gradient(np.gradient(E, r), r), SMALL_CURVATURE),
        repulsion=HOLE if well == 0 and np.ptp(E) > 0.0 else _rank_correlation(r[: well + 1], E[: well + 1]),
        attraction=_rank_correlation(r[well + 1 :], E[well + 1 :]),
    )


def _sign_changes(values: NDArray[np.float64], small: float) -> int:
    signs = np.sign(values[np.abs(values) > small])
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def _rank_correlation(r: NDArray[np.float64], E: NDArray[np.float64]) -> float | None:
    if len(r) < 2 or np.ptp(E) == 0.0:
        return None  # not defined
    return float(spearmanr(r, E).statistic)


def _mean(found: Sequence[float | None]) -> float | None:
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def _faults(s: Shape) -> int:
    """Flips and minima beyond the first; a curve without a well has none."""
    return max(s.flips - 1, 0) + max(s.minima - 1, 0)


def _pair(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a <= b else (b, a)


def _homonuclear(item: Item) -> bool:
    return len(set(item.structures["pair"].numbers.tolist())) == 1


def _group(item: Item) -> str:
    return "homonuclear" if _homonuclear(item) else "heteronuclear"


def _entry(item: Item, s: Shape) -> Entry:
    def rho(value: float | None) -> str:
        return "not defined" if value is None else f"{value:.2f}"

    return Entry(
        name=item.name,
        group=_group(item),
        quantity="force flips",
        predicted=float(s.flips),
        items=(item.name,),
        note=f"minima {s.minima}, inflections {s.inflections}, ρ repulsion {rho(s.repulsion)}, "
        f"attraction {rho(s.attraction)}",
    )


def _curve(item: Item, values: Values) -> Curve:
    return Curve(
        name=item.name,
        group=_group(item),
        x_label="distance / Å",
        y_label=f"E − E({item.settings['longest']:g} Å) / eV, within ±{SHOWN:g}",
        x=tuple(distances(item).round(4).tolist()),
        y=tuple(E if abs(E) <= SHOWN else None for E in values["energies"]),
    )


BENCHMARK = Benchmark(
    name="diatomics",
    title="Diatomics",
    domain="physicality",
    description=(
        "Energy and force of two atoms at 100 distances from 0.18 to 6 Å, for all pairs of 89 elements that "
        "the model covers, without charge, as singlets or doublets; means over pairs of the counts and rank "
        "correlations that ML-PEG takes (there of homonuclear pairs, without those that are lowest at the "
        "shortest distance, whose ρ(E, repulsion) is 1 here). One well is one flip of the "
        "force. Radial functions of potentials of ours are evaluated, not taken from tables."
    ),
    reference=Reference(""),
    metrics=(
        Metric("Force flips", "", 1.0, 5.0, description="changes of the sign of forces over 0.01 eV/Å"),
        Metric("Energy minima", "", 1.0, 5.0, description="minima with a prominence of 0.1 eV"),
        Metric("ρ(E, repulsion)", "", -1.0, 1.0, description="Spearman's ρ up to the lowest point"),
        Metric("ρ(E, attraction)", "", 1.0, -1.0, description="Spearman's ρ beyond the lowest point"),
        Metric(
            "Energy inflections",
            "",
            None,
            None,
            description="changes of the sign of curvatures over 0.5 eV/Å²",
        ),
    ),
    inputs=inputs,
    calculate=calculate,
    analyse=analyse,
    own_elements=True,
)
