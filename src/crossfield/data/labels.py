"""Labels, charge, spin, further inputs and weights of one frame."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crossfield.data.frame import Weights
from crossfield.data.source import Keys
from crossfield.errors import InputError
from crossfield.theory import Theory

MAX_FORCE = 1000.0  # eV/Å; more is no force of a structure that anybody would learn
MAX_STRESS = 5.0  # eV/Å^3 (800 GPa); more is rather a stress in GPa or kbar, unless its unit is declared
MAX_ENERGY = 1e9  # eV
SYMMETRY = 1e-3  # of the largest component; codes print a stress with few digits


def numbers(text: str, what: str) -> NDArray[np.float64]:
    """All numbers of a value, in one row; brackets and commas separate.

    Raises:
        InputError: something that is not a number, or not finite.
    """
    parts = re.sub(r"[\[\](){},;]", " ", text).split()
    try:
        values = np.array([float(part) for part in parts], dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{what} is not a number: {text[:60]!r}") from error
    if not np.isfinite(values).all():
        raise InputError(f"{what} is not finite: {text[:60]!r}")
    return values


def number(text: str, what: str) -> float:
    """The one number of a value.

    Raises:
        InputError: not one finite number.
    """
    values = numbers(text, what)
    if len(values) != 1:
        raise InputError(f"{what} must be one number, found {text[:60]!r}")
    return float(values[0])


def read_energy(text: str) -> float:
    """Total energy, eV.

    Raises:
        InputError: not one finite number of sensible size.
    """
    energy = number(text, "energy")
    if abs(energy) > MAX_ENERGY:
        raise InputError(f"an energy of {energy:.3g} eV is absurd")
    return energy


def check_forces(forces: NDArray[np.float64]) -> None:
    """Check the size of (N, 3) forces, eV/Å.

    Raises:
        InputError: a force of more than 1000 eV/Å.
    """
    size = np.linalg.norm(forces, axis=1)
    if size.max() > MAX_FORCE:
        atom = int(size.argmax())
        raise InputError(f"atom {atom}: a force of {size[atom]:.3g} eV/Å is absurd (other units?)")


def read_stress(text: str, *, declared: bool, what: str = "stress") -> NDArray[np.float64]:
    """(3, 3) symmetric stress, eV/Å^3, from 9 numbers or from 6 (xx yy zz yz xz xy).

    Args:
        text: the value.
        declared: whether the file itself declares eV/Å^3, so that a large stress is believed.
        what: name for messages; sizes are checked for a stress only.

    Raises:
        InputError: another number of components, an asymmetric tensor, or one so large that its unit is not
            eV/Å^3.
    """
    values = numbers(text, what)
    if len(values) == 6:
        values = values[[0, 5, 4, 5, 1, 3, 4, 3, 2]]
    if len(values) != 9:
        raise InputError(f"{what} must have 9 or 6 numbers, found {len(values)}")
    stress = values.reshape(3, 3)
    largest = float(np.abs(stress).max())
    if np.abs(stress - stress.T).max() > SYMMETRY * largest + 1e-6:
        raise InputError(f"{what} is not symmetric")
    if what == "stress" and largest > MAX_STRESS and not declared:
        raise InputError(
            f"a stress of {largest:.3g} eV/Å^3 is absurd: is it in GPa or kbar? "
            "(if not, declare stress_unit=eV/A^3 in the file)"
        )
    return (stress + stress.T) / 2


def read_weights(info: Mapping[str, str], keys: Keys) -> Weights:
    """Weights of a frame; 1 where it states none.

    Raises:
        InputError: negative, or not a number.
    """

    def weight(key: str | None) -> float:
        if key is None or key not in info:
            return 1.0
        value = number(info[key], key)
        if value < 0:
            raise InputError(f"{key} is negative: {info[key]}")
        return value

    return Weights(
        structure=weight(keys.weight),
        energy=weight(keys.energy_weight),
        forces=weight(keys.forces_weight),
        stress=weight(keys.stress_weight),
    )


def whole(text: str, what: str) -> int:
    """A whole number, which may be written "1.0".

    Raises:
        InputError: not a whole number of sensible size.
    """
    value = number(text, what)
    if value != math.floor(value) or abs(value) > 1e6:
        raise InputError(f"{what} must be a whole number, found {text[:40]!r}")
    return int(value)


def read_charge(text: str | None, theory: Theory, *, isolated: bool) -> int:
    """Total charge, e.

    Args:
        text: what the frame states, or None.
        theory: gives the default, and whether charge has a meaning.
        isolated: an isolated atom, whose charge a theory without charges may still state.

    Raises:
        InputError: not whole, missing where the theory needs it, or stated where the theory ignores it.
    """
    return _state(
        text, theory.name, "charge", "total charge", theory.charge, theory.default_charge, 0, isolated
    )


def read_spin(text: str | None, theory: Theory, *, isolated: bool) -> int:
    """Multiplicity 2S+1; arguments and errors as for `read_charge`, and an error below 1."""
    spin = _state(
        text, theory.name, "spin", "spin multiplicity", theory.spin, theory.default_spin, 1, isolated
    )
    if spin < 1:
        raise InputError(f"the spin is a multiplicity 2S+1 and starts at 1, found {spin}")
    return spin


def read_inputs(info: Mapping[str, str], theory: Theory, keys: Keys) -> dict[str, float]:
    """The numbers besides charge and spin that a theory declares, by name.

    Raises:
        InputError: not one finite number, or missing where the theory has no default.
    """
    found = {}
    for name in theory.inputs:
        key = keys.of_input(name)
        stated = number(info[key], key) if key in info else None
        found[name] = theory.input_value(name, stated, where=f"{key}=... in the comment line")
    return found


def _state(
    text: str | None,
    theory: str,
    what: str,
    long: str,
    meaning: str,
    default: int | None,
    neutral: int,
    isolated: bool,
) -> int:
    ignored = meaning == "ignored"
    usual = default if default is not None else neutral if ignored else None
    if text is None:
        if usual is None:
            raise InputError(
                f"theory {theory} needs the {long} and the frame does not state it: write it into the "
                "frames, or describe a theory of your own with a default under `theories:`"
            )
        return usual
    value = whole(text, what)
    # else charged frames of a theory described by its name alone would all train as neutral singlets
    if ignored and not isolated and value != usual:
        raise InputError(
            f"the frame states {what} {value}, but theory {theory} ignores it: "
            f"describe the {what} of the theory, or set keys.{what} to null"
        )
    return value
