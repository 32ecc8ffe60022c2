"""Levels of theory: what a label means."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict

from crossfield.errors import InputError, nearest


class TheoryDescription(BaseModel):
    """What is known of a level of theory besides its name.

    Attributes:
        method: functional or wave-function method.
        basis: basis set, pseudopotentials or setups, and cutoff.
        dispersion: dispersion correction contained in the labels, or "none".
        charge: what the total charge of a frame means, or "ignored".
        spin: what the spin of a frame means (for instance "2S+1"), or "ignored".
        default_charge: charge (e) of frames that do not state one; None: they must state it.
        default_spin: spin multiplicity of frames that do not state one; None: they must state it.
        reference: zero of energy, and where the method is described.
        data: the data set that labels of this theory come from.
        notes: known limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = ""
    basis: str = ""
    dispersion: str = "none"
    charge: str = "ignored"
    spin: str = "ignored"
    default_charge: int | None = 0
    default_spin: int | None = 1
    reference: str = ""
    data: str = ""
    notes: str = ""


class Theory(TheoryDescription):
    """A level of theory. A label without one is not training data.

    Attributes:
        name: short identifier, used in files and on the command line.
    """

    name: str


@cache
def known_theories() -> Mapping[str, Theory]:
    """Theories that ship with the package, by name."""
    text = resources.files("crossfield.theory").joinpath("known.yaml").read_text("utf-8")
    return {name: Theory(name=name, **fields) for name, fields in yaml.safe_load(text).items()}


def get_theory(name: str) -> Theory:
    """The known theory of this name.

    Raises:
        InputError: no such theory; the message lists those there are.
    """
    theories = known_theories()
    if name not in theories:
        raise InputError(
            f"unknown theory {name!r}{nearest(name, list(theories))} "
            f"(known: {', '.join(sorted(theories))}; a new one can be described in the "
            "configuration under `theories:`)"
        )
    return theories[name]
