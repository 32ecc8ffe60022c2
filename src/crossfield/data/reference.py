"""E0: the energy that each element contributes before the model says anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from ase.data import chemical_symbols

from crossfield.data.base_energies import BaseEnergies
from crossfield.data.composition import Vector, composition, counts, element_names, elements_of, per_atom
from crossfield.data.composition_fit import CompositionFit, fit_composition
from crossfield.data.frame import Frame
from crossfield.errors import InputError

__all__ = [
    "BaseEnergies",
    "ReferenceEnergies",
    "ReferenceMethod",
    "composition",
    "per_atom",
    "reference_energies",
]

AGREE = 1e-3  # eV; two calculations of one atom differ by no more

ReferenceMethod = Literal["auto", "atoms", "least_squares", "estimated"]


@dataclass(frozen=True)
class ReferenceEnergies:
    """E0 of one level of theory, and how well it is known."""

    E0: dict[int, float]  # eV, by atomic number, ascending
    origin: dict[int, str]  # "isolated atom", "least squares", "estimated", "given" or "base head"
    # eV per atom: standard deviation of energies after E0, and after what a base predicts beyond its own E0,
    # where the head starts from one; NaN without energies
    residual: float
    conditioning: str = ""  # what the fit could not determine, or badly
    uncertainty: dict[int, float | None] = field(default_factory=dict)  # eV; None: not known
    frames: dict[int, int] = field(default_factory=dict)  # number of frames with energy and the element
    spread: dict[int, float | None] = field(default_factory=dict)  # eV per atom, `residual` of those frames
    fit: CompositionFit | None = None  # of what neither atoms nor the user gave

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, by symbol; what is not known is None."""
        fit = self.fit
        return {
            "elements": {
                chemical_symbols[z]: {
                    "E0": E0,
                    "uncertainty": self.uncertainty.get(z),
                    "origin": self.origin[z],
                    "frames": self.frames.get(z, 0),
                    "residual_spread": self.spread.get(z),
                }
                for z, E0 in self.E0.items()
            },
            "residual": None if math.isnan(self.residual) else self.residual,
            "conditioning": self.conditioning,
            "fit": fit
            and {
                "elements": [chemical_symbols[z] for z in fit.energies],
                "frames": fit.frames,
                "rank": fit.rank,
                "condition": fit.condition,
                "residual": fit.residual,
                "charges": {name: vars(term).copy() for name, term in fit.charges.items()},
            },
        }


class _Labelled(NamedTuple):
    """Frames with energies, and what E0 has to explain of these."""

    frames: list[Frame]
    energy: Vector  # (frames,) eV


def reference_energies(
    frames: Sequence[Frame],
    isolated: Sequence[Frame],
    *,
    method: ReferenceMethod = "auto",
    given: Mapping[int, float] | None = None,
    base: BaseEnergies | None = None,
) -> ReferenceEnergies:
    """E0 of every element of the frames, the isolated atoms, `given` and `base`.

    A value is, in this order: the one given; that of the isolated atom; fitted to the composition of the
    frames (`fit_composition`). Where a head starts from the readout of a base head, its E0 is not fitted to
    the energies but to what is left of them after the interaction energies that the base predicts:
    composition then explains all that differs between the two theories but chemistry, and the new head
    starts with the smallest error.

    Ions are fitted with a mean energy per elementary charge, one for cations and one for anions, so that
    their ionisation energies are no part of E0. Single atoms with a charge are never a reference, and are
    only fitted where their element occurs nowhere else.

    Elements that have no frame with an energy get the E0 of the base head, so that a model loses none of
    them. This is the energy of an atom in the *base's* theory: energies of compounds with such elements are
    on no common scale with those of the others, and only differences between structures of one composition,
    forces and stress mean something.

    Args:
        frames: labelled frames of one theory.
        isolated: isolated atoms of the same theory; several of one element are averaged.
        method: "atoms" only uses isolated atoms, "least_squares" fits energies and "estimated" their
            difference from the base, both without isolated atoms. "auto" takes isolated atoms where there are
            some, and fits the rest with those held fixed: estimated with a base, by least squares without.
        given: values that are used as they are, eV, by atomic number.
        base: predictions of the base head for `frames`, if there is one. With "least_squares" its E0 only
            serve where energies do not determine one: such a head must not start from the base's readout, or
            interactions are counted twice.

    Raises:
        InputError: isolated atoms that disagree by more than 1 meV, elements left without a value,
            "estimated" without a base, numbers that are not finite, or a base that does not fit the frames.
    """
    _check_numbers(frames, isolated, given or {})
    if method == "estimated" and base is None:
        raise InputError("E0 estimated from a base head needs one: there is no base model, use least_squares")
    if base is not None:
        base.check(frames)
    E0 = {z: float(energy) for z, energy in (given or {}).items()}
    origin = dict.fromkeys(E0, "given")
    uncertainty: dict[int, float | None] = dict.fromkeys(E0, 0.0)
    if method in ("auto", "atoms"):
        for z, (energy, apart) in _atoms(isolated).items():
            if z not in E0:
                E0[z], origin[z], uncertainty[z] = energy, "isolated atom", apart
    missing = [z for z in sorted(elements_of((*frames, *isolated))) if z not in E0]
    if missing and method == "atoms":
        raise InputError(
            f"no isolated atom for {element_names(missing)}: add it to the files (config_type=IsolatedAtom), "
            "give its E0, or use the method auto"
        )
    start = None if method == "least_squares" else base
    labelled = _labelled(frames, start)
    # of isolated ions the base predicts nothing
    ions = () if start else [atom for atom in isolated if atom.charge != 0 and int(atom.Z[0]) in missing]
    fit = _fit(_labelled([*frames, *ions], None) if ions else labelled, missing, E0, base)
    if fit is not None:
        E0.update(fit.energies)
        origin.update(dict.fromkeys(fit.energies, "estimated" if start else "least squares"))
        uncertainty.update(fit.uncertainty)
    for z, energy in (base.E0 if base is not None else {}).items():
        if z not in E0:
            E0[z], origin[z], uncertainty[z] = float(energy), "base head", None
    order = sorted(E0)
    return _with_residuals(
        labelled,
        {z: E0[z] for z in order},
        {z: origin[z] for z in order},
        {z: uncertainty[z] for z in order},
        fit,
    )


def _check_numbers(frames: Sequence[Frame], isolated: Sequence[Frame], given: Mapping[int, float]) -> None:
    for frame in (*frames, *isolated):
        if frame.energy is not None and not math.isfinite(frame.energy):
            raise InputError("the energy is not finite", file=frame.file, frame=frame.index)
    for z, energy in given.items():
        if not math.isfinite(energy):
            raise InputError(f"the E0 given for {chemical_symbols[z]} is not finite")


def _atoms(isolated: Sequence[Frame]) -> dict[int, tuple[float, float]]:
    """Mean energy of the neutral atoms of each element, and how far they are apart, eV."""
    energies: dict[int, list[Frame]] = {}
    for atom in isolated:
        if atom.energy is not None and atom.charge == 0:
            energies.setdefault(int(atom.Z[0]), []).append(atom)
    means = {}
    for z, atoms in energies.items():
        values = [atom.energy for atom in atoms if atom.energy is not None]
        low, high = min(values), max(values)
        if high - low > AGREE:
            raise InputError(
                f"isolated atoms of {chemical_symbols[z]} disagree: {low:.4f} and {high:.4f} eV",
                file=atoms[-1].file,
                frame=atoms[-1].index,
            )
        means[z] = (sum(values) / len(values), high - low)
    return means


def _labelled(frames: Sequence[Frame], base: BaseEnergies | None) -> _Labelled:
    """Frames with energies; with a base, these are without the interactions that it predicts."""
    off = np.zeros(len(frames)) if base is None else base.interactions(frames)
    pairs = [(f, f.energy - x) for f, x in zip(frames, off, strict=True) if f.energy is not None]
    return _Labelled([f for f, _ in pairs], np.array([energy for _, energy in pairs], dtype=np.float64))


def _without_bare_ions(labelled: _Labelled) -> _Labelled:
    """Without single atoms that have a charge, unless their element occurs nowhere else.

    One of them would count as much as a whole molecule, with an ionisation energy all of its own.
    """
    bare = [f.num_atoms == 1 and f.charge != 0 for f in labelled.frames]
    elsewhere = elements_of([f for f, ion in zip(labelled.frames, bare, strict=True) if not ion])
    rows = [k for k, ion in enumerate(bare) if not ion or int(labelled.frames[k].Z[0]) not in elsewhere]
    return _Labelled([labelled.frames[k] for k in rows], labelled.energy[rows])


def _fit(
    labelled: _Labelled, missing: Sequence[int], known: Mapping[int, float], base: BaseEnergies | None
) -> CompositionFit | None:
    """The fit of the missing elements that have energies; the others must have a base to fall back on."""
    frames, energy = _without_bare_ions(labelled)
    covered = elements_of(frames)
    absent = [z for z in missing if z not in covered and (base is None or z not in base.E0)]
    if absent:
        raise InputError(f"no frame with an energy contains {element_names(absent)}: give its E0")
    fitted = [z for z in missing if z in covered]
    if not fitted:
        return None
    return fit_composition(frames, energy, fitted, known=known, centre=None if base is None else base.E0)


def _with_residuals(
    labelled: _Labelled,
    E0: dict[int, float],
    origin: dict[int, str],
    uncertainty: dict[int, float | None],
    fit: CompositionFit | None,
) -> ReferenceEnergies:
    amounts = counts(labelled.frames)
    table = np.array([E0.get(z, 0.0) for z in range(119)])
    off = (labelled.energy - amounts @ table) / np.maximum(amounts.sum(axis=1), 1)
    with_element = {z: amounts[:, z] > 0 for z in E0}
    return ReferenceEnergies(
        E0=E0,
        origin=origin,
        residual=float(off.std()) if len(off) else float("nan"),
        conditioning="; ".join(fit.notes) if fit is not None else "",
        uncertainty=uncertainty,
        frames={z: int(rows.sum()) for z, rows in with_element.items()},
        spread={z: float(off[rows].std()) if rows.sum() > 1 else None for z, rows in with_element.items()},
        fit=fit,
    )
