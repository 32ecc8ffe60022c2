"""E0: the energy that each element contributes before the model says anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from crossfield.data.frame import Frame
from crossfield.errors import InputError

AGREE = 1e-3  # eV; two calculations of one atom differ by no more
RANK = 1e-8  # relative size of singular values that count as zero


@dataclass(frozen=True)
class ReferenceEnergies:
    """E0 of one level of theory."""

    E0: dict[int, float]  # eV, by atomic number, ascending
    origin: dict[int, str]  # "isolated atom", "least squares" or "given"
    residual: float  # eV per atom: standard deviation of energies after E0; NaN without energies
    conditioning: str = ""  # what the least squares could not determine


def reference_energies(
    frames: Sequence[Frame],
    isolated: Sequence[Frame],
    *,
    method: Literal["auto", "atoms", "least_squares"] = "auto",
    given: Mapping[int, float] | None = None,
) -> ReferenceEnergies:
    """E0 of every element of the frames, the isolated atoms and `given`.

    Ions are left out of the least squares, since the energy to remove an electron (some eV) is no property of
    an element in general; where all energies are of ions, or an element only occurs in ions, they are used.
    The fit minimises the error per atom. What compositions cannot determine (carbon and oxygen of a set of CO
    alone) is shared out by the solution of least norm, and said in `conditioning`.

    Args:
        frames: labelled frames of one theory.
        isolated: isolated atoms of the same theory; several of one element are averaged.
        method: "atoms" only uses isolated atoms, "least_squares" only the frames; "auto" takes isolated atoms
            where there are some and fits the rest with those held fixed.
        given: values that are used as they are, eV, by atomic number.

    Raises:
        InputError: isolated atoms that disagree by more than 1 meV, or elements left without a value.
    """
    elements = {int(z) for frame in (*frames, *isolated) for z in frame.Z}
    E0 = {z: float(energy) for z, energy in (given or {}).items()}
    origin = dict.fromkeys(E0, "given")
    if method != "least_squares":
        for z, energy in _atoms(isolated).items():
            if z not in E0:
                E0[z], origin[z] = energy, "isolated atom"
    missing = sorted(elements - set(E0))
    note = ""
    if missing and method == "atoms":
        raise InputError(
            f"no isolated atom for {_names(missing)}: add it to the files (config_type=IsolatedAtom), "
            "give its E0, or use the method auto"
        )
    if missing:
        fitted, note = _least_squares(frames, missing, E0)
        E0.update(fitted)
        origin.update(dict.fromkeys(fitted, "least squares"))
    order = sorted(E0)
    ordered = {z: E0[z] for z in order}
    return ReferenceEnergies(ordered, {z: origin[z] for z in order}, _residual(frames, ordered), note)


def composition(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """(frames, 119) share of each atomic number in each frame; rows add up to 1."""
    rows = [np.bincount(frame.Z, minlength=119) / frame.num_atoms for frame in frames]
    return np.array(rows).reshape(-1, 119)


def per_atom(frame: Frame, E0: Mapping[int, float]) -> float:
    """Energy per atom relative to E0, eV; NaN where the frame has none."""
    if frame.energy is None:
        return float("nan")
    return (frame.energy - sum(E0[int(z)] for z in frame.Z)) / frame.num_atoms


def _atoms(isolated: Sequence[Frame]) -> dict[int, float]:
    energies: dict[int, list[Frame]] = {}
    for atom in isolated:
        if atom.energy is not None:
            energies.setdefault(int(atom.Z[0]), []).append(atom)
    means = {}
    for z, atoms in energies.items():
        values = [atom.energy for atom in atoms if atom.energy is not None]
        if max(values) - min(values) > AGREE:
            low, high = min(values), max(values)
            raise InputError(
                f"isolated atoms of {chemical_symbols[z]} disagree: {low:.4f} and {high:.4f} eV",
                file=atoms[-1].file,
                frame=atoms[-1].index,
            )
        means[z] = sum(values) / len(values)
    return means


def _least_squares(
    frames: Sequence[Frame], missing: Sequence[int], known: Mapping[int, float]
) -> tuple[dict[int, float], str]:
    """E0 of the missing elements with the known ones held fixed, and a note on what is not determined."""
    labelled = [frame for frame in frames if frame.energy is not None]
    neutral = [frame for frame in labelled if frame.charge == 0]
    covered = {int(z) for frame in neutral for z in frame.Z}
    used = neutral if set(missing) <= covered else labelled
    absent = sorted(set(missing) - {int(z) for frame in used for z in frame.Z})
    if absent:
        raise InputError(f"no frame with an energy contains {_names(absent)}: give its E0")
    share = composition(used)[:, missing]
    start = {**dict.fromkeys(missing, 0.0), **known}
    energy = np.array([per_atom(frame, start) for frame in used])
    solution, _, rank, _ = np.linalg.lstsq(share, energy, rcond=RANK)
    note = ""
    if rank < len(missing):
        note = (
            f"the compositions determine only {rank} combinations of E0 for {len(missing)} elements "
            f"({_names(missing)}); the solution of least norm is used"
        )
    return {z: float(value) for z, value in zip(missing, solution, strict=True)}, note


def _residual(frames: Sequence[Frame], E0: Mapping[int, float]) -> float:
    values: NDArray[np.float64] = np.array([per_atom(f, E0) for f in frames if f.energy is not None])
    return float(values.std()) if len(values) else float("nan")


def _names(elements: Sequence[int]) -> str:
    return ", ".join(chemical_symbols[z] for z in elements)
