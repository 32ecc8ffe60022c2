"""Heads: the part of a model that answers for one level of theory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, FiniteFloat

from crossfield.errors import InputError, nearest
from crossfield.theory.elements import symbols
from crossfield.theory.theory import Theory


def _printable(name: str) -> str:
    """Names come from files and go to terminals."""
    if not name or not name.isprintable():
        raise ValueError("is empty, or has characters that cannot be printed")
    return name


HeadName = Annotated[str, AfterValidator(_printable)]


class Head(BaseModel):
    """One head of a model; its readout weights live in the model itself.

    Attributes:
        name: name of the head, unique in a model.
        theory: the level of theory it answers for.
        E0: reference energy per atomic number, eV.
        scale: factor on the sum of readouts and pair energy, eV.
        shift: constant per atom, eV.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: HeadName
    theory: Theory
    E0: dict[int, FiniteFloat]
    scale: FiniteFloat = 1.0
    shift: FiniteFloat = 0.0


def head_index(heads: Sequence[Head], name: str | None) -> int:
    """Position of the head called `name`; None is allowed where there is only one head.

    Raises:
        InputError: unknown or missing name; the message lists the heads there are.
    """
    names = [head.name for head in heads]
    if name is None:
        if len(names) == 1:
            return 0
        raise InputError(f"this model has several heads, choose one of: {', '.join(names)}")
    if name not in names:
        raise InputError(f"unknown head {name!r}{nearest(name, names)} (this model has: {', '.join(names)})")
    return names.index(name)


def check_elements(numbers: Iterable[int], elements: Sequence[int], what: str) -> None:
    """Check that every atomic number is among `elements`.

    Raises:
        InputError: naming the elements that are missing, and those that `what` covers.
    """
    missing = sorted(set(numbers) - set(elements))
    if missing:
        raise InputError(
            f"{what} does not cover {', '.join(symbols(missing))} (it covers: {' '.join(symbols(elements))})"
        )
