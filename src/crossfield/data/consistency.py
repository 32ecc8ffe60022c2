"""Frames that look as if they were in other units than the rest of their source.

Units are not written in most files, and one converted frame among a thousand spoils a training quietly.
Frames of one reduced formula are compared with each other, in ways that legitimate data (relaxed beside
hot structures, compressed cells, broken bonds) does not trip: small forces or long bonds alone prove nothing,
but small forces at a thermal energy do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crossfield.data.composition import HARTREE, all_electron_energies, composition
from crossfield.data.frame import Frame
from crossfield.data.geometry import Shortest

BOHR = 0.529177210903  # Å
# eV in Hartree, Rydberg, kcal/mol, kJ/mol
ENERGY_UNITS = (1 / HARTREE, 2 / HARTREE, 23.0605, 96.4853)
# eV/Å in Hartree/Bohr, Hartree/Å, kcal/mol/Å, kJ/mol/Å
FORCE_UNITS = (BOHR / HARTREE, 1 / HARTREE, 23.0605, 96.4853)
NOBLE = {2, 10, 18, 36, 54, 86}  # their atoms touch at twice the sum of covalent radii
FEW = 5  # frames of one formula below which nothing is said about forces, lengths and stress

Vector = NDArray[np.float64]


def mixed_units(frames: Sequence[Frame], shortest: Sequence[Shortest]) -> dict[int, str]:
    """Reasons to distrust frames, by their position in `frames`.

    Args:
        frames: the frames of one source and theory, isolated atoms included.
        shortest: shortest distance in each frame.
    """
    energy = np.array([np.nan if f.energy is None else f.energy / f.num_atoms for f in frames])
    if reason := _all_in_hartree(frames, energy):
        return {int(np.flatnonzero(np.isfinite(energy))[0]): reason}
    if reason := _all_in_bohr(frames, shortest):
        return {next(k for k, f in enumerate(frames) if f.num_atoms > 1): reason}
    many = np.array([f.num_atoms > 1 for f in frames], dtype=bool)
    distance = np.array([s.distance for s in shortest])
    force = np.array([_rms(f.forces) for f in frames])
    stress = np.array([np.nan if f.stress is None else np.abs(f.stress).max() for f in frames])
    reasons = _energies(frames, np.where(many, energy, np.nan))
    for members in _classes(frames, many):
        members = members[[k not in reasons for k in members]]
        if len(members) < FEW:
            continue
        normal = _normal_energy(energy[members])
        for k in members[_odd_forces(force[members], energy[members], normal)]:
            reasons[int(k)] = (
                f"forces of {force[k]:.2g} eV/Å are out of line with those of the same composition "
                "at the same energy: mixed units (Hartree/Bohr, kcal/mol/Å)?"
            )
        for k in members[_odd_lengths(distance[members]) & normal]:
            reasons[int(k)] = (
                f"a shortest distance of {distance[k]:.2f} Å is out of line with those of the same "
                "composition at the same energy: mixed units (Bohr)?"
            )
        for k in members[_odd_stress(stress[members]) & normal]:
            reasons[int(k)] = (
                f"a stress of {stress[k]:.2g} eV/Å^3 is out of line with those of the same composition "
                "at the same energy: mixed units (GPa, kbar)?"
            )
    return reasons


def _rms(values: Vector | None) -> float:
    return np.nan if values is None else float(np.sqrt(np.mean(values**2)))


def _classes(frames: Sequence[Frame], keep: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Positions of frames with equal proportions of elements and equal charge."""
    classes: dict[tuple[object, ...], list[int]] = {}
    for k, frame in enumerate(frames):
        if keep[k]:
            elements, counts = np.unique(frame.Z, return_counts=True)
            common = np.gcd.reduce(counts)
            classes.setdefault((*elements.tolist(), *(counts // common).tolist(), frame.charge), []).append(k)
    return [np.array(members) for members in classes.values()]


def _all_in_hartree(frames: Sequence[Frame], energy: Vector) -> str:
    """Total energies of all electrons are within a percent of those of free atoms.

    In eV they are 27 times as large, and energies of valence electrons are far from both.
    """
    known = [int(k) for k in np.flatnonzero(np.isfinite(energy))]
    if len(known) == 0 or not any((frames[k].Z > 2).any() for k in known):
        return ""
    expected = np.array([all_electron_energies(frames[k].Z).mean() for k in known]) / HARTREE
    ratio = energy[known] / expected
    if abs(np.median(ratio) - 1) < 0.03 and np.abs(ratio - 1).max() < 0.06:
        return "the energies look like Hartree (total energies of all electrons): convert the file to eV"
    return ""


def _all_in_bohr(frames: Sequence[Frame], shortest: Sequence[Shortest]) -> str:
    """Matter in which no two atoms are bonded, at just the distances that Bohr would give."""
    ratio = [
        s.covalent
        for f, s in zip(frames, shortest, strict=True)
        if f.num_atoms > 2 and not set(f.Z.tolist()) <= NOBLE
    ]
    if len(ratio) < FEW or not 1.55 < np.median(ratio) < 2.4 or np.mean(np.array(ratio) > 1.5) < 0.9:
        return ""
    return (
        f"the atoms are nowhere bonded (shortest distances are {np.median(ratio):.1f} times the sum "
        "of covalent radii): positions in Bohr? Convert the file to Å"
    )


def _energies(frames: Sequence[Frame], energy: Vector) -> dict[int, str]:
    """Energies per atom that the composition does not explain, by far or by the factor of a unit."""
    known = np.flatnonzero(np.isfinite(energy))
    if len(known) < 2:
        return {}
    centre, spread, least_off = _explained(frames, energy, known)
    reasons = {}
    for k, middle, width, least in zip(known, centre, spread, least_off, strict=True):
        value, off = energy[k], abs(energy[k] - middle)
        ratio = abs(value / middle) if middle else np.inf
        factor = min(max(ratio / unit, unit / ratio) if ratio else np.inf for unit in ENERGY_UNITS)
        if (factor < 1.2 and off > max(6 * width, least)) or off > max(30 * width, 20.0):
            reasons[int(k)] = (
                f"an energy of {value:.4g} eV per atom, where the composition explains {middle:.4g}: "
                "mixed units (Hartree, Rydberg, kcal/mol), or a wrong label?"
            )
    return reasons


def _explained(
    frames: Sequence[Frame], energy: Vector, known: NDArray[np.int64]
) -> tuple[Vector, Vector, Vector]:
    """For each known frame, in eV per atom: expected energy, its usual spread, and what is worth a word.

    Where the formula is common, its median and spread are used. Elsewhere all there is is a robust fit to all
    compositions, which explains rare ones badly: only what no chemistry can explain counts there.
    """
    share = composition([frames[int(k)] for k in known])
    share = share[:, share.any(axis=0)]
    centre = share @ _least_absolute(share, energy[known])
    spread = np.full(len(known), 1.4826 * np.median(np.abs(energy[known] - centre)))
    least = np.full(len(known), 20.0)
    where = {int(k): row for row, k in enumerate(known)}
    keep = np.zeros(len(frames), dtype=bool)
    keep[known] = True
    for members in _classes(frames, keep):
        rows = [where[int(k)] for k in members]
        values = energy[members]
        if len(members) >= FEW:
            centre[rows], least[rows] = np.median(values), 0.5
            spread[rows] = 1.4826 * np.median(np.abs(values - np.median(values)))
        elif len(members) > 1 and np.ptp(values) > 20.0:
            # so few that no majority decides: eV are the largest numbers among the likely units
            centre[rows] = values[np.abs(values).argmax()]
    return centre, spread, least


def _least_absolute(share: Vector, energy: Vector, steps: int = 20) -> Vector:
    """Coefficients that minimise the sum of absolute residuals, by reweighted least squares."""
    weight = np.ones(len(energy))
    E0: Vector = np.zeros(share.shape[1], dtype=np.float64)
    for _ in range(steps):
        weighted = share * weight[:, None]
        # normal equations, with a grain of ridge for what the compositions do not determine: fast, and
        # accurate enough for finding outliers
        normal = weighted.T @ share
        ridge = 1e-10 * np.trace(normal) * np.eye(len(normal))
        E0 = np.linalg.solve(normal + ridge, weighted.T @ energy)
        weight = 1 / np.maximum(np.abs(energy - share @ E0), 1e-3)
    return E0


def _normal_energy(energy: Vector) -> NDArray[np.bool_]:
    """Where an energy per atom is as usual in its class, so that geometry and forces should be too."""
    known = energy[np.isfinite(energy)]
    if len(known) < FEW:
        return np.zeros(len(energy), dtype=bool)
    middle = np.median(known)
    width = 1.4826 * np.median(np.abs(known - middle))
    normal: NDArray[np.bool_] = np.abs(energy - middle) <= 2.5 * width + 0.02
    return normal


def _odd_forces(force: Vector, energy: Vector, normal: NDArray[np.bool_]) -> NDArray[np.bool_]:
    known = np.isfinite(force) & (force > 0)
    if known.sum() < FEW or not normal.any():
        return np.zeros(len(force), dtype=bool)
    log = np.log(np.where(known, force, 1.0))
    middle = np.median(log[known])
    if np.median(np.abs(log[known] - middle)) > 0.5:
        return np.zeros(len(force), dtype=bool)  # a relaxation: every size of force occurs
    off = log - middle
    near = np.any([np.abs(np.abs(off) - abs(np.log(unit))) < 0.5 for unit in FORCE_UNITS], axis=0)
    above = energy - np.nanmin(energy)
    # a relaxed structure has small forces too, at the bottom of the energies
    thermal = above > 0.3 * np.nanmedian(above)
    odd: NDArray[np.bool_] = known & near & normal & (thermal | (off > 0))
    return odd


def _odd_lengths(shortest: Vector) -> NDArray[np.bool_]:
    middle = np.median(shortest)
    # where every length occurs (a dissociation), lengths prove nothing
    if not np.isfinite(middle) or np.median(np.abs(shortest / middle - 1)) > 0.1:
        return np.zeros(len(shortest), dtype=bool)
    ratio = shortest / middle
    return ((ratio > 0.88 / BOHR) & (ratio < 1.12 / BOHR)) | ((ratio > 0.88 * BOHR) & (ratio < 1.12 * BOHR))


def _odd_stress(stress: Vector) -> NDArray[np.bool_]:
    known = np.isfinite(stress)
    if known.sum() < FEW:
        return np.zeros(len(stress), dtype=bool)
    odd: NDArray[np.bool_] = known & (stress > 1.0) & (stress > 30 * np.nanmedian(stress))
    return odd
