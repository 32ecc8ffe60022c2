"""Least squares of energies on composition: values, errors, and what the compositions leave open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from crossfield.data.composition import (
    Vector,
    all_electron_energies,
    charge_per_atom,
    composition,
    element_names,
)
from crossfield.data.frame import Frame
from crossfield.data.undetermined import describe, reduced

DETERMINED = 1e-11  # of the largest eigenvalue of the normal matrix; below, all is round-off
INVOLVED = 1e-6  # share of an unknown in an open combination (of length 1) that is more than round-off
ALL_ELECTRON = 0.03  # of the energy; what energies of free atoms leave of total energies with all electrons
VAGUE = 1.0  # eV; a standard error that is worth a word

Ions = Literal["cations", "anions"]
SIGNS: dict[Ions, Literal[1, -1]] = {"cations": 1, "anions": -1}


@dataclass(frozen=True)
class ChargeTerm:
    """Mean energy of an elementary charge: to take an electron away (cations) or to add one (anions)."""

    value: float  # eV per elementary charge
    uncertainty: float | None  # eV, standard error; None where there are too few frames for one
    frames: int  # ions that it is fitted to


@dataclass(frozen=True)
class CompositionFit:
    """Energies of elements that explain the energies of frames best, in the error per atom."""

    energies: dict[int, float]  # eV, by atomic number
    uncertainty: dict[int, float | None]  # eV, standard errors; None: not determined, or too few frames
    charges: dict[Ions, ChargeTerm]  # terms that keep the charge of ions out of the elements
    frames: int  # that were fitted
    rank: int  # combinations of the elements that the compositions determine
    condition: float  # of the design matrix with columns of length 1, without what is not determined
    residual: float | None  # eV per atom, of the fit; None where there are no more frames than unknowns
    notes: tuple[str, ...]  # what is not determined, or badly; sentences without a full stop


class _Solution(NamedTuple):
    """Of least squares with columns of length 1; the open combinations keep the values of the start."""

    values: Vector  # (columns,)
    covariance: Vector  # (columns, columns), for residuals of variance 1
    open: Vector  # (combinations, columns) of length 1 in the scaled columns: what is not determined
    scale: Vector  # (columns,) lengths of the columns
    condition: float


def fit_composition(
    frames: Sequence[Frame],
    energy: Vector,
    elements: Sequence[int],
    *,
    known: Mapping[int, float],
    centre: Mapping[int, float] | None = None,
) -> CompositionFit:
    """Fit energies of elements, with a term for the charge of cations and one for that of anions.

    Frames are snapshots of few compounds more often than not, so that compositions may leave combinations of
    elements open. There the solution is that of a vanishing ridge: as near as possible to a start, which is
    `centre` (or 0) plus one constant for all elements; or, where the energies are such, those of free atoms
    with all electrons. With a ridge towards 0, a constant added to all energies would change how energy is
    shared out; and all-electron energies of hydrogen and oxygen, say, would come out alike from water alone.
    Where something is determined, nothing is drawn to the start. A charge that cannot be told from the
    elements gets no term.

    Standard errors are those of least squares with independent residuals of one size per atom; snapshots of
    one compound err together, so that they are lower bounds.

    Args:
        frames: labelled frames, at least one; all of them have energies.
        energy: (frames,) eV, what is to be explained.
        elements: atomic numbers to fit, each of which occurs.
        known: energies of the other elements, held fixed, eV.
        centre: energies that the fitted ones are likely to be near, eV.
    """
    share = composition(frames)
    atoms = np.array([frame.num_atoms for frame in frames])
    target = energy / atoms - sum((share[:, z] * E for z, E in known.items()), np.zeros(len(frames)))
    columns = {"elements": share[:, list(elements)], **_charges(frames)}
    notes = _one_charge(frames)
    start, what = _start(columns["elements"], target, elements, centre)
    while True:
        design = np.column_stack(list(columns.values()))
        begin = np.concatenate([start, np.zeros(len(columns) - 1)])
        found = _solve(design, target, begin)
        confused = _confused(found, list(columns)[1:], elements)
        if confused is None:
            break
        name, note = confused
        notes.append(note)
        del columns[name]
    n, rank = len(frames), design.shape[1] - len(found.open)
    off = target - design @ found.values
    variance = float(off @ off) / (n - rank) if n > rank else None
    errors = _errors(found, variance)
    p = len(elements)
    notes += _open_notes(found, elements, what) + _vague_notes(errors[:p], elements)
    ions = [ion for ion in SIGNS if ion in columns]
    return CompositionFit(
        energies={z: float(E) for z, E in zip(elements, found.values[:p], strict=True)},
        uncertainty=dict(zip(elements, errors[:p], strict=True)),
        charges={
            ion: ChargeTerm(float(found.values[p + k]), errors[p + k], int(np.count_nonzero(columns[ion])))
            for k, ion in enumerate(ions)
        },
        frames=n,
        rank=p - len(found.open),
        condition=found.condition,
        residual=None if variance is None else float(np.sqrt(variance)),
        notes=tuple(notes),
    )


def _charges(frames: Sequence[Frame]) -> dict[str, Vector]:
    """Elementary charges per atom of cations and of anions, where there are such and others to compare."""
    if len({frame.charge for frame in frames}) == 1:
        return {}
    found = {name: charge_per_atom(frames, sign) for name, sign in SIGNS.items()}
    return {name: column for name, column in found.items() if column.any()}


def _one_charge(frames: Sequence[Frame]) -> list[str]:
    charge = frames[0].charge
    if charge == 0 or any(frame.charge != charge for frame in frames):
        return []
    return [
        f"all frames have charge {charge:+d}, so that the energy of the charge cannot be told from the "
        "elements and is contained in E0"
    ]


def _start(
    share: Vector, target: Vector, elements: Sequence[int], centre: Mapping[int, float] | None
) -> tuple[Vector, str]:
    """Values that open combinations are kept near to, and what these are."""
    near = np.array([0.0 if centre is None else centre.get(z, 0.0) for z in elements])
    free = all_electron_energies(np.array(elements))
    off = target - share @ near, target - share @ free
    weight = share.sum(axis=1)  # less than 1 where others are known, and 0 where all are
    wrong = np.abs(off[1][weight > 0] / (share[weight > 0] @ free))
    if np.median(wrong) < ALL_ELECTRON and float(off[1] @ off[1]) < float(off[0] @ off[0]):
        return free, "energies of free atoms with all electrons"
    near = near + weight @ off[0] / (weight @ weight)
    if centre is None:
        return near, "one value for all elements"
    return near, "the E0 of the base head, but for one constant for all elements"


def _solve(design: Vector, target: Vector, start: Vector) -> _Solution:
    """Least squares by normal equations, refined once; fast where there are many frames and few columns."""
    scale = np.linalg.norm(design, axis=0)
    unit = design / scale
    values, vectors = np.linalg.eigh(unit.T @ unit)
    kept = values > DETERMINED * values[-1]
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    rest = target - design @ start
    step = inverse @ (unit.T @ rest)
    step += inverse @ (unit.T @ (rest - unit @ step))  # normal equations alone cost half of the digits
    change = step / scale
    left_open = vectors[:, ~kept].T
    if len(left_open):
        # the pseudo-inverse keeps scaled changes small; what is wanted are small changes in eV
        basis = np.linalg.qr((left_open / scale).T)[0]
        change -= basis @ (basis.T @ change)
    condition = float(np.sqrt(values[-1] / values[kept][0]))
    return _Solution(start + change, inverse / np.outer(scale, scale), left_open, scale, condition)


def _confused(found: _Solution, charges: Sequence[str], elements: Sequence[int]) -> tuple[str, str] | None:
    """The first charge term that cannot be told from the elements, and a sentence about it."""
    for k, name in enumerate(charges, start=len(elements)):
        if not (np.abs(found.open[:, k]) > INVOLVED).any():
            continue
        # eliminated first, the charge stands in one row only
        row = reduced(np.roll(found.open / found.scale, -k, axis=1))[0]
        involved = np.roll(row, k)[: len(elements)] != 0
        names = element_names([z for z, yes in zip(elements, involved, strict=True) if yes])
        return name, (
            f"the energy of the charge of {name} cannot be told from E0 of {names} and is contained in E0"
        )
    return None


def _errors(found: _Solution, variance: float | None) -> list[float | None]:
    if variance is None:
        return [None] * len(found.values)
    involved = np.abs(found.open).max(axis=0, initial=0.0) > INVOLVED
    errors = np.sqrt(variance * np.maximum(np.diag(found.covariance), 0.0))
    return [None if unknown else float(error) for unknown, error in zip(involved, errors, strict=True)]


def _open_notes(found: _Solution, elements: Sequence[int], start: str) -> list[str]:
    if not len(found.open):
        return []
    involved = np.abs(found.open).max(axis=0) > INVOLVED
    names = element_names([z for z, yes in zip(elements, involved, strict=False) if yes])
    combinations = reduced(found.open / found.scale)[:, : len(elements)]
    return [
        f"the compositions determine E0 of {names} only in part: {describe(combinations, elements)}; "
        f"what is open is kept near to {start}"
    ]


def _vague_notes(errors: Sequence[float | None], elements: Sequence[int]) -> list[str]:
    vague = [(z, e) for z, e in zip(elements, errors, strict=True) if e is not None and e > VAGUE]
    if not vague:
        return []
    listed = ", ".join(f"{element_names([z])} (± {error:.2g} eV)" for z, error in vague)
    return [f"the compositions determine E0 only roughly for {listed}: isolated atoms would give it"]
